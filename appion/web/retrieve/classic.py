"""Numbers of results as rows tell them: of runs without a series, such as classic's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from appion.base.calc.numbers import constructLine
from appion.base.retrieve.runs import MOTION, Run
from appion.base.retrieve.taken import calcTime
from sinedon.models import appiondata

#: Metres of a row in Å.
ANGSTROM = 1e10

CTF_COLUMNS = (
    "image_id", "def_timestamp", "defocus1", "defocus2", "angle_astigmatism", "extra_phase_shift",
    "ctffind4_resolution", "resolution_80_percent", "resolution_50_percent", "confidence", "confidence_d",
    "confidence_30_10", "confidence_5_peak", "cross_correlation", "tilt_angle", "tilt_axis_angle",
    "graph1", "graph2", "graph3", "graph4",
)  # fmt: skip


def countResults(run: Run) -> int:
    """Return of how many images a run has rows of results."""
    if run.kind == MOTION:
        rows = appiondata.ApDDAlignImagePairData.objects.using(run.alias).filter(ddstackrun_id=run.def_id)
        return rows.values("source_id").distinct().count()
    rows = appiondata.ApCtfData.objects.using(run.alias).filter(acerun_id=run.def_id)
    return rows.values("image_id").distinct().count()


def readResults(run: Run, after: int) -> tuple[list[dict[str, Any]], int]:
    """Return lines of the results whose rows have ids above `after`, oldest first, and the highest of these ids."""
    read = readMotion if run.kind == MOTION else readCTF
    last, lines = after, []
    for def_id, line in read(run, after):
        last = max(last, def_id)
        if line:
            lines.append(line)
    return lines, last


def readMotion(run: Run, after: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the ids of pairs and lines of drift: two queries. Without a trajectory the image is done all the same."""
    pairs = appiondata.ApDDAlignImagePairData.objects.using(run.alias)
    pairs = pairs.filter(ddstackrun_id=run.def_id, def_id__gt=after).order_by("def_id")
    rows = list(pairs.values_list("def_id", "source_id", "result_id", "def_timestamp"))
    if not rows:
        return
    results = [result for _, _, result, _ in rows if result]
    numbers = readDrift(run, min(results, default=0), max(results, default=0))
    for def_id, source, result, written in rows:
        yield def_id, constructLine(source, "", numbers.get(result, {}), calcTime(written) or 0.0) if source else {}


def readDrift(run: Run, first: int, last: int) -> dict[int, dict[str, Any]]:
    """Return drift (Å) by aligned image, for ids from `first` to `last`."""
    rows = appiondata.ApDDAlignStatsData.objects.using(run.alias)
    rows = rows.filter(image_id__gte=first, image_id__lte=last, ddstackrun_id=run.def_id)
    columns = ("image_id", "apix", "top_shift1_value", "trajectory__pos_x", "trajectory__pos_y")
    found = {}
    for image_id, apix, jump, x, y in rows.values_list(*columns):
        scale = apix or math.nan
        path = calcPath(x or (), y or ())
        found[image_id] = {"drift": path and path * scale, "drift_jump": jump and jump * scale,
                           "frames": len(x) if x else None}  # fmt: skip
    return found


def calcPath(x: Sequence[Any], y: Sequence[Any]) -> float | None:
    """Return the length of the way along these positions; None where there is none, or they are no numbers."""
    try:
        return sum(math.dist(here, there) for here, there in zip(zip(x, y), list(zip(x, y))[1:])) or None  # noqa: B905
    except TypeError:
        return None


def readCTF(run: Run, after: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the ids of rows and lines of the CTF: one query."""
    rows = appiondata.ApCtfData.objects.using(run.alias).filter(acerun_id=run.def_id, def_id__gt=after)
    for def_id, image, written, *values in rows.order_by("def_id").values_list("def_id", *CTF_COLUMNS):
        yield def_id, constructLine(image, "", calcCTF(values), calcStored(written)) if image else {}


def calcCTF(values: Sequence[Any]) -> dict[str, Any]:
    """Return the fields of a line that the values of a row (from the defocus on) give."""
    first, second, angle, shift, resolution, at80, at50, *confidences = values[:11]
    score, tilt, axis, *graphs = values[11:]
    fields: dict[str, Any] = {
        "astigmatism_axis": angle, "phase_shift": shift and math.degrees(shift), "ctf_resolution": resolution,
        "resolution_80": at80, "resolution_50": at50, "score": score, "tilt_angle": tilt, "tilt_axis_angle": axis,
        "confidence": max((one for one in confidences if one is not None), default=None),
        "spectrum": next(filter(None, graphs), None),
    }  # fmt: skip
    if first is not None and second is not None:
        small, large = sorted((first * ANGSTROM, second * ANGSTROM))
        fields |= {"defocus1": small, "defocus2": large, "defocus": (small + large) / 2, "astigmatism": large - small}
    return fields


def calcStored(written: datetime | None) -> float:
    return calcTime(written) or 0.0
