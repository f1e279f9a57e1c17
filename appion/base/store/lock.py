"""One daemon per run folder."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure


def lockPath(rundir: Path | str) -> Path:
    """The lock file of a run. It stays when nobody holds it: the lock is on the file, not the file itself."""
    return Path(rundir) / ".appion" / "lock"


class RunLock:
    """The lock of a run folder, held until `release` or the end of the process, however it ends."""

    def __init__(self, fd: int, path: Path):
        self._fd: int | None = fd
        self.path = path

    def release(self) -> None:
        """Let others in."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def acquireLock(rundir: Path | str, patience: float = 1.0) -> RunLock:
    """Take the lock of a run folder and write host, process and time into it.

    For `patience` seconds it tries again: somebody may only be looking whether the lock is held.

    Raises:
        ConfigurationFailure: another daemon holds it, named with host, process and since when; or the file system has
            no locks.
    """
    path = lockPath(rundir)
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        deadline = time.monotonic() + patience
        while not _tryLock(fd, fcntl.LOCK_EX, path):
            if time.monotonic() >= deadline:
                raise _constructRefusal(path, _readHolder(fd))
            time.sleep(0.1)
        holder = {"host": os.uname().nodename, "pid": os.getpid(), "since": time.time()}
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(holder).encode(), 0)
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    return RunLock(fd, path)


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
        return None if _tryLock(fd, fcntl.LOCK_SH, path) else _readHolder(fd)
    finally:
        os.close(fd)


def _tryLock(fd: int, how: int, path: Path) -> bool:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise ConfigurationFailure(
            f"{path} cannot be locked: {error.strerror}",
            "mount the file system with locks (Lustre: -o flock) or choose a run folder elsewhere",
        ) from error
    return True


def _readHolder(fd: int) -> dict[str, Any]:
    try:
        holder = json.loads(os.pread(fd, 4096, 0))
        return holder if isinstance(holder, dict) else {}
    except ValueError:
        return {}


def _constructRefusal(path: Path, holder: dict[str, Any]) -> ConfigurationFailure:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"])) if "since" in holder else "?"
    return ConfigurationFailure(
        f"{path.parent.parent} is already worked on by process {holder.get('pid', '?')} on host "
        f"{holder.get('host', '?')} since {since}",
        "stop that one first, or choose another run name",
    )
