"""Who works on a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from appion.base.records.lockfile import decodeHolder, readHolder, tryLock
from appion.base.records.process import isAlive
from appion.base.records.runfolder import holderPath, lockPath


def readLockHolder(rundir: Path | str) -> dict[str, Any] | None:
    """Host, pid and since of the daemon that holds the lock; None if nobody does, whatever the file says.

    Empty if somebody holds it, but not the daemon that is named in it, which is no more. Whoever may not open the lock
    is told by the note beside it, if that names a process of this host that is there.

    Not to be called by the process that holds it: where locks go over the network that would give the lock away.
    """
    path = lockPath(rundir)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        return _readNote(rundir)
    try:
        if tryLock(fd, path, shared=True):
            return None
        holder = readHolder(fd)
        return {} if isAlive(holder) is False else holder
    finally:
        os.close(fd)


def _readNote(rundir: Path | str) -> dict[str, Any] | None:
    try:
        holder = decodeHolder(holderPath(rundir).read_bytes())
    except OSError:
        return None
    here = holder.get("host") == os.uname().nodename
    return holder if here and isAlive(holder) is not False else None
