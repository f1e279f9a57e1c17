"""The exposures of a session: what runs of motion correction and of CTF estimation say of each, joined."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.records.series import IMAGE, NAME
from appion.base.retrieve.relatives import divide, readRelatives
from appion.export.options import readMotionOptions, readMotionProgram
from appion.export.rowlines import constructMotionLine, readCtfLines, readPositions
from appion.export.runs import COLUMNS, MODELS, Run
from appion.motioncorrection.records import MotionCorrectionTask
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from sinedon.models import appiondata, leginondata

#: Fields of the time and way of a result; where both steps have one, that of the later step counts.
LATER = ("stored", "seconds_to_result")


@dataclass(frozen=True)
class Exposure:
    """One exposure.

    Attributes:
        image_id: of Leginon's image, or of the micrograph where it is not known what that was made from.
        line: its numbers, of both steps.
        sum_id, weighted_id: its aligned images, plain and weighted by dose, or the micrograph that the CTF is of.
        ctf_id, ctf: the image that the CTF was estimated of, and what its row has beside the numbers: cs (mm),
            amplitude_contrast.
        task: parameters of its motion correction, for the paths of movie and gain reference, orientation and dose; or
            the failure that its rows are.
        motion, ctfrun: the runs.
    """

    image_id: int
    line: Mapping[str, Any]
    sum_id: int | None = None
    weighted_id: int | None = None
    ctf_id: int | None = None
    ctf: Mapping[str, Any] = field(default_factory=dict)
    task: MotionCorrectionTask | Failure | None = None
    motion: Run | None = None
    ctfrun: Run | None = None

    @property
    def name(self) -> str:
        """Its name without extension."""
        return str(self.line.get(NAME, ""))


@dataclass(frozen=True)
class _Pairs:
    """Aligned images of a run by exposure; `exposures`: of each aligned image; `stored`: when the last was written."""

    plain: dict[int, int] = field(default_factory=dict)
    weighted: dict[int, int] = field(default_factory=dict)
    exposures: dict[int, int] = field(default_factory=dict)
    stored: dict[int, Any] = field(default_factory=dict)


def readExposures(runs: Sequence[Run], framepath: str = "") -> list[Exposure]:
    """Return the exposures that the runs have results of, oldest first; of several results the last run's counts.

    Args:
        framepath: folder of the movies instead of the session's, or empty.
    """
    found: dict[int, Exposure] = {}
    owners: dict[int, int] = {}
    for run in runs:
        if run.kind == "motion":
            pairs = readPairs(run)
            owners |= pairs.exposures
            found |= {one.image_id: one for one in readMotion(run, pairs, framepath)}
    for run in runs:
        if run.kind == "CTF":
            addFits(found, run, owners)
    for run in runs:
        if run.kind not in MODELS:
            addNumbers(found, run, owners)
    return sorted(found.values(), key=lambda one: (one.line.get("exposed", 0.0), one.image_id))


def readPairs(run: Run) -> _Pairs:
    """Return which aligned images a run made of which exposures; a later one of a kind stands for the earlier."""
    rows = appiondata.ApDDAlignImagePairData.objects.filter(ddstackrun_id__in=run.ids).order_by("def_id")
    made = [row for row in rows.values_list("source_id", "result_id", "def_timestamp") if row[0] and row[1]]
    presets: dict[int, str | None] = {}
    for some in divide(result for _, result, _ in made):
        images = leginondata.AcquisitionImageData.objects.filter(def_id__in=some)
        presets |= dict(images.values_list("def_id", "preset__name"))
    pairs = _Pairs()
    for source, result, stored in made:
        if result in presets:
            (pairs.weighted if (presets[result] or "").endswith("-DW") else pairs.plain)[source] = result
            pairs.exposures[result] = source
            pairs.stored[source] = stored
    return pairs


def readMotion(run: Run, pairs: _Pairs, framepath: str) -> list[Exposure]:
    """Return the exposures that a run of motion correction has stored."""
    ids = list(pairs.stored)
    context = ParamsContext(
        str(run.rundir), "", readMotionOptions(run), readMotionProgram(run.rundir), framepath,
        undo_eer_flip=setting("motioncorrection.undo_eer_flip"),
    )  # fmt: skip
    tasks = retrieveParams(ids, context)
    missing = [image_id for image_id in ids if image_id not in run.lines]
    positions = readPositions(run, missing, tasks)
    exposures = []
    for image_id in ids:
        line = run.lines.get(image_id)
        task = tasks[image_id]
        if line is None:
            line = constructMotionLine(image_id, task, positions.get(image_id, ()), pairs.stored[image_id])
        plain, weighted = pairs.plain.get(image_id), pairs.weighted.get(image_id)
        exposures.append(Exposure(image_id, line, plain, weighted, task=task, motion=run))
    return exposures


def addFits(found: dict[int, Exposure], run: Run, owners: Mapping[int, int]) -> None:
    """Add what a run of CTF estimation has stored to the exposures that are there, by their ids, and those of its own.

    Args:
        owners: the exposures of aligned images.
    """
    rows = readFits(run)
    relatives = readRelatives(image_id for image_id in rows if image_id not in owners and image_id not in found)
    lines = run.lines | readCtfLines({number: row for number, row in rows.items() if number not in run.lines})
    of_one: dict[int, list[int]] = defaultdict(list)
    for image_id in rows:
        sources = sorted(source for source, _ in relatives.sources.get(image_id, ()))
        of_one[owners.get(image_id) or next(iter(sources), image_id)].append(image_id)
    for exposure_id, ids in of_one.items():
        exposure = found.get(exposure_id)
        weighted = exposure.weighted_id if exposure else None
        image_id = max(ids, key=lambda one: (one != weighted, rows[one].def_id))
        row = rows[image_id]
        if exposure is None:
            exposure = Exposure(exposure_id, {}, image_id)
        found[exposure_id] = replace(
            exposure, line=joinLines(exposure.line, lines[image_id]), ctf_id=image_id, ctfrun=run,
            ctf={"cs": row.cs, "amplitude_contrast": row.amplitude_contrast},
        )  # fmt: skip


def addNumbers(found: dict[int, Exposure], run: Run, owners: Mapping[int, int]) -> None:
    """Add the numbers of a step that stores nothing else to the exposures that are there, and those of its own.

    Of several micrographs of an exposure the last one's count.
    """
    relatives = readRelatives(image_id for image_id in run.lines if image_id not in owners and image_id not in found)
    for image_id, line in run.lines.items():
        sources = sorted(source for source, _ in relatives.sources.get(image_id, ()))
        exposure_id = owners.get(image_id) or next(iter(sources), image_id)
        exposure = found.get(exposure_id) or Exposure(exposure_id, {}, image_id)
        own = {name: line[name] for name in COLUMNS[run.kind] & line.keys()}
        found[exposure_id] = replace(exposure, line={**line, **exposure.line, **own})


def readFits(run: Run) -> dict[int, Any]:
    """Return the newest row of each image that a run of CTF estimation has one of, with a defocus; one query."""
    rows = appiondata.ApCtfData.objects.filter(acerun_id__in=run.ids, defocus1__isnull=False, defocus2__isnull=False)
    return {row.image_id: row for row in rows.order_by("def_id") if row.image_id}


def joinLines(motion: Mapping[str, Any], ctf: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of both steps; what is not of the fit is as motion correction has it."""
    own = {key: value for key, value in motion.items() if key not in LATER or key not in ctf}
    return {**ctf, **own}


def collectColumns(exposures: Iterable[Exposure]) -> set[str]:
    """Return which columns any of the exposures has."""
    return {key for one in exposures for key in one.line if key != IMAGE}
