"""Whether one daemon can run for weeks: memory per exposure when tens of thousands of no duration go through it.

    python benchmarks/memory.py [--exposures N] [--workers N]

The daemon's loop on a local cluster, beside a loop that submits to the same kind of cluster and keeps its futures, as
one would write it first. Prints memory (RSS of the process with loop and scheduler) over time, and what an exposure
costs once everything has warmed up: the slope over the second half of the run. What the daemon knows of an exposure
that is done takes some ten bytes; Dask keeps the names of the last 100,000 tasks (`dask.utils.key_split`), some 600
bytes each, and no more. More than 1 kB would be a leak. The full size is --exposures 20000.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config
import numpy
from distributed import Client, Scheduler

from appion.base.workers.cluster import constructCluster, redirectDaskLogs
from benchmarks._session import Session, calc

#: Bytes per exposure that are no leak.
ALLOWED = 1000.0
SETTINGS = {"appion.window": 16, "appion.nowait_patience": 0.5, "appion.free_space": 0, "appion.log_interval": 1e6}


class Samples:
    """Memory by number of exposures done."""

    def __init__(self, every: int):
        self.every, self.number = every, 0
        self.done: list[int] = []
        self.rss: list[int] = []
        self.start = time.monotonic()

    def add(self, _result: Any = None) -> None:
        """One more is done."""
        self.number += 1
        if self.number % self.every == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.done.append(self.number)
            self.rss.append(pages * os.sysconf("SC_PAGE_SIZE"))

    def calcSlope(self, share: float = 0.5) -> float:
        """Bytes per exposure over the last `share` of the run, by least squares."""
        first = int(len(self.done) * (1 - share))
        return float(numpy.polyfit(self.done[first:], self.rss[first:], 1)[0])

    def show(self, what: str) -> None:
        """Print the course of it."""
        steps = range(0, len(self.done), max(1, len(self.done) // 8))
        course = "  ".join(f"{self.done[i]:,}: {self.rss[i] / 1e6:.0f}" for i in steps)
        rate = self.number / (time.monotonic() - self.start)
        print(f"{what}: {self.number:,} exposures, {rate:.0f} per second\n    MB after  {course}")


def main() -> int:
    """Run both, print both; exit code 1 if the daemon leaks."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=4000, help="how many (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes (default: %(default)s)")
    args = parser.parse_args()
    every = max(1, args.exposures // 200)
    with tempfile.TemporaryDirectory(prefix="memory-") as folder, dask.config.set(SETTINGS):
        here = measureLoop(Path(folder), args.exposures, args.workers, every)
        here.show("this daemon")
        tasks = sum(len(scheduler.tasks) for scheduler in Scheduler._instances)
        print(f"    tasks left in the scheduler: {tasks}")
        other = measureKeeping(Path(folder), min(args.exposures, 4000), args.workers, every)
        other.show("futures kept")
    slope, slow = here.calcSlope(), other.calcSlope()
    print(f"\nper exposure: {slope:,.0f} bytes (last quarter {here.calcSlope(0.25):,.0f}), "
          f"futures kept {slow:,.0f} bytes, ratio {slow / max(slope, 1):.0f}")  # fmt: skip
    return int(here.calcSlope(0.25) > ALLOWED or tasks > 0)


def measureLoop(folder: Path, number: int, workers: int, every: int) -> Samples:
    """Have the daemon's loop do it."""
    samples = Samples(every)
    session = Session(folder / "run", onStore=samples.add)
    session.add(range(1, number + 1))
    session.run(workers)
    assert samples.number == number
    return samples


def measureKeeping(folder: Path, number: int, workers: int, every: int) -> Samples:
    """Submit everything in chunks and keep what came back."""
    rundir = folder / "other"
    rundir.mkdir()
    samples, futures = Samples(every), []
    with redirectDaskLogs(rundir), constructCluster((), workers) as cluster, Client(cluster) as client:
        for first in range(1, number + 1, 16):
            ids = range(first, min(first + 16, number + 1))
            chunk = [client.submit(calc, {"id": one, "rundir": str(rundir), "seconds": 0}, pure=False) for one in ids]
            futures += chunk
            for _ in client.gather(chunk):
                samples.add()
    return samples


if __name__ == "__main__":
    sys.exit(main())
