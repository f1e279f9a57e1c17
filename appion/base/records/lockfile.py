"""The lock file of a run folder: how it is locked and what stands in it, for those who take it and those who look.

Whoever may open a file may lock it, and so keep a daemon out: only those may open it who may write into its folder, and
thus do anything to the run. For all others what stands in it is in another file beside it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.process import readNamespace, readStartTime


def openLock(path: Path) -> int:
    """Open the lock file for locking, made for this user alone if it is not there; a link is not followed.

    Raises:
        OSError: as the system gives it.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def closeToOthers(fd: int, folder: Path) -> None:
    """Let only those open a lock file who may write into its folder; earlier versions let everybody read it."""
    with contextlib.suppress(OSError):  # it belongs to another one of the group
        mode = 0o600 | (stat.S_IMODE(os.stat(folder).st_mode) & 0o020 and 0o060)
        if stat.S_IMODE(os.fstat(fd).st_mode) != mode:
            os.fchmod(fd, mode)


def tryLock(fd: int, path: Path, shared: bool = False) -> bool:
    """Lock an open file without waiting; False if somebody holds it. Who only looks takes the `shared` lock.

    Raises:
        ConfigurationFailure: the file system has no locks.
    """
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise ConfigurationFailure(
            f"{path} cannot be locked: {error.strerror}",
            "mount the file system with locks (Lustre: -o flock) or choose a run folder elsewhere",
        ) from error
    return True


def encodeHolder(host: str, pid: int, since: float, word: str = "") -> bytes:
    """What the holder, a process of this host, writes into the file; `since` in seconds since the epoch.

    `word`: of its own, by which the run folder is known (see belonging).
    """
    more = {"started": readStartTime(pid), "namespace": readNamespace(), "word": word}
    return json.dumps({"host": host, "pid": pid, "since": since} | more).encode()


def readHolder(fd: int) -> dict[str, Any]:
    """Host, pid, since and word as they stand in the open file; empty if that makes no sense. Raises OSError."""
    return decodeHolder(os.pread(fd, 4096, 0))


def decodeHolder(text: bytes) -> dict[str, Any]:
    """What :func:`encodeHolder` made a text of; empty if it is something else."""
    try:
        holder = json.loads(text)
        return holder if isinstance(holder, dict) else {}
    except ValueError:
        return {}
