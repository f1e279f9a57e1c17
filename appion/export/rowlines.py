"""Numbers of exposures from rows alone, for runs that classic Appion made: they have no series.

The formulas are those of the steps; what a row does not tell is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sinedon
from appion.base.calc.numbers import calcFields, constructLine
from appion.base.failures import Failure
from appion.base.programs.output import readText
from appion.base.records.task import Taken
from appion.base.retrieve.relatives import divide
from appion.base.retrieve.taken import calcTime, constructTaken
from appion.ctfestimation.calc.internal.convention import NO_RESOLUTION
from appion.ctfestimation.calc.internal.numbers import calcNumbers as calcCtfNumbers
from appion.ctfestimation.records import ComputedCTF, CTFConfidence, CTFOptions, CTFOrigin, CTFResult
from appion.ctfestimation.retrieve.micrographs import readMicrographs
from appion.export.motion import ADDED
from appion.export.runs import Run
from appion.motioncorrection.calc.internal.numbers import calcNumbers as calcMotionNumbers
from appion.motioncorrection.records import ComputedCorrection, MotionCorrectionResult, MotionCorrectionTask
from sinedon.models import appiondata

Positions = tuple[tuple[float, float], ...]


def readPositions(
    run: Run, ids: Sequence[int], tasks: Mapping[int, MotionCorrectionTask | Failure]
) -> dict[int, Positions]:
    """Return where the specimen was in each frame (pixels of the sum): by the log in the run folder, else by the row,
    if that has all of them.
    """
    found: dict[int, Positions] = {}
    for image_id in ids:
        task = tasks[image_id]
        if not isinstance(task, Failure):
            log = Path(run.rundir) / f"{task.params.name}_st_Log.txt"
            if log.exists():
                found[image_id] = tuple((float(x), float(y)) for _, x, y in ADDED.findall(readText(log)))
    results = readResults(run, [image_id for image_id in ids if image_id not in found])
    for some in divide(results):
        rows = appiondata.ApDDFrameTrajectoryData.objects.filter(ddstackrun_id__in=run.ids, image_id__in=some)
        for row in rows.order_by("def_id"):
            xs, ys = row.pos_x or (), row.pos_y or ()
            if len(xs) == len(ys) == row.number_of_positions:
                found[results[row.image_id]] = tuple(zip(xs, ys, strict=True))
    return found


def readResults(run: Run, ids: Sequence[int]) -> dict[int, int]:
    """Return the exposures of the aligned images that a run made of them."""
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(ddstackrun_id__in=run.ids)
    found: dict[int, int] = {}
    for some in divide(ids):
        rows = pairs.filter(source_id__in=some).values_list("result_id", "source_id")
        found |= {result: source for result, source in rows if result}
    return found


def constructMotionLine(
    image_id: int, task: MotionCorrectionTask | Failure, positions: Positions, stored: datetime | None
) -> dict[str, Any]:
    """Return the numbers of a corrected exposure whose row of the result was written at `stored`."""
    if isinstance(task, Failure):
        return constructLine(image_id, "", {}, calcTime(stored) or 0.0)
    result = MotionCorrectionResult(
        params=task.params, argv=(), host="", started=0.0, seconds=0.0, shifts=(), positions=positions, sum_file="",
        dw_file="", shape=(0, 0), log_file="", program_log_file="",
    )  # fmt: skip
    fields = calcFields(calcMotionNumbers, ComputedCorrection(task.origin, result))
    return constructLine(image_id, task.origin.filename, fields, calcTime(stored) or 0.0)


def readCtfLines(fits: Mapping[int, Any]) -> dict[int, dict[str, Any]]:
    """Return the numbers of fits by their `ApCtfData` rows and those of their images, by image; nine queries."""
    rows = readMicrographs(sorted(fits), with_best=False) if fits else None
    found = {}
    for image_id, fit in fits.items():
        image = rows.images.get(image_id) if rows is not None else None
        scope = rows.scopes.get(sinedon.refId(image, "scope") or 0) if rows is not None and image is not None else None
        taken = constructTaken(rows.findExposure(image), scope) if rows is not None and scope is not None else Taken()
        found[image_id] = constructCtfLine(fit, "" if image is None else image.filename, taken)
    return found


def constructCtfLine(row: Any, name: str, taken: Taken) -> dict[str, Any]:
    """Return the numbers of a fit by its `ApCtfData` row, the name of its image and how that was taken."""
    resolutions = [row.resolution_80_percent, row.resolution_50_percent]
    analysis = None
    if all(value is not None for value in resolutions):
        analysis = CTFConfidence(0.0, 0.0, 0.0, 0.0, *resolutions)
    result = CTFResult(
        params=None,  # type: ignore[arg-type]  # no number depends on them
        defocus1=row.defocus1 * 1e10, defocus2=row.defocus2 * 1e10,
        angle_astigmatism=row.angle_astigmatism if row.angle_astigmatism is not None else math.nan,
        cross_correlation=fill(row.cross_correlation), confidence=fill(row.confidence), confidence_d=0.0,
        ctffind4_resolution=row.ctffind4_resolution or NO_RESOLUTION,
        extra_phase_shift=math.degrees(row.extra_phase_shift or 0.0), argv=(), host="", started=0.0, seconds=0.0,
        analysis=analysis, graphs=(row.graph1 or "", row.graph2 or "", row.graph3 or "", row.graph4 or ""),
        tilt_angle=row.tilt_angle, tilt_axis_angle=row.tilt_axis_angle,
    )  # fmt: skip
    origin = CTFOrigin(row.image_id, name, 0, "", CTFOptions(), 0.0, taken=taken)
    fields = calcFields(calcCtfNumbers, ComputedCTF(origin, result))
    return constructLine(row.image_id, name, fields, calcTime(row.def_timestamp) or 0.0)


def fill(value: float | None) -> float:
    """Return a number as it is; NaN, which no line takes, where it is not known."""
    return math.nan if value is None else value
