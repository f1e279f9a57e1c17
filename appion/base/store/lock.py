"""One daemon per run folder, and whether that folder is still there."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.belonging import NOTHING, OTHER, Belonging, constructAway
from appion.base.records.lockfile import encodeHolder, readHolder, tryLock
from appion.base.records.runfolder import lockPath


class RunLock:
    """The lock of a run folder, held until `release` or the end of the process, however it ends."""

    def __init__(self, fd: int, path: Path, word: str):
        self._fd: int | None = fd
        self.path = path
        self.belonging = Belonging(str(path.parent.parent), word)
        status = os.fstat(fd)
        self._identity = status.st_dev, status.st_ino

    def check(self) -> None:
        """Look whether the run folder is the one whose lock is held.

        By device and number of the lock file; if it has others, as after it was mounted anew, by the word in it, and
        the lock is taken again.

        Raises:
            InfrastructureFailure: it is away, or another folder is in its place.
        """
        rundir = self.belonging.rundir
        try:
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) != self._identity:
                self._takeAgain()
        except FileNotFoundError as error:
            raise constructAway(rundir, NOTHING) from error
        except OSError as error:
            raise constructAway(rundir, error) from error

    def _takeAgain(self) -> None:
        """Hold the file that is now at the path. Raises OSError, InfrastructureFailure: it is not ours."""
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if readHolder(fd).get("word") != self.belonging.word:
                raise constructAway(self.belonging.rundir, OTHER)
            status = os.fstat(fd)
            try:
                taken = tryLock(fd, self.path)
            except ConfigurationFailure as failure:
                raise constructAway(self.belonging.rundir, failure.reason) from failure
        except BaseException:
            os.close(fd)
            raise
        self._identity = status.st_dev, status.st_ino
        if taken:
            self._fd, fd = fd, self._fd or fd
        os.close(fd)  # the one without the lock: who has written no other word is no other

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
    """Take the lock of a run folder and write host, process, time and a new word into it.

    For `patience` seconds it tries again: somebody may only be looking whether the lock is held.

    Raises:
        ConfigurationFailure: another daemon holds it, named with host, process and since when; the file system has no
            locks; or it is full, or takes nothing for another reason.
    """
    path = lockPath(rundir)
    word = uuid.uuid4().hex
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            deadline = time.monotonic() + patience
            while not tryLock(fd, path):
                if time.monotonic() >= deadline:
                    raise _constructRefusal(path, readHolder(fd))
                time.sleep(0.1)
            holder = encodeHolder(os.uname().nodename, os.getpid(), time.time(), word)
            os.pwrite(fd, holder, 0)  # over what is there, which a full disk may permit
            os.ftruncate(fd, len(holder))
            os.fsync(fd)
            return RunLock(fd, path, word)
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise ConfigurationFailure(
            f"{path} cannot be written: {error.strerror or error}", "make room, or look at its mount; then start again"
        ) from error


def _constructRefusal(path: Path, holder: dict[str, Any]) -> ConfigurationFailure:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"])) if "since" in holder else "?"
    return ConfigurationFailure(
        f"{path.parent.parent} is already worked on by process {holder.get('pid', '?')} on host "
        f"{holder.get('host', '?')} since {since}",
        "stop that one first, or choose another run name",
    )
