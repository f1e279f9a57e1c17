"""What TLS costs: the daemon's processor time for an exposure, and the share of their time in which workers work.

    python benchmarks/doors.py [--exposures N] [--pairs N] [--workers N] [--seconds S]

The same run with Dask's connections as they are, encrypted, and as they would be without; by turns, so that both meet
the same machine. Medians of the pairs, and their ratio.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config

from appion.base.step import Step
from appion.base.workers import cluster as clusters
from benchmarks import controller, occupancy


def openDoors() -> contextlib.ExitStack:
    """Local workers without certificates, for a `with` block."""
    stack = contextlib.ExitStack()
    stack.enter_context(mock.patch.object(clusters, "PROTOCOL", "tcp://"))
    stack.enter_context(mock.patch.object(clusters, "constructSecurity", return_value=None))
    return stack


def constructWay(name: str, closed: bool) -> Callable[[Step, Path], None]:
    """The daemon as :mod:`benchmarks.controller` runs it, in a run of that name."""

    def way(step: Step, rundir: Path) -> None:
        with contextlib.nullcontext() if closed else openDoors():
            controller.runDaemon(step, rundir)

    way.__name__ = name
    return way


def measureCost(exposures: int, pairs: int) -> dict[bool, list[float]]:
    """Milliseconds of the daemon's processor time for an exposure, with TLS (True) and without."""
    found: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory(prefix="doors-") as name, dask.config.set(controller.SETTINGS):
        folder = Path(name)
        with controller.makeDatabase("SQLite", folder):
            made = controller.makeExposures(folder, exposures)
            for number in range(2 * pairs):
                closed = number % 4 in (0, 3)  # each comes first as often
                cost = controller.measure(folder, made, constructWay(f"run{number}", closed))
                found[closed].append(1000 * cost.processor / exposures)
    return found


def measureWork(workers: int, seconds: float, pairs: int) -> dict[bool, list[float]]:
    """Share of the workers' time in which they work."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * pairs):
        closed = number % 4 in (0, 3)
        with (
            tempfile.TemporaryDirectory(prefix="doors-") as folder,
            dask.config.set(occupancy.SETTINGS),
            contextlib.nullcontext() if closed else openDoors(),
        ):
            found[closed].append(100 * occupancy.measureLoop(Path(folder), workers, seconds, 3))
    return found


def main() -> int:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=100, help="in a run (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=4, help="runs of each kind (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="how many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="an exposure takes (default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    print(f"{'':<38} {'with TLS':>10} {'without':>10} {'ratio':>7}")
    work = f"{args.workers} workers work, {args.seconds:g} s each"
    for what, unit, found in (
        ("processor time for an exposure", "ms", measureCost(args.exposures, args.pairs)),
        (work, "%", measureWork(args.workers, args.seconds, args.pairs)),
    ):
        here, other = median(found[True]), median(found[False])
        print(f"{what:<38} {here:>7.1f} {unit:<2} {other:>7.1f} {unit:<2} {here / other:>7.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
