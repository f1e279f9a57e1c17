"""Run when a daemon was killed: cancels its jobs.

A job that runs ends by itself when its worker finds no daemon; one that still waits for its turn would come up for
nothing, hours later.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.records.lockfile import tryLock
from appion.base.records.runfolder import lockPath
from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.job import callCommand
from appion.base.workers.jobs.reconcile import isAlive

#: How often is looked, and how many seconds apart: a job may be on its way to the scheduler when its daemon is killed.
TRIES, PAUSE = 7, 10.0


async def cancelLeft(adapter: Adapter, rundir: Path, numbers: Iterable[str]) -> bool:
    """Cancel the jobs that the scheduler shows under the name of a run; returns whether there is more to wait for.

    All of them if no daemon has the run after they were listed, also the one that was taken a moment before the end.
    Else those of these numbers alone: the next daemon is there already, has jobs of that name, and finds the rest.
    """
    label = adapter.constructName(rundir)
    try:
        listed = adapter.readListing(await callCommand(*adapter.constructListing(label)), label)
        free = isFree(rundir)
        kept = listed if free else [number for number in numbers if number in listed]
        if left := [number for number in kept if isAlive(listed[number])]:
            await callCommand(*adapter.constructCancel(label, left))
    except (JobsError, OSError) as error:
        return isFree(rundir) or not (adapter.isEmpty(str(error)) or adapter.isOver(str(error)))
    return free


def isFree(rundir: Path) -> bool:
    """Whether it is certain that no daemon has a run."""
    path = lockPath(rundir)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return tryLock(fd, path, shared=True)
        finally:
            os.close(fd)
    except (OSError, ConfigurationFailure):
        return False


async def main(name: str, rundir: str, *numbers: str) -> None:
    """Cancel what is left, however long the scheduler takes to answer."""
    for _ in range(TRIES):
        if not await cancelLeft(ADAPTERS[name], Path(rundir), numbers):
            return
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
