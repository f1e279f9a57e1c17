"""What one exposure costs the controller: processor time of the daemon and database queries.

    python benchmarks/controller.py [--exposures N] [--mariadb | --no-mariadb]

Motion correction as it is, from the rows of Leginon to the rows and files of the aligned images, on a local cluster;
only the program takes no time and its sums are a few bytes. Beside it the same work as one would write it first: list
everything that is not done, take a batch, read one exposure after another, submit the batch, wait for all of it, store,
and list again. Both run on SQLite and, where it is installed, on a MariaDB of its own. Processor time is that of the
process with loop, Dask's scheduler and client, without the start of the workers.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config
import mrcfile
import numpy
from distributed import Client

import sinedon
from appion.base.calc.numbers import calcFields
from appion.base.cli.options import constructParser
from appion.base.loop import LoopOptions, runLoop
from appion.base.records.task import encodeComputed
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.session import Session
from appion.base.step import Step
from appion.base.store.path import savePathData
from appion.base.workers.cluster import constructCluster, redirectDaskLogs
from appion.base.workers.task import computeTask
from appion.motioncorrection.calc.internal.encoding import decodeResult
from appion.motioncorrection.calc.internal.numbers import calcNumbers
from appion.motioncorrection.records import (
    MotionCorrectionOptions,
    MotionCorrectionParams,
    MotionCorrectionResult,
    Program,
)
from appion.motioncorrection.retrieve.done import retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from appion.motioncorrection.retrieve.ready import checkReady
from appion.motioncorrection.store.result import storeResult
from appion.motioncorrection.store.run import saveStackRun
from sinedon.create import createDatabases
from sinedon.models import appiondata
from tests.services.mariadb import MariaDB, findMariaDB
from tests.services.sessions import MadeSession, makeSession

FRAMES, SIDE = 4, 16
OPTIONS = MotionCorrectionOptions(doseweight=True)
WORKERS, BATCH = 2, 20
SETTINGS = {"appion.free_space": 0, "appion.log_interval": 1e6, "appion.nowait_patience": 0, "appion.poll": 1}


@dataclass(frozen=True)
class Cost:
    """What so many exposures cost: processor seconds, seconds, queries."""

    exposures: int
    processor: float
    elapsed: float
    queries: int


def calcNothing(params: MotionCorrectionParams) -> MotionCorrectionResult:
    """Two sums of a few bytes, in no time."""
    files = params.files
    for path in (files.sum, files.weighted):
        Path(path).write_text("a sum")
    positions = tuple((0.5 * i, -0.25 * i) for i in range(FRAMES))
    return MotionCorrectionResult(
        params, ("motioncor2",), "localhost", time.time(), 0.0, positions, positions, files.sum, files.weighted,
        (SIDE, SIDE), "", "", mean=1.0,
    )  # fmt: skip


def main() -> int:
    """Measure both ways on each database."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--mariadb", action=argparse.BooleanOptionalAction, default=findMariaDB() is not None)
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    print(f"{args.exposures} exposures, a step whose program takes no time, {WORKERS} workers; per exposure\n")
    print(f"{'':<9} {'':<18} {'this daemon':>12} {'one batch at a time':>20} {'ratio':>6}")
    for engine in ("SQLite", "MariaDB")[: 1 + args.mariadb]:
        with tempfile.TemporaryDirectory(prefix="controller-") as name, dask.config.set(SETTINGS):
            folder = Path(name)
            with makeDatabase(engine, folder):
                made = makeExposures(folder, args.exposures)
                here, other = (measure(folder, made, way) for way in (runDaemon, runBatches))
        for what, unit, key in (
            ("processor time", "ms", "processor"), ("elapsed time", "ms", "elapsed"), ("queries", "", "queries")
        ):  # fmt: skip
            scale = (1000 if unit else 1) / args.exposures
            mine, theirs = (getattr(cost, key) * scale for cost in (here, other))
            print(f"{engine:<9} {what:<18} {mine:>9.1f} {unit:<2} {theirs:>17.1f} {unit:<2} {theirs / mine:>6.1f}")
    return 0


@contextmanager
def makeDatabase(engine: str, folder: Path) -> Iterator[None]:
    """Databases of this kind, set up."""
    server = None
    try:
        text = f"[global]\nengine: sqlite\ndir: {folder / 'databases'}\n"
        if engine == "MariaDB":
            server = MariaDB(folder / "mariadb").start()
            server.loadClassicSchema()
            text = server.constructConfig()
        (folder / "sinedon.cfg").write_text(text)
        os.environ["SINEDON_CFG_PATH"] = str(folder)
        createDatabases(1)
        sinedon.setup(1)
        yield
    finally:
        sinedon.closeConnections()
        if server is not None:
            server.stop()


def makeExposures(folder: Path, images: int) -> MadeSession:
    """A session with a movie, the same for all, of each exposure."""
    made = makeSession(
        images=images, nframes=FRAMES, root=folder, dimension=(SIDE, SIDE), binning=1, movie_format="mrc", norm=False
    )
    frames = Path(made.frame_path)
    frames.mkdir(parents=True)
    Path(made.image_path).mkdir(parents=True)
    with mrcfile.new(folder / "movie.mrc", data=numpy.ones((FRAMES, SIDE, SIDE), numpy.int16)):
        pass
    for filename in made.filenames:
        os.link(folder / "movie.mrc", frames / f"{filename}.frames.mrc")
    return made


def measure(folder: Path, made: MadeSession, way: Callable[[Step, Path], None]) -> Cost:
    """Have everything done in a run of its own, and check that it is."""
    rundir = folder / way.__name__
    rundir.mkdir()
    run = saveStackRun(made.session_id, way.__name__, savePathData(rundir), made.preset, False, 1.0, None)
    session = Session(made.session_id, made.name, made.image_path, made.frame_path, made.project_id)
    args = constructParser("controller").parse_args(["--session=x", f"--preset={made.preset}", "--no-rejects"])
    retrieveCandidates, retrieveRejected = constructSelection(args, session)
    program = Program("motioncor2", "motioncor2")
    context = ParamsContext(str(rundir), str(rundir), OPTIONS, program)
    step = Step(
        name="nothing",
        retrieveCandidates=retrieveCandidates,
        retrieveRejected=retrieveRejected,
        retrieveDone=lambda: retrieveDone(run.def_id, made.session_id, OPTIONS),
        retrieveParams=lambda ids: retrieveParams(ids, context),
        checkReady=lambda task: checkReady(task, 0),
        prepare=lambda task: task,
        calc=partial(computeTask, calcNothing),
        store=lambda result: storeResult(result, run),
        encode=encodeComputed,
        decode=decodeResult,
        measure=partial(calcFields, calcNumbers),
    )
    clock = Clock()
    step = replace(step, retrieveParams=clock.startBefore(step.retrieveParams))
    with sinedon.countQueries() as counted:
        way(step, rundir)
        cost = clock.stop(len(made.image_ids), counted.count)
    stored = appiondata.ApDDAlignImagePairData.objects.filter(ddstackrun_id=run.def_id).count()
    assert stored == 2 * len(made.image_ids), f"{stored} images stored"
    return cost


class Clock:
    """Starts when parameters are read for the second time: the workers have started by then, either way."""

    def __init__(self) -> None:
        self.calls, self.processor, self.elapsed = 0, 0.0, 0.0

    def startBefore(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Let `function` start the clock."""

        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls == 2:
                self.processor, self.elapsed = time.process_time(), time.monotonic()
            return function(*arguments)

        return call

    def stop(self, exposures: int, queries: int) -> Cost:
        """What it cost since."""
        return Cost(exposures, time.process_time() - self.processor, time.monotonic() - self.elapsed, queries)


def runDaemon(step: Step, rundir: Path) -> None:
    """As the daemon does it."""
    summary = runLoop(step, rundir, LoopOptions(wait=False, workers=WORKERS))
    assert summary.counts["done"] == summary.total, summary


def runBatches(step: Step, rundir: Path) -> None:
    """One batch after another."""
    (rundir / ".appion" / "journal").mkdir(parents=True)
    with (
        redirectDaskLogs(rundir / "logs"),
        constructCluster((), WORKERS) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        step.retrieveParams([])  # the clock's first call
        while todo := listTodo(step):
            batch = [step.retrieveParams([image_id])[image_id] for image_id in todo[-BATCH:]]
            for params in batch:
                step.checkReady(params)
            for result in client.gather(client.map(step.calc, batch, pure=False)):
                step.store(result)


def listTodo(step: Step) -> list[int]:
    """Ids of everything that is not done and not rejected."""
    others = step.retrieveRejected() | step.retrieveDone()
    return [candidate.image_id for candidate in step.retrieveCandidates(0) if candidate.image_id not in others]


if __name__ == "__main__":
    sys.exit(main())
