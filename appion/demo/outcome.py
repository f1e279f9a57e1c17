"""What became of a simulated exposure, and whether that is near enough to the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from appion.demo.detector import convertAxisToLeginon
from appion.demo.plan import Plan, Planned

#: What a stored exposure has to keep to: drift error in pixels (RMS over frames), relative errors of dose and pixel
#: size, correlation with the image without noise. A picture turned or mirrored correlates by less than 0.1.
MAX_DRIFT_ERROR = 0.3
MAX_DOSE_ERROR = 0.03
MAX_PIXEL_ERROR = 0.001
MIN_CORRELATION = 0.4
#: Relative error of each defocus, and of the axis of astigmatism in degrees: turned or mirrored it is off by far more.
MAX_DEFOCUS_ERROR = 0.005
MAX_AXIS_ERROR = 3.0


@dataclass(frozen=True)
class Focus:
    """Defocus in Å, the smaller one first, and the axis of that in degrees, in Leginon's orientation of the image."""

    defocus1: float
    defocus2: float
    axis: float


@dataclass(frozen=True)
class Outcome:
    """What became of one exposure.

    Attributes:
        planned: the exposure; true_focus: how it was focused; image_id: its row, 0 if there is none.
        names: file names of the stored micrographs, plain and dose-weighted.
        positions: (n, 2) stored trajectory (x, y), pixels; empty if there is none.
        frames: which frames these are positions of: of a long movie the first ones and the last.
        drift_error: RMS distance of the trajectory from the truth over the frames, pixels.
        dose: electrons counted in the stored micrograph, e/Å².
        pixelsize: in the header of the stored micrograph, Å.
        correlation: of the stored micrograph with the image without noise in Leginon's orientation.
        seconds: from Leginon's row of the exposure to the last row of the micrographs.
        focus: as stored for the plain micrograph, or None; resolution: up to which the fit is good, Å.
        ctf_seconds: from Leginon's row of the exposure to the row of the fit.
        reason: why a micrograph or a fit is not stored, as the daemon explains it.
    """

    planned: Planned
    true_focus: Focus
    image_id: int = 0
    names: tuple[str, ...] = ()
    positions: np.ndarray | None = None
    drift_error: float = float("nan")
    dose: float = float("nan")
    pixelsize: float = float("nan")
    correlation: float = float("nan")
    seconds: float = float("nan")
    focus: Focus | None = None
    resolution: float = float("nan")
    ctf_seconds: float = float("nan")
    reason: str = ""
    frames: tuple[int, ...] = ()

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
        return [words for passed, words in checks if not passed] + self._findFocusProblems()

    def _findFocusProblems(self) -> list[str]:
        truth, found = self.true_focus, self.focus
        if found is None:
            return [f"no CTF: {self.reason or 'no reason given'}"]
        pairs = (("defocus 1", truth.defocus1, found.defocus1), ("defocus 2", truth.defocus2, found.defocus2))
        problems = [
            f"{name} is {value:.0f} instead of {true:.0f} Å"
            for name, true, value in pairs
            if not abs(value / true - 1) <= MAX_DEFOCUS_ERROR
        ]
        error = calcAxisError(truth.axis, found.axis)
        return problems if error <= MAX_AXIS_ERROR else [*problems, f"axis is wrong by {error:.1f} degrees"]


def calcTrueFocus(plan: Plan, planned: Planned) -> Focus:
    """Return the focus of an exposure as it has to be found in its micrograph."""
    optics = planned.exposure.optics
    axis = convertAxisToLeginon(optics.angle + 90, plan.frame_flip, plan.frame_rotate)
    return Focus(optics.defocus2, optics.defocus1, axis)


def calcAxisError(one: float, other: float) -> float:
    """Return the angle between two axes, 0 to 90 degrees."""
    return abs((one - other + 90) % 180 - 90)


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
