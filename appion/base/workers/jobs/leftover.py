"""Run when a daemon was killed: cancels its jobs.

A job that runs ends by itself when its worker finds no daemon; one that still waits for its turn would come up for
nothing, hours later.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable

from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.job import callCommand
from appion.base.workers.jobs.reconcile import isAlive

#: How often it is tried, and how many seconds apart.
TRIES, PAUSE = 6, 10.0


async def cancelLeft(adapter: Adapter, label: str, numbers: Iterable[str]) -> bool:
    """Cancel those of these jobs that the scheduler still shows under this name; returns whether it could be asked.

    No others: the next daemon of the run may be there already, and has jobs of that name.
    """
    try:
        text = await callCommand(*adapter.constructListing(label))
        listed = adapter.readListing(text, label)
        if left := [number for number in numbers if number in listed and isAlive(listed[number])]:
            await callCommand(*adapter.constructCancel(label, left))
    except (JobsError, OSError) as error:
        return adapter.isEmpty(str(error)) or adapter.isOver(str(error))
    return True


async def main(name: str, label: str, *numbers: str) -> None:
    """Cancel what is left, however long the scheduler takes to answer."""
    for _ in range(TRIES):
        if not numbers or await cancelLeft(ADAPTERS[name], label, numbers):
            return
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
