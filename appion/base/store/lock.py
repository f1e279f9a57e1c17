"""One daemon per run folder, and whether that folder is still there."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
import uuid
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.records.belonging import NOTHING, OTHER, Belonging, constructAway
from appion.base.records.lockfile import closeToOthers, encodeHolder, openLock, readHolder, tryLock
from appion.base.records.process import findLockers, findUserName, isAlive
from appion.base.records.runfolder import holderPath, lockPath
from appion.base.store.files import writeAtomically


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
            with contextlib.suppress(OSError):
                holderPath(self.path.parent.parent).unlink(missing_ok=True)
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
        ConfigurationFailure: another daemon holds it, named with host, process and since when; or somebody else does,
            or this user may not lock it; or the file system has no locks, is full, or takes nothing for another reason.
    """
    path = lockPath(rundir)
    word = uuid.uuid4().hex
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = openLock(path)
        try:
            deadline = time.monotonic() + patience
            while not tryLock(fd, path):
                if time.monotonic() >= deadline:
                    raise _constructRefusal(path, fd)
                time.sleep(0.1)
            closeToOthers(fd, path.parent)
            about = os.uname().nodename, os.getpid(), time.time()
            holder = encodeHolder(*about, word)
            os.pwrite(fd, holder, 0)  # over what is there, which a full disk may permit
            os.ftruncate(fd, len(holder))
            os.fsync(fd)
            with contextlib.suppress(OSError):  # it is for those who may only look
                writeAtomically(holderPath(rundir), encodeHolder(*about))
            return RunLock(fd, path, word)
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.ELOOP) and os.path.lexists(path):
            raise _explainClosed(path, error) from error
        raise ConfigurationFailure(
            f"{path} cannot be written: {error.strerror or error}", "make room, or look at its mount; then start again"
        ) from error


def _constructRefusal(path: Path, fd: int) -> ConfigurationFailure:
    """Name the daemon that holds the lock, or whoever else does; never a process that is no more."""
    holder, here = readHolder(fd), findLockers(fd)
    alive = isAlive(holder)
    if alive is False or (here and holder.get("host") != os.uname().nodename):
        who = " and ".join(f"process {pid} of user {findUserName(uid)}" for pid, uid in here)
        where = "" if here else " (lslocks, as root, on the hosts that see the folder)"
        return ConfigurationFailure(
            f"{path} is locked by {who or 'somebody who cannot be seen from here'}, and that is no daemon",
            f"have that ended{where} and start again: from then on only those can lock it who may write there",
        )
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"])) if "since" in holder else "?"
    return ConfigurationFailure(
        f"{path.parent.parent} is already worked on by process {holder.get('pid', '?')} on host "
        f"{holder.get('host', '?')} since {since}",
        "stop that one first, or choose another run name",
    )


def _explainClosed(path: Path, error: OSError) -> ConfigurationFailure:
    info = os.lstat(path)
    return ConfigurationFailure(
        f"{path} cannot be opened: {error.strerror}; it belongs to user {findUserName(info.st_uid)} and has mode"
        f" {stat.S_IMODE(info.st_mode):04o}",
        "run as that user, or have a common group and umask 002 (chmod g+rw on the lock, g+w on its folder)",
    )
