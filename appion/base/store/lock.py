"""One daemon per run folder."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.records.lockfile import closeToOthers, encodeHolder, openLock, readHolder, tryLock
from appion.base.records.process import findLockers, findUserName, isAlive
from appion.base.records.runfolder import holderPath, lockPath
from appion.base.store.files import writeAtomically


class RunLock:
    """The lock of a run folder, held until `release` or the end of the process, however it ends."""

    def __init__(self, fd: int, path: Path):
        self._fd: int | None = fd
        self.path = path

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
    """Take the lock of a run folder and write host, process and time into it.

    For `patience` seconds it tries again: somebody may only be looking whether the lock is held.

    Raises:
        ConfigurationFailure: another daemon holds it, named with host, process and since when; or somebody else does,
            or this user may not lock it, or the file system has no locks.
    """
    path = lockPath(rundir)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fd = openLock(path)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP):
            raise
        raise _explainClosed(path, error) from error
    try:
        deadline = time.monotonic() + patience
        while not tryLock(fd, path):
            if time.monotonic() >= deadline:
                raise _constructRefusal(path, fd)
            time.sleep(0.1)
        closeToOthers(fd, path.parent)
        note = encodeHolder(os.uname().nodename, os.getpid(), time.time())
        os.ftruncate(fd, 0)
        os.pwrite(fd, note, 0)
        os.fsync(fd)
        writeAtomically(holderPath(rundir), note)
    except BaseException:
        os.close(fd)
        raise
    return RunLock(fd, path)


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
