"""P16: nothing grows with the number of exposures but the few words that say which are done."""

from __future__ import annotations

import gc
import os
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

import dask.config
import pytest
from distributed import Scheduler

from appion.base import loop
from appion.base.controller.run import Run
from appion.base.loop import LoopOptions, runLoop
from appion.base.workers.pool import BUNCH
from tests.base.fakes import fast, lab
from tests.faults.daemon import calcNothing

__all__ = ["fast", "lab"]

#: Exposures in each of the portions; what the first one needs is warming up.
PORTION = 700


#: Dask's logs of the last 10,000 events are full after a while anyway; so short they are full after the first portion.
SETTINGS = {
    "appion.window": 16, "appion.poll": 5, "appion.status_interval": 1,
    "distributed.admin.log-length": 100, "distributed.admin.low-level-log-length": 100,
}  # fmt: skip


class Watch:
    """The run, and what this process holds after each portion of it."""

    def __init__(self):
        self.done = 0
        self.memory: list[int] = []  # bytes
        self.blocks: list[int] = []  # of Python objects, whatever their size
        self.tasks: list[int] = []  # that Dask knows

    def keepRun(self, **fields):
        self.run = Run(**fields)
        return self.run

    def store(self, _result):
        self.done += 1
        if self.done % PORTION == 0:
            gc.collect()
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
            self.blocks.append(sys.getallocatedblocks())
            self.tasks.append(countTasks())
        return ()

    def findLargest(self):
        """The length of the longest container of the run but the one that says which exposure is in which phase."""
        holders = (self.run, self.run.exposures, self.run.pool, self.run.reporter)
        things = {name: thing for one in holders for name, thing in vars(one).items() if name != "phase"}
        return max((len(thing), name) for name, thing in things.items() if isinstance(thing, (dict, set, list, deque)))


def countTasks():
    return sum(len(scheduler.tasks) for scheduler in Scheduler._instances)


@pytest.mark.usefixtures("fast")
def test_P16_a_run_of_thousands_keeps_nothing_of_what_is_done(lab, monkeypatch):
    """Exposures of no duration on real workers; benchmarks/memory.py measures what one costs over a longer run."""
    watch = Watch()
    monkeypatch.setattr(loop, "Run", watch.keepRun)
    lab.add(*range(1, 3 * PORTION + 1))
    step = replace(lab.step(), calc=calcNothing, store=watch.store)
    with dask.config.set(SETTINGS):
        summary = runLoop(
            step, lab.rundir, LoopOptions(wait=False, workers=1), isDatabaseAway=lambda _: False, reconnect=lambda: None
        )
    assert summary.counts["done"] == summary.total == 3 * PORTION
    assert max(watch.tasks) <= 16 + BUNCH
    assert countTasks() == 0
    length, name = watch.findLargest()
    assert length <= 1000, name
    growth = {name: getattr(watch, name)[2] - getattr(watch, name)[1] for name in ("memory", "blocks")}
    assert growth["blocks"] < 14 * PORTION, "Dask keeps some ten of each of the last 100,000 tasks"
    assert not watch.run.exposures.names
    assert growth["memory"] < 8000 * PORTION, "bytes; what Dask and the allocator keep for a while is in it"
