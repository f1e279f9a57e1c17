"""Whether the disk of a run folder takes anything, as whoever looks at a run sees it."""

from __future__ import annotations

import os
from pathlib import Path

#: Bytes below which a disk is full: some are kept for the system, and a result is larger.
FULL = 8 * 2**20


def describeFull(rundir: Path | str) -> str:
    """Return in words that the disk of a run folder is full, or does not answer; empty if it is well or not there."""
    try:
        space = os.statvfs(rundir)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"the disk of {rundir} does not answer: {error.strerror or error}"
    free, size = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    if size and free < FULL:
        return f"the disk of {rundir} is full: {free / 1e6:.1f} MB of {size / 1e6:.0f} MB are free"
    if space.f_files and not space.f_favail:
        return f"the disk of {rundir} is full: it takes no more than its {space.f_files} files (inodes)"
    return ""
