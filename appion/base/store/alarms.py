"""Keeping the alarms of a run: who judges them holds a lock, so that nothing is told by two."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from appion.base.records.alarm import Memory, decodeMemory, encodeMemory
from appion.base.records.lockfile import closeToOthers, openLock, tryLock
from appion.base.records.runfolder import alarmsLockPath, alarmsPath
from appion.base.store.files import writeAtomically


@contextlib.contextmanager
def lockAlarms(rundir: Path | str, patience: float = 0.0) -> Iterator[bool]:
    """Yield whether nobody else judges the alarms of a run during a `with` block; tried for `patience` seconds.

    A killed process lets go of it at once.

    Raises:
        OSError: as the system gives it.
        ConfigurationFailure: the file system has no locks.
    """
    path = alarmsLockPath(rundir)
    descriptor = openLock(path)
    try:
        closeToOthers(descriptor, path.parent)
        deadline = time.monotonic() + patience
        while not (mine := tryLock(descriptor, path)) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield mine
    finally:
        os.close(descriptor)


def loadMemory(rundir: Path | str) -> Memory:
    """Return what was kept; nothing if there is nothing yet. To be called under the lock.

    Raises:
        OSError: as the system gives it.
        ValueError: what is there is something else.
    """
    try:
        return decodeMemory(alarmsPath(rundir).read_bytes())
    except FileNotFoundError:
        return Memory()


def saveMemory(rundir: Path | str, memory: Memory) -> None:
    """Keep it. To be called under the lock.

    Raises:
        OSError: as the system gives it; the old one is then untouched.
    """
    writeAtomically(alarmsPath(rundir), encodeMemory(memory))
