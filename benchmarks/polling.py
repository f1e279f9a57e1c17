"""How long the database takes to tell what is to be done: a long session of 20,000 exposures and 50 new ones.

    python benchmarks/polling.py [--exposures N] [--new N]

Starts a MariaDB server of its own with the tables of a classic installation (MyISAM), fills it, and times the first
list of what is to be done, one more poll, and the parameters of the new exposures; beside it the same, read one image
at a time as one would write it first. Prints a ratio for each.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sinedon
from appion.base.cli.options import Parser
from appion.base.records.program import Program
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.session import Session
from appion.motioncorrection.records import MotionCorrectionOptions
from appion.motioncorrection.retrieve.done import retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from sinedon.create import createDatabases
from sinedon.models import appiondata, leginondata
from tests.services.mariadb import MariaDB
from tests.services.sessions import MadeSession, addImages, insertMany, makeSession

#: Of how many images the slow way is timed; its time per image does not depend on how many there are.
SAMPLE = 500
OPTIONS = MotionCorrectionOptions(doseweight=True)


def main() -> int:
    """Fill a server, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--exposures", type=int, default=20_000, help="in the session before (default: %(default)s)")
    parser.add_argument("--new", type=int, default=50, help="new ones (default: %(default)s)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)  # the classic tables lack columns, which is warned of
    with tempfile.TemporaryDirectory(prefix="polling-") as folder:
        server = MariaDB(Path(folder) / "mariadb").start()
        try:
            server.loadClassicSchema()
            Path(folder, "sinedon.cfg").write_text(server.constructConfig())
            os.environ["SINEDON_CFG_PATH"] = folder
            createDatabases(1)
            sinedon.setup(1)
            made = makeSession(images=args.exposures, root=folder)
            run = insertDone(made, args.exposures // 4)
            insertHidden(made, args.exposures // 20)
            measure(made, run, args.new)
        finally:
            server.stop()
    return 0


def insertDone(made: MadeSession, count: int) -> int:
    """Store aligned images, plain and dose-weighted, of the first `count` exposures; return the run's id."""
    run = sinedon.insertRow(appiondata.ApDDStackRunData, runname="ddstack1", session=made.session_id)
    for label in ("a", "a-DW"):
        preset = sinedon.copyRow(leginondata.PresetData, made.preset_id, name=f"{made.preset}-{label}")
        camera = insertMany(leginondata.CameraEMData, [{**made.camera, "align_frames": True}])[0]
        sources = list(zip(made.image_ids, made.filenames, strict=True))[:count]
        images = leginondata.AcquisitionImageData.objects.in_bulk([image_id for image_id, _ in sources])
        results = insertMany(
            leginondata.AcquisitionImageData,
            [
                {"session": made.session_id, "camera": camera, "scope": images[image_id].scope_id, "preset": preset,
                 "filename": f"{name}-{label}", "mrc_image": f"{name}-{label}.mrc"}
                for image_id, name in sources
            ],
        )  # fmt: skip
        pairs = zip(sources, results, strict=True)
        rows = [{"source": source, "result": result, "ddstackrun": run.def_id} for (source, _), result in pairs]
        insertMany(appiondata.ApDDAlignImagePairData, rows)
    return run.def_id


def insertHidden(made: MadeSession, count: int) -> None:
    """Hide the last `count` exposures."""
    rows = [{"session": made.session_id, "image": image_id, "status": "hidden"} for image_id in made.image_ids[-count:]]
    insertMany(leginondata.ViewerImageStatus, rows)


def measure(made: MadeSession, run: int, new: int) -> None:
    """Time both ways and print them."""
    session = Session(made.session_id, made.name, made.image_path, made.frame_path, made.project_id)
    args = constructOptions(preset=made.preset)
    retrieveCandidates, retrieveRejected = constructSelection(args, session)

    def listAll() -> set[int]:
        ids = {candidate.image_id for candidate in retrieveCandidates(0)}
        return ids - retrieveDone(run, made.session_id, OPTIONS) - retrieveRejected()

    first, todo, queries = clock(listAll)
    made = addImages(made, new)
    ids = list(made.image_ids[-new:])

    def poll() -> set[int]:
        return {candidate.image_id for candidate in retrieveCandidates(ids[0] - 101)} - retrieveRejected()

    polls = [clock(poll) for _ in range(20)]
    further, found = statistics.median(seconds for seconds, _, _ in polls), polls[0][1]
    context = ParamsContext(made.frame_path, made.frame_path, OPTIONS, Program("motioncor-cpu", "motioncor-cpu"))
    params, read, params_queries = clock(lambda: retrieveParams(ids, context))
    assert set(ids) <= found, "the poll must find the new exposures"
    assert not any(isinstance(value, Exception) for value in read.values()), "every exposure must have parameters"

    sample = list(made.image_ids[:SAMPLE])
    slow, slow_todo, slow_queries = clock(lambda: {i for i in sample if isToBeDone(i, run)})
    assert slow_todo == todo & set(sample), "both ways must agree"
    slow_params, _, slow_params_queries = clock(lambda: [readOneByOne(i) for i in ids])
    scale = len(made.image_ids) / len(sample)
    print(f"session of {len(made.image_ids) - new:,} exposures, {len(todo):,} to do; {new} new ones; classic tables\n")
    print(f"{'':<34} {'here':>22}   {'one image at a time':>22}   {'ratio':>6}")
    show("first list of what is to be done", first, queries, slow * scale, round(slow_queries * scale))
    show("further poll (median of 20)", further, polls[-1][2], slow * scale, round(slow_queries * scale))
    show(f"parameters of {new} exposures", params, params_queries, slow_params, slow_params_queries)
    print(f"\none image at a time: lists timed on {len(sample)} images and scaled to all")


def constructOptions(preset: str) -> argparse.Namespace:
    """Return the options that the selection looks at."""
    from appion.base.cli.options import constructParser

    parser: Parser = constructParser("polling")
    return parser.parse_args(["--session=x", f"--preset={preset}", "--no-rejects"])


def clock(function: Callable[[], Any]) -> tuple[float, Any, int]:
    """Return seconds, result and number of queries of a call."""
    with sinedon.countQueries() as counted:
        start = time.perf_counter()
        result = function()
        return time.perf_counter() - start, result, counted.count


def show(what: str, seconds: float, queries: int, slow: float, slow_queries: int) -> None:
    """Print one line: seconds and queries of both ways and their ratio."""
    here, other = f"{seconds:.3f} s, {queries:,} queries", f"{slow:.2f} s, {slow_queries:,} queries"
    print(f"{what:<34} {here:>22}   {other:>22}   {slow / seconds:>6.0f}")


def isToBeDone(image_id: int, run: int) -> bool:
    """Ask for one image what is asked for all of them: camera, preset, whether it is done, whether it is hidden."""
    image = leginondata.AcquisitionImageData.objects.get(def_id=image_id)
    camera = leginondata.CameraEMData.objects.get(def_id=image.camera_id)
    preset = leginondata.PresetData.objects.get(def_id=image.preset_id)
    done = appiondata.ApDDAlignImagePairData.objects.filter(source_id=image_id, ddstackrun_id=run).exists()
    status = leginondata.ViewerImageStatus.objects.filter(image_id=image_id).order_by("-def_id").first()
    hidden = status is not None and status.status in ("hidden", "trash")
    return bool(camera.save_frames and preset.name and not done and not hidden)


def readOneByOne(image_id: int) -> list[Any]:
    """Read the rows of one exposure, one after another."""
    data = leginondata
    image = data.AcquisitionImageData.objects.get(def_id=image_id)
    camera = data.CameraEMData.objects.get(def_id=image.camera_id)
    scope = data.ScopeEMData.objects.get(def_id=image.scope_id)
    rows = [
        data.SessionData.objects.get(def_id=image.session_id),
        data.PresetData.objects.get(def_id=image.preset_id),
        data.InstrumentData.objects.get(def_id=camera.ccdcamera_id),
        data.InstrumentData.objects.get(def_id=scope.tem_id),
        data.PixelSizeCalibrationData.objects.filter(
            magnification=scope.magnification, tem_id=scope.tem_id, ccdcamera_id=camera.ccdcamera_id
        ).order_by("-def_id").first(),
        data.NormImageData.objects.filter(def_id=image.norm_id).first(),
        data.CorrectorPlanData.objects.filter(def_id=image.corrector_plan_id).first(),
    ]  # fmt: skip
    return [image, camera, scope, *rows]


if __name__ == "__main__":
    sys.exit(main())
