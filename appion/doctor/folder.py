"""Folders: there, writable, with room, on a file system that knows locks."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appion.base.config import setting
from appion.doctor.finding import TODO, WELL, Finding

GIGABYTE = 1e9


def checkFolder(folder: Path, subject: str, what: str) -> Iterator[Finding]:
    """Write a file into a folder, lock it, remove it, and look at the space that is left."""
    if not folder.is_dir():
        yield Finding(TODO, subject, f"{what}: {folder} is not there",
                      "mount it on this host, or start the program elsewhere")  # fmt: skip
        return
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".appion-doctor-") as file:
            file.write(b"well")
            file.flush()
            locks = _knowsLocks(file.fileno())
    except OSError as error:
        yield Finding(TODO, subject, f"{what}: {folder} cannot be written to: {error}",
                      f"give {os.environ.get('USER') or os.getuid()} the right to")  # fmt: skip
        return
    free, least = shutil.disk_usage(folder).free / GIGABYTE, setting("free_space")
    if not locks:
        yield Finding(TODO, subject, f"{what}: the file system of {folder} knows no locks", "mount it with -o flock")
    elif free < least:
        yield Finding(TODO, subject, f"{what}: {folder} has only {free:.1f} GB left (appion.free_space: {least:g})",
                      "make room")  # fmt: skip
    else:
        yield Finding(WELL, subject, f"{what}: {folder} can be written to, {free:.0f} GB left")


def checkRundir(rundir: Path) -> Iterator[Finding]:
    """Look at a run folder, or at the folder in which it would be made."""
    rundir = rundir.absolute()
    existing = next(folder for folder in (rundir, *rundir.parents) if folder.exists())
    what = "run folder" if existing == rundir else f"{rundir} is to be made"
    yield from checkFolder(existing, "run folder", what)


def _knowsLocks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
