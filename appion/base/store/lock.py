"""One daemon per run folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.lockfile import encodeHolder, readHolder, tryLock
from appion.base.records.runfolder import lockPath


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
        while not tryLock(fd, path):
            if time.monotonic() >= deadline:
                raise _constructRefusal(path, readHolder(fd))
            time.sleep(0.1)
        os.ftruncate(fd, 0)
        os.pwrite(fd, encodeHolder(os.uname().nodename, os.getpid(), time.time()), 0)
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        raise
    return RunLock(fd, path)


def _constructRefusal(path: Path, holder: dict[str, Any]) -> ConfigurationFailure:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"])) if "since" in holder else "?"
    return ConfigurationFailure(
        f"{path.parent.parent} is already worked on by process {holder.get('pid', '?')} on host "
        f"{holder.get('host', '?')} since {since}",
        "stop that one first, or choose another run name",
    )
