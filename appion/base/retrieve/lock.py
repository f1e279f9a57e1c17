"""Who works on a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from appion.base.records.lockfile import readHolder, tryLock
from appion.base.records.runfolder import lockPath


def readLockHolder(rundir: Path | str) -> dict[str, Any] | None:
    """Host, pid and since of the daemon that holds the lock; None if nobody does, whatever the file says.

    Not to be called by the process that holds it: where locks go over the network that would give the lock away.
    """
    path = lockPath(rundir)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if tryLock(fd, path, shared=True) else readHolder(fd)
    finally:
        os.close(fd)
