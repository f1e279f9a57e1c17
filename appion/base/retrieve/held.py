"""Which runs processes of this host hold."""

from __future__ import annotations

import os
from pathlib import Path

from appion.base.records.runfolder import lockPath

#: How a link to an open lock of a run folder ends.
END = str(lockPath("/"))


def listHeld() -> list[str]:
    """Return the run folders whose locks processes of this host hold, as far as this user may see which files they are.

    By the table of locks of the kernel, which names processes, and the files that these have open.
    """
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    pids = {one[4] for one in words if len(one) > 5 and one[1] in ("FLOCK", "POSIX", "OFDLCK") and one[4].isdecimal()}
    return sorted({folder for pid in pids for folder in listLocks(Path("/proc", pid, "fd"))})


def listLocks(opened: Path) -> list[str]:
    """Return the run folders whose lock files a process has open, by its folder of links to them."""
    found = []
    try:
        for link in opened.iterdir():
            target = os.readlink(link)
            if target.endswith(END):
                found.append(target.removesuffix(END))
    except OSError:
        pass  # it has ended, or is somebody else's
    return found
