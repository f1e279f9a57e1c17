"""How long a new exposure waits until it is submitted while 200 others run and thousands more stand in line.

    python benchmarks/latency.py [--new N] [--seconds S] [--poll S]

New rows appear one at a time at irregular moments; measured is the time from the row to the event `submitted` of the
daemon's loop on a local cluster: 200 workers in four processes, each with a further exposure to go on with. Others take
S seconds, and one in fifty takes five times as long, as a large movie does. Beside it the same cluster fed one batch of
200 at a time, newest first. The target is the poll interval and one second more; the exit code tells whether it is met.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config
from distributed import Client

from appion.base.retrieve.events import readEvents
from appion.base.workers import cluster as clusters
from benchmarks._crowd import constructCrowd
from benchmarks._session import Session, calc

RUNNING, PROCESSES = 200, 4
BACKLOG = 20_000
SETTINGS = {"appion.free_space": 0, "appion.log_interval": 1e6}


def constructThem(*_: object) -> clusters.LocalCluster:
    """The cluster, whatever the settings say."""
    return constructCrowd(RUNNING, PROCESSES)


def main() -> int:
    """Measure both ways."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--new", type=int, default=20, help="new rows (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="an exposure takes (default: %(default)s)")
    parser.add_argument("--poll", type=float, default=5.0, help="the poll interval (default: %(default)s)")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="latency-") as folder,
        dask.config.set(SETTINGS | {"appion.poll": args.poll}),
        mock.patch.object(clusters, "constructLocalCluster", constructThem),
    ):
        here = measureLoop(Path(folder), args.new, args.seconds)
        other = measureBatches(Path(folder), args.new, args.seconds, args.poll)
    print(f"{RUNNING} run, {BACKLOG:,} stand in line, exposures of {args.seconds:g} s, poll every {args.poll:g} s\n")
    print(f"{'seconds from row to submission':<32} {'median':>7} {'longest':>8}")
    for what, waits in (("this daemon", here), ("one batch at a time", other)):
        print(f"{what:<32} {statistics.median(waits):>7.2f} {max(waits):>8.2f}   ({len(waits)} rows)")
    print(f"{'ratio':<32} {statistics.median(other) / statistics.median(here):>7.1f} {max(other) / max(here):>8.1f}")
    met = max(here) <= args.poll + 1
    print(f"\nat most the poll interval and one second, {args.poll + 1:g} s: {'yes' if met else 'NO'}")
    return int(not met)


def drawSeconds(image_id: int, seconds: float) -> float:
    """What an exposure takes."""
    draw = random.Random(image_id)
    return round(seconds * draw.uniform(0.8, 1.2) * (5 if draw.random() < 0.02 else 1), 3)


def addRows(number: int, seconds: float, add: Callable[[int], None]) -> dict[int, float]:
    """Add rows at irregular moments, on average three while one exposure is processed; returns when each was added."""
    added, draw = {}, random.Random(number)
    for image_id in range(BACKLOG + 1, BACKLOG + number + 1):
        time.sleep(draw.uniform(0, 2 * seconds / 3))
        added[image_id] = time.time()
        add(image_id)
    return added


def measureLoop(folder: Path, number: int, seconds: float) -> list[float]:
    """Have the daemon's loop do it."""
    session = Session(folder / "run", lambda one: drawSeconds(one, seconds))
    session.add(range(1, BACKLOG + 1))
    added: dict[int, float] = {}

    def submitted() -> dict[int, float]:
        events = readEvents(session.rundir)
        return {event["image"]: event["time"] for event in events if event["what"] == "submitted"}

    def watch() -> None:
        try:
            while not (session.rundir / ".appion" / "events.jsonl").exists() or len(submitted()) < 2 * RUNNING:
                time.sleep(0.5)
            time.sleep(seconds)
            added.update(addRows(number, seconds, lambda image_id: session.add([image_id])))
            deadline = time.monotonic() + 60
            while not added.keys() <= submitted().keys() and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            for _ in range(2):  # the second time: at once
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)

    thread = threading.Thread(target=watch)
    thread.start()
    session.run(RUNNING, wait=True)
    thread.join()
    found = submitted()
    return [found[image_id] - when for image_id, when in added.items()]


def measureBatches(folder: Path, number: int, seconds: float, poll: float) -> list[float]:
    """One batch after another, the newest first."""
    rundir, added, submitted = folder / "other", dict[int, float](), dict[int, float]()
    rundir.mkdir()
    waiting = list(range(1, BACKLOG + 1))
    with clusters.redirectDaskLogs(rundir), clusters.constructCluster() as cluster, Client(cluster) as client:
        thread = threading.Thread(target=lambda: added.update(addRows(number, seconds, waiting.append)))
        thread.start()
        while thread.is_alive() or not added.keys() <= submitted.keys():
            start = time.time()
            ids = [waiting.pop() for _ in range(RUNNING)]
            submitted.update(dict.fromkeys(ids, start))
            batch = [{"id": one, "rundir": str(rundir), "seconds": drawSeconds(one, seconds)} for one in ids]
            client.gather(client.map(calc, batch, pure=False))
            time.sleep(max(0.0, start + poll - time.time()))
    return [submitted[image_id] - when for image_id, when in added.items()]


if __name__ == "__main__":
    sys.exit(main())
