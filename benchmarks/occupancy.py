"""What share of their time workers work, with 1, 4, 16 and 64 of them.

    python benchmarks/occupancy.py [--workers N ...] [--seconds S] [--rounds N] [--processes N]

The daemon's loop on a local cluster with programs that sleep, a fifth longer or shorter than each other. Beside it the
same cluster fed one batch at a time: as many exposures as workers, and the next when all have come back. Measured from
when every worker has begun; time in which a worker's program does not run is lost time. Where there are more workers
than processes they share them, as many would take minutes to start on a small machine. The full size is --seconds 5
--processes 64.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config
from distributed import Client, get_worker

from appion.base.workers import cluster as clusters
from benchmarks._crowd import constructCrowd
from benchmarks._session import Session, calc

SETTINGS = {"appion.free_space": 0, "appion.log_interval": 1e6, "appion.stop_timeout": 60}
#: How much longer or shorter than another an exposure may take.
SPREAD = 0.2


def tellWorker(params: dict[str, Any]) -> dict[str, Any]:
    """As :func:`calc`, on a worker that gives its name."""
    return calc(params | {"worker": get_worker().address})


class Watch:
    """Collects from when to when which worker worked, until `rounds` times `seconds` after all of them have begun."""

    def __init__(self, workers: int, seconds: float, rounds: int):
        self.workers, self.span = workers, seconds * rounds
        self.seen: set[str] = set()
        self.work: list[tuple[float, float]] = []
        self.began = 0.0

    def add(self, result: dict[str, Any]) -> bool:
        """Take a result; returns whether there is enough."""
        self.seen.add(result["worker"])
        self.work.append((result["start"], result["end"]))
        if len(self.seen) == self.workers and not self.began:
            self.began = result["end"]
        return bool(self.began) and result["end"] > self.began + self.span

    def calcShare(self) -> float:
        """Share of the workers' time in which they worked."""
        end = self.began + self.span
        busy = sum(max(0.0, min(stop, end) - max(start, self.began)) for start, stop in self.work)
        return busy / (self.workers * self.span)


def main() -> int:
    """Measure both ways for each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4, 16, 64], help="how many (default: all four)")
    parser.add_argument("--seconds", type=float, default=2.0, help="an exposure takes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="exposures for each worker (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=4, help="of workers, at most (default: %(default)s)")
    args = parser.parse_args()
    print(f"exposures of {args.seconds:g} s ± {SPREAD:.0%}, {args.rounds} rounds\n")
    print(f"{'workers':>7}   {'this daemon':>11}   {'one batch at a time':>19}   {'lost time, ratio':>16}")
    for workers in args.workers:
        processes = min(workers, args.processes)
        crowd = functools.partial(constructCrowd, workers, processes)
        with (
            tempfile.TemporaryDirectory(prefix="occupancy-") as folder,
            dask.config.set(SETTINGS),
            mock.patch.object(clusters, "constructLocalCluster", lambda *_, crowd=crowd: crowd()),
        ):
            here = measureLoop(Path(folder), workers, args.seconds, args.rounds)
            other = measureBatches(Path(folder), workers, args.seconds, args.rounds)
        print(f"{workers:>7}   {here:>11.1%}   {other:>19.1%}   {(1 - other) / max(1 - here, 1e-4):>16.1f}", flush=True)
    return 0


def drawSeconds(image_id: int, seconds: float) -> float:
    """What an exposure takes: the same for both ways."""
    return round(seconds * random.Random(image_id).uniform(1 - SPREAD, 1 + SPREAD), 3)


def measureLoop(folder: Path, workers: int, seconds: float, rounds: int) -> float:
    """Have the daemon's loop do it and stop it as somebody would."""
    watch, stopped = Watch(workers, seconds, rounds), []

    def onStore(result: dict[str, Any]) -> None:
        if watch.add(result) and not stopped:
            stopped.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    session = Session(folder / "run", lambda one: drawSeconds(one, seconds), tellWorker, onStore)
    session.add(range(1, 100_000))
    session.run(workers, wait=True)
    return watch.calcShare()


def measureBatches(folder: Path, workers: int, seconds: float, rounds: int) -> float:
    """One batch after another."""
    rundir, watch, last, enough = folder / "other", Watch(workers, seconds, rounds), 0, False
    with clusters.redirectDaskLogs(rundir), clusters.constructCluster() as cluster, Client(cluster) as client:
        while not enough:
            ids = range(last + 1, last + workers + 1)
            last = ids[-1]
            batch = [{"id": one, "rundir": str(rundir), "seconds": drawSeconds(one, seconds)} for one in ids]
            for result in client.gather(client.map(tellWorker, batch, pure=False)):
                enough = watch.add(result) or enough
    return watch.calcShare()


if __name__ == "__main__":
    sys.exit(main())
