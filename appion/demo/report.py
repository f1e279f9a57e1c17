"""What the daemons stored of the simulated exposures, read back from the databases and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.demo.detector import convertToLeginon
from appion.demo.outcome import Focus, Outcome, calcCorrelation, calcDriftError, calcTrueFocus
from appion.demo.plan import Plan, Planned
from appion.demo.simulate import Exposure, calcTrueDrift, calcTrueImage
from sinedon.models import appiondata, leginondata


def readSessionId(plan: Plan) -> int | None:
    """Return the id of the plan's session, or None if there is none so far."""
    rows = leginondata.SessionData.objects.filter(name=plan.session, comment=plan.comment).order_by("-def_id")
    return rows.values_list("def_id", flat=True).first()


def readImageIds(plan: Plan) -> dict[str, int]:
    """Return the image ids of the plan's exposures that Leginon has inserted so far, by name."""
    names = {planned.filename for planned in plan.exposures}
    # Names are not indexed, sessions are: a site has millions of images.
    rows = leginondata.AcquisitionImageData.objects.filter(session_id=readSessionId(plan) or -1)
    return {name: image_id for name, image_id in rows.values_list("filename", "def_id") if name in names}


def readSources(plan: Plan) -> dict[int, int]:
    """Return the exposures' ids by the ids of the micrographs made of them, plain and dose-weighted."""
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(source_id__in=list(readImageIds(plan).values()))
    return dict(pairs.values_list("result_id", "source_id"))


def readStored(plan: Plan) -> set[int]:
    """Return the ids of the exposures of which both micrographs have been stored."""
    return {source for source, count in Counter(readSources(plan).values()).items() if count >= 2}


def readEstimated(plan: Plan) -> set[int]:
    """Return the ids of the exposures that have a CTF."""
    sources = readSources(plan)
    rows = appiondata.ApCtfData.objects.filter(image_id__in=list(sources))
    return {sources[image_id] for image_id in rows.values_list("image_id", flat=True)}


def readGivenUp(plan: Plan) -> set[int]:
    """Return the ids of the exposures that one of the daemons has given up."""
    sources = readSources(plan)
    estimates = readSetAside(plan.ctf_rundir)
    return readSetAside(plan.rundir) | {sources[image_id] for image_id in estimates if image_id in sources}


def readSetAside(rundir: Path) -> set[int]:
    """Return the ids of the images that the daemon of a run has given up."""
    return {image_id for image_id, attempt in readAttempts(rundir).items() if attempt.next_try is None}


def explainImage(rundir: Path, image_id: int) -> str:
    """Return why an image is not stored as the daemon sees it: its failure, else what it last waited for."""
    attempt = readAttempts(rundir).get(image_id)
    if attempt is not None:
        return attempt.reason
    reasons = [event.get("reason") for event in readEvents(rundir, image_id)]
    return next((str(reason) for reason in reversed(reasons) if reason), "")


def readOutcomes(
    plan: Plan, explain: Callable[[Path, int], str] = explainImage, report: Callable[[int], None] = lambda _: None
) -> list[Outcome]:
    """Return what became of every exposure that was planned.

    `explain` gives the reason why an image of a run folder is not stored; `report` is told how many are read.
    """
    ids = readImageIds(plan)
    outcomes = []
    for planned in plan.exposures:
        outcomes.append(readOutcome(plan, planned, ids.get(planned.filename, 0), explain))
        report(len(outcomes))
    return outcomes


def readOutcome(plan: Plan, planned: Planned, image_id: int, explain: Callable[[Path, int], str]) -> Outcome:
    """Return what became of one exposure."""
    pairs = list(appiondata.ApDDAlignImagePairData.objects.filter(source_id=image_id).order_by("def_id"))
    source = leginondata.AcquisitionImageData.objects.filter(def_id=image_id).first()
    results = leginondata.AcquisitionImageData.objects.filter(def_id__in=[pair.result_id for pair in pairs])
    rows = sorted(results, key=lambda row: len(row.filename))  # the plain one first
    names, true_focus = tuple(row.filename for row in rows), calcTrueFocus(plan, planned)
    if source is None or not names:
        reason = explain(plan.rundir, image_id) if source else "never taken"
        return Outcome(planned, true_focus, image_id, names, reason=reason)
    trajectory = appiondata.ApDDFrameTrajectoryData.objects.filter(image_id__in=[row.def_id for row in rows]).first()
    frames, positions = readPositions(trajectory)
    complete = trajectory is not None and (trajectory.number_of_positions or len(frames)) == planned.exposure.nframes
    drift_error = calcDriftError(calcTrueDrift(planned.exposure)[list(frames)], positions) if complete else float("inf")
    image, pixelsize = readMicrograph(plan.image_path / f"{names[0]}.mrc")
    specimen = calcSpecimen(replace(planned.exposure, choice=0), plan.frame_flip, plan.frame_rotate)
    ctf = appiondata.ApCtfData.objects.filter(image_id=rows[0].def_id).order_by("-def_id").first()
    return Outcome(
        planned=planned,
        true_focus=true_focus,
        image_id=image_id,
        names=names,
        positions=positions,
        frames=frames,
        drift_error=drift_error,
        dose=float(image.mean()) / planned.exposure.pixelsize**2,
        pixelsize=pixelsize,
        correlation=calcCorrelation(image, specimen),
        seconds=(pairs[-1].def_timestamp - source.def_timestamp).total_seconds(),
        focus=Focus(ctf.defocus1 * 1e10, ctf.defocus2 * 1e10, ctf.angle_astigmatism) if ctf else None,
        resolution=ctf.ctffind4_resolution if ctf else float("nan"),
        ctf_seconds=(ctf.def_timestamp - source.def_timestamp).total_seconds() if ctf else float("nan"),
        reason="" if ctf else explain(plan.ctf_rundir, rows[0].def_id),
    )


def readPositions(trajectory: Any) -> tuple[tuple[int, ...], np.ndarray]:
    """Return which frames a row of a trajectory holds, and their (n, 2) positions: the first ones and the last."""
    if trajectory is None:
        return (), np.zeros((0, 2))
    positions = [*zip(trajectory.pos_x, trajectory.pos_y, strict=True)]
    frames = list(range(len(positions)))
    count = trajectory.number_of_positions or len(frames)
    if count > len(frames):
        frames.append(count - 1)
        positions.append((trajectory.last_x, trajectory.last_y))
    return tuple(frames), np.array(positions, float)


@lru_cache(maxsize=4)
def calcSpecimen(exposure: Exposure, frame_flip: bool, frame_rotate: int) -> np.ndarray:
    """Return the image without noise in Leginon's orientation, somewhere along its path."""
    return convertToLeginon(calcTrueImage(exposure, exposure.nframes // 2), frame_flip, frame_rotate)


def readMicrograph(path: Path) -> tuple[np.ndarray, float]:
    """Return an image and the pixel size (Å) in its header."""
    with mrcfile.open(path, permissive=True) as mrc:
        return np.array(mrc.data, np.float32), float(mrc.voxel_size.x)
