"""What very many exposures cost a daemon: its start in a long session, the processor while many wait or have failed.

    python benchmarks/many.py [--images N] [--waiting N] [--engines SQLite MariaDB]

The start: `motioncor2.py` on a session of N images, of which a third are results of a third, and another third is to be
done; the movie of the newest exposure alone is there. Seconds from the command to its submission, and the most memory
that the daemon needed (RSS). Beside it a hundredth of that. The full size is --images 1000000.

The processor: the daemon's loop, status every 2 s and poll every 5 s as ever, never at rest, with exposures of which
half wait for movies in a folder that is not there and half have failed for good. Processor time of the whole process
for a minute, when all have been looked at. Beside it a hundredth of them. The full size is --waiting 100000.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dask.config
import mrcfile
import numpy
from django.db import connections

import sinedon
from appion.base.failures import NotReady
from appion.base.loop import LoopOptions, runLoop
from appion.base.records.attempt import Attempt, encodeAttempt
from appion.base.retrieve.neighbours import describeMissing
from appion.base.store.attempts import saveAttempts
from appion.base.store.path import savePathData
from appion.motioncorrection.store.run import saveStackRun
from benchmarks._session import Session
from benchmarks.controller import makeDatabase
from benchmarks.idle import SETTINGS as BRIEF
from benchmarks.idle import readSeconds
from sinedon.models import appiondata, leginondata
from tests.services.mariadb import findMariaDB
from tests.services.sessions import MadeSession, insertMany, makeSession

ROOT = Path(__file__).resolve().parent.parent
#: Rows that are made one by one, and then doubled by the server.
SEED, PORTION = 50, 20_000
SETTINGS = {"appion.rest_after": 0, "appion.free_space": 0, "appion.nowait_patience": 1e6, "appion.log_interval": 1e6}
SECONDS = 60.0
#: What a daemon may need: seconds and MB to start with a million, share of a processor with 100,000.
TARGET = {"seconds": 60.0, "MB": 400.0, "%": 1.0}


def main() -> int:
    """Measure both, print both; exit code 1 if it is too much."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=30_000, help="in the session (default: %(default)s)")
    parser.add_argument("--waiting", type=int, default=10_000, help="wait or failed (default: %(default)s)")
    engines = ["SQLite", "MariaDB"] if findMariaDB() else ["SQLite"]
    parser.add_argument("--engines", nargs="+", choices=engines, default=engines, help="(default: those there are)")
    parser.add_argument("--rundir", type=Path, help=argparse.SUPPRESS)  # a child: wait there
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if args.rundir:
        waitThere(args.rundir, args.waiting)
        return 0
    worst = {"seconds": 0.0, "MB": 0.0, "%": 0.0}
    for engine in args.engines if args.images else ():
        shares = [measureStart(engine, number) for number in (args.images // 100, args.images)]
        for number, (started, seconds, memory) in zip((args.images // 100, args.images), shares, strict=True):
            print(f"{engine:<8} {number:>9,} images: the newest handed out after {started:5.1f} s "
                  f"({seconds:.1f} s of a processor), {memory:4.0f} MB", flush=True)  # fmt: skip
        print(f"{'':<8} a hundred times as many: {shares[1][0] / shares[0][0]:.1f} times the seconds, "
              f"{shares[1][2] / shares[0][2]:.1f} times the memory", flush=True)  # fmt: skip
        worst["seconds"], worst["MB"] = max(worst["seconds"], shares[1][0]), max(worst["MB"], shares[1][2])
    if args.waiting:
        share = {number: measureWaiting(number) for number in (args.waiting // 100, args.waiting)}
        for number, value in share.items():
            print(f"{number:>9,} exposures that wait or failed: {value:.2f} % of a processor", flush=True)
        print(f"a hundred times as many: {share[args.waiting] / share[args.waiting // 100]:.1f} times the processor")
        worst["%"] = share[args.waiting]
    return int(any(worst[what] > most for what, most in TARGET.items()))


def measureStart(engine: str, images: int) -> tuple[float, float, float]:
    """Seconds until the newest is handed out, seconds of a processor until then, and MB, in a session of so many."""
    with tempfile.TemporaryDirectory(prefix="many-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        stack.enter_context(makeDatabase(engine, folder))
        made = makeImages(folder, images // 3, images // 3)
        sinedon.closeConnections()
        return followStart(folder, made, images)


def followStart(folder: Path, made: MadeSession, images: int) -> tuple[float, float, float]:
    """Start the daemon, see what it does, end it."""
    program, rundir = folder / "motioncor2", folder / "ddstack1"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {ROOT / "tests/faults/fakemotioncor2.py"} "$@"\n')
    program.chmod(0o755)
    environment = os.environ | BRIEF | {
        "SINEDON_CFG_PATH": str(folder), "PYTHONPATH": str(ROOT), "FAKE_LEDGER": os.devnull,
        "DASK_APPION__MOTIONCORRECTION__EXECUTABLE": str(program),
    }  # fmt: skip
    words = [f"--rundir={rundir}", f"--session={made.name}", "--projectid=1", f"--preset={made.preset}",
             "--runname=ddstack1", "--no-rejects", "--continue", "--align", "--gpuids=0"]  # fmt: skip
    command = [sys.executable, "-m", "appion.motioncorrection.cli.main", *words]
    start = time.monotonic()
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log)  # fmt: skip
    try:
        while not (rundir / ".appion/events.jsonl").exists() or not isSubmitted(rundir):
            if daemon.poll() is not None or time.monotonic() - start > 1800:
                raise RuntimeError((folder / "log").read_text()[-3000:])
            time.sleep(0.1)
        started, seconds = time.monotonic() - start, readSeconds(daemon.pid)
        while not (status := readStatus(rundir)) or not status["total"]:
            time.sleep(0.1)
        assert status["total"] == 2 * (images // 3), status
        assert status["counts"]["done"] == images // 3, status
        lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
        memory = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
        return started, seconds, memory
    finally:
        daemon.terminate()
        daemon.wait()


def isSubmitted(rundir: Path) -> bool:
    """Whether an exposure was handed out."""
    return b'"submitted"' in (rundir / ".appion/events.jsonl").read_bytes()


def makeImages(folder: Path, todo: int, done: int) -> MadeSession:
    """A session of exposures to be done, before them others that are, whose aligned images are in it as well."""
    made = makeSession(images=SEED, nframes=4, root=folder, dimension=(16, 16), binning=1, movie_format="mrc",
                       norm=False)  # fmt: skip
    (folder / "ddstack1").mkdir()
    run = saveStackRun(made.session_id, "ddstack1", savePathData(folder / "ddstack1"), made.preset, True, 1.0, None)
    camera, scope = (leginondata.AcquisitionImageData.objects.values_list(f"{key}_id", flat=True)
                     .get(def_id=made.image_ids[0]) for key in ("camera", "scope"))  # fmt: skip
    first, total = made.image_ids[0], todo + done
    number = SEED
    while number < total:
        more = min(number, total - number)
        copyRows(leginondata.CameraEMData, camera, more, {})
        copyRows(leginondata.ScopeEMData, scope, more, {})
        copyRows(leginondata.AcquisitionImageData, first, more, {"camera": number, "scope": number}, f"b{number}")
        number += more
    aligned = sinedon.copyRow(leginondata.PresetData, made.preset_id, name=f"{made.preset}-a")
    state = insertMany(leginondata.CameraEMData, [{**made.camera, "align_frames": True}])[0]
    copyRows(leginondata.AcquisitionImageData, first, done, {}, "a", {"camera": state, "preset": aligned})
    results = leginondata.AcquisitionImageData.objects.order_by("def_id").filter(preset_id=aligned).first().def_id
    pairs = [{"source": first, "result": results, "ddstackrun": run.def_id}]
    pair, number = insertMany(appiondata.ApDDAlignImagePairData, pairs)[0], 1
    while number < done:
        more = min(number, done - number)
        copyRows(appiondata.ApDDAlignImagePairData, pair, more, {"source": number, "result": number})
        number += more
    last = leginondata.AcquisitionImageData.objects.get(def_id=first + total - 1)
    Path(made.frame_path).mkdir(parents=True)
    saveMovie(Path(made.frame_path) / f"{last.filename}.frames.mrc")
    return made


def saveMovie(path: Path) -> None:
    """Four frames of noise."""
    frames = numpy.random.default_rng(1).poisson(5, (4, 16, 16)).astype(numpy.int16)
    with mrcfile.new(path, data=frames):
        pass


def copyRows(
    model: type, first: int, number: int, added: dict[str, int], suffix: str = "", given: dict[str, int] | None = None
) -> None:
    """Copy so many rows from an id on; to some columns a number is added, names get a suffix, some columns a value."""
    connection, meta = connections[model._meta.app_label], model._meta  # type: ignore[attr-defined]
    quote, wanted, values = connection.ops.quote_name, [], []
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {quote(meta.db_table)} LIMIT 1")
        live = {column[0].lower() for column in cursor.description}
        for field in meta.concrete_fields:
            if field.primary_key or field.column.lower() not in live:
                continue
            column = quote(field.column).replace("%", "%%")
            wanted.append(column)
            if given and field.name in given:
                values.append(str(given[field.name]))
            elif field.name in added:
                values.append(f"{column} + {added[field.name]}")
            elif field.name == "filename" and suffix:
                values.append(f"CONCAT({column}, '{suffix}')" if connection.vendor == "mysql"
                              else f"{column} || '{suffix}'")  # fmt: skip
            else:
                values.append(column)
        for start in range(first, first + number, PORTION):
            cursor.execute(
                f"INSERT INTO {quote(meta.db_table)} ({', '.join(wanted)}) SELECT {', '.join(values)} "
                f"FROM {quote(meta.db_table)} WHERE DEF_id >= %s AND DEF_id < %s ORDER BY DEF_id",
                [start, min(start + PORTION, first + number)],
            )


def measureWaiting(number: int) -> float:
    """Percent of a processor that a daemon needs while so many wait or have failed, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="many-") as name:
        folder = Path(name)
        (folder / ".appion").mkdir()
        words = [f"--waiting={number}", f"--rundir={folder}", "--images=0"]
        daemon = subprocess.Popen([sys.executable, __file__, *words], stdin=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 1800
            while not isSettled(folder, number):
                if daemon.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("it does not come to rest")
                time.sleep(1)
            time.sleep(20)
            before = readSeconds(daemon.pid)
            time.sleep(SECONDS)
            return 100 * (readSeconds(daemon.pid) - before) / SECONDS
        finally:
            daemon.kill()
            daemon.wait()


def isSettled(folder: Path, number: int) -> bool:
    """Whether all wait or are set aside."""
    status = readStatus(folder)
    return status is not None and status["counts"]["waiting"] + status["counts"]["set aside"] == number


def readStatus(rundir: Path) -> dict[str, Any] | None:
    """What the daemon last wrote, if it wrote anything yet."""
    try:
        return json.loads((rundir / ".appion/status.json").read_bytes())
    except FileNotFoundError:
        return None


def waitThere(rundir: Path, number: int) -> None:
    """The daemon's loop with exposures none of which can be done."""
    failed = range(1, number // 2 + 1)
    saveFailures(rundir, failed)

    def checkReady(params: dict[str, object]) -> None:
        path = f"/no/such/folder/img{params['id']:06d}.mrc"
        if not os.path.exists(path):
            raise NotReady(describeMissing(path))

    session = Session(rundir)
    session.add(range(1, number + 1))
    step = replace(session.constructStep(), checkReady=checkReady)
    with dask.config.set(SETTINGS):
        runLoop(step, rundir, LoopOptions(workers=1), isDatabaseAway=lambda _error: False, reconnect=lambda: None)


def saveFailures(rundir: Path, ids: range) -> None:
    """What an earlier daemon noted of exposures that failed for good."""
    now, tail = time.time(), "a line that the program printed\n" * 40
    saveAttempts(rundir, (
        encodeAttempt(Attempt(one, f"img{one:06d}", "image", 3, 0, f"exit code 1, frame {one % 7}", "",
                              "motioncor2 -x", "node1", tail, now, None))
        for one in ids))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
