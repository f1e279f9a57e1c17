"""Truth beside result: what the daemon stored of each simulated exposure, read back from the databases and files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.demo.detector import convertToLeginon
from appion.demo.plan import Plan, Planned
from appion.demo.simulate import calcTrueDrift, calcTrueImage
from sinedon.models import appiondata, leginondata

#: What a stored exposure has to keep to: drift error in pixels (RMS over frames), relative errors of dose and pixel
#: size, correlation with the image without noise. A picture turned or mirrored correlates by less than 0.1.
MAX_DRIFT_ERROR = 0.3
MAX_DOSE_ERROR = 0.03
MAX_PIXEL_ERROR = 0.001
MIN_CORRELATION = 0.4


@dataclass(frozen=True)
class Outcome:
    """What became of one exposure.

    Attributes:
        planned: the exposure; image_id: its row, 0 if there is none.
        names: file names of the stored micrographs, plain and dose-weighted.
        positions: (n, 2) stored trajectory (x, y), pixels; empty if there is none.
        drift_error: RMS distance of the trajectory from the truth over the frames, pixels.
        dose: electrons counted in the stored micrograph, e/Å².
        pixelsize: in the header of the stored micrograph, Å.
        correlation: of the stored micrograph with the image without noise in Leginon's orientation.
        seconds: from Leginon's row of the exposure to the last row of the result.
        reason: why it is not stored, as the daemon explains it.
    """

    planned: Planned
    image_id: int = 0
    names: tuple[str, ...] = ()
    positions: np.ndarray | None = None
    drift_error: float = float("nan")
    dose: float = float("nan")
    pixelsize: float = float("nan")
    correlation: float = float("nan")
    seconds: float = float("nan")
    reason: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether plain and dose-weighted micrograph are there."""
        return len(self.names) == 2

    def findProblems(self) -> list[str]:
        """Return what is not as it must be, in words; nothing if all is well."""
        if not self.planned.is_good:
            problems = ["stored although its movie is broken"] if self.names else []
            return problems if self.reason else [*problems, "not stored and no reason given"]
        if not self.is_stored:
            return [f"not stored: {self.reason or 'no reason given'}"]
        truth = self.planned.exposure
        true_dose = truth.dose * truth.nframes
        checks = [
            (self.drift_error <= MAX_DRIFT_ERROR, f"drift is wrong by {self.drift_error:.2f} px"),
            (abs(self.dose / true_dose - 1) <= MAX_DOSE_ERROR, f"dose {self.dose:.2f} instead of {true_dose:.2f} e/Å²"),
            (abs(self.pixelsize / truth.pixelsize - 1) <= MAX_PIXEL_ERROR, f"pixel size {self.pixelsize:.4f} Å"),
            (self.correlation >= MIN_CORRELATION, f"does not look like the specimen ({self.correlation:.2f})"),
        ]
        return [words for passed, words in checks if not passed]


def calcDriftError(truth: np.ndarray, positions: np.ndarray) -> float:
    """Return the RMS distance in pixels of two (n, 2) tracks after removing the mean of each; inf if lengths differ."""
    if truth.shape != positions.shape:
        return float("inf")
    difference = (truth - truth.mean(axis=0)) - (positions - positions.mean(axis=0))
    return float(np.sqrt((difference**2).sum(axis=1).mean()))


def calcCorrelation(one: np.ndarray, other: np.ndarray, bin: int = 4) -> float:
    """Return the highest correlation coefficient of two images of the same shape over all shifts, binned first."""
    if one.shape != other.shape:
        return 0.0
    rows, cols = (n // bin * bin for n in one.shape)
    binned = [a[:rows, :cols].reshape(rows // bin, bin, cols // bin, bin).mean(axis=(1, 3)) for a in (one, other)]
    spectra = [np.fft.rfft2((a - a.mean()) / (a.std() * np.sqrt(a.size))) for a in binned]
    return float(np.fft.irfft2(spectra[0] * np.conj(spectra[1]), s=binned[0].shape).max())


def readImageIds(plan: Plan) -> dict[str, int]:
    """Return the image ids of the plan's exposures that Leginon has inserted so far, by name."""
    names = [planned.filename for planned in plan.exposures]
    rows = leginondata.AcquisitionImageData.objects.filter(filename__in=names)
    return {row.filename: row.def_id for row in rows}


def readStored(plan: Plan) -> set[int]:
    """Return the ids of the exposures of which both micrographs have been stored."""
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(source_id__in=list(readImageIds(plan).values()))
    sources = Counter(pairs.values_list("source_id", flat=True))
    return {source for source, count in sources.items() if count >= 2}


def readSetAside(rundir: Path) -> set[int]:
    """Return the ids of the exposures that the daemon has given up."""
    return {image_id for image_id, attempt in readAttempts(rundir).items() if attempt.next_try is None}


def explainImage(rundir: Path, image_id: int) -> str:
    """Return why an image is not stored as the daemon sees it: its failure, else what it last waited for."""
    attempt = readAttempts(rundir).get(image_id)
    if attempt is not None:
        return attempt.reason
    reasons = [event.get("reason") for event in readEvents(rundir, image_id)]
    return next((str(reason) for reason in reversed(reasons) if reason), "")


def readOutcomes(plan: Plan, explain: Callable[[int], str]) -> list[Outcome]:
    """Return what became of every exposure of the plan; `explain` gives the reason why an image is not stored."""
    ids = readImageIds(plan)
    return [readOutcome(plan, planned, ids.get(planned.filename, 0), explain) for planned in plan.exposures]


def readOutcome(plan: Plan, planned: Planned, image_id: int, explain: Callable[[int], str]) -> Outcome:
    """Return what became of one exposure."""
    pairs = list(appiondata.ApDDAlignImagePairData.objects.filter(source_id=image_id).order_by("def_id"))
    source = leginondata.AcquisitionImageData.objects.filter(def_id=image_id).first()
    results = leginondata.AcquisitionImageData.objects.filter(def_id__in=[pair.result_id for pair in pairs])
    names = sorted((row.filename for row in results), key=len)
    if source is None or not names:
        return Outcome(planned, image_id, tuple(names), reason=explain(image_id) if source else "never taken")
    trajectory = appiondata.ApDDFrameTrajectoryData.objects.filter(image_id__in=[row.def_id for row in results]).first()
    positions = np.array([trajectory.pos_x, trajectory.pos_y]).T if trajectory else np.zeros((0, 2))
    image, pixelsize = readMicrograph(plan.image_path / f"{names[0]}.mrc")
    middle = planned.exposure.nframes // 2
    specimen = convertToLeginon(calcTrueImage(planned.exposure, middle), plan.frame_flip, plan.frame_rotate)
    return Outcome(
        planned=planned,
        image_id=image_id,
        names=tuple(names),
        positions=positions,
        drift_error=calcDriftError(calcTrueDrift(planned.exposure), positions),
        dose=float(image.mean()) / planned.exposure.pixelsize**2,
        pixelsize=pixelsize,
        correlation=calcCorrelation(image, specimen),
        seconds=(pairs[-1].def_timestamp - source.def_timestamp).total_seconds(),
    )


def readMicrograph(path: Path) -> tuple[np.ndarray, float]:
    """Return an image and the pixel size (Å) in its header."""
    with mrcfile.open(path, permissive=True) as mrc:
        return np.array(mrc.data, np.float32), float(mrc.voxel_size.x)


def formatTable(outcomes: list[Outcome]) -> str:
    """Return the table of truth against result: a line for each exposure, and one for each problem below it."""
    lines = [
        f"{'':>3} {'exposure':<15} {'drift px':>9} {'error px':>9} {'error Å':>8} {'dose e/Å²':>13} {'pixel Å':>13}"
        f" {'corr.':>6} {'after s':>8}  stored as",
        f"{'':>3} {'':<15} {'truth':>9} {'RMS':>9} {'RMS':>8} {'truth':>6} {'found':>6} {'truth':>6} {'found':>6}",
    ]
    for outcome in outcomes:
        truth = outcome.planned.exposure
        drift = calcTrueDrift(truth)
        start = f"{outcome.planned.number:>3} {outcome.planned.kind:<15} {np.hypot(*(drift[-1] - drift[0])):>9.1f}"
        if outcome.is_stored:
            lines.append(
                f"{start} {outcome.drift_error:>9.3f} {outcome.drift_error * truth.pixelsize:>8.3f}"
                f" {truth.dose * truth.nframes:>6.2f} {outcome.dose:>6.2f} {truth.pixelsize:>6.3f}"
                f" {outcome.pixelsize:>6.3f} {outcome.correlation:>6.2f} {outcome.seconds:>8.0f}"
                f"  {outcome.names[0]}, -DW"
            )
        else:
            reason = re.sub(r"\S*/", "", outcome.reason)  # folders only make the line long
            lines.append(f"{start}  not stored: {reason or 'no reason given'}")
        if outcome.planned.is_good or not outcome.reason:
            lines.extend(f"{'':>3} PROBLEM: {problem}" for problem in outcome.findProblems())
    return "\n".join(lines)
