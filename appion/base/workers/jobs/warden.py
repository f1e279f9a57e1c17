"""What cancels the jobs of a daemon that was killed: a shell that waits for the daemon's end, then this module.

A job that runs ends by itself when its worker finds no daemon; one that still waits for its turn would come up for
nothing, hours later.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterable

from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.job import callCommand
from appion.base.workers.jobs.reconcile import isAlive

#: Takes numbers line by line. At the end of its input, unless it was told that all is over, it becomes its arguments.
WAIT = """trap '' HUP INT TERM
while read -r word; do
    [ "$word" = over ] && exit
    set -- "$@" "$word"
done
exec "$@" """

#: How often it is tried, and how many seconds apart.
TRIES, PAUSE = 6, 10.0


class Warden:
    """The waiting shell. It needs some 2 MB, and is there until `dismiss`, or until this process ends in any way."""

    def __init__(self, label: str, adapter: Adapter):
        command = [sys.executable, "-m", __spec__.name, adapter.name, label]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", WAIT, "appion", *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, text=True,
        )  # fmt: skip

    def note(self, number: str) -> None:
        """Take in the number of a job that was submitted."""
        self._tell(number)

    def dismiss(self) -> None:
        """All is over: whoever closes has cancelled the jobs."""
        self._tell("over")
        self._process.communicate()

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # somebody ended it; jobs that run still end by themselves
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()


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
