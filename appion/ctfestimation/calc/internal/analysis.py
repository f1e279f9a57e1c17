"""The analysis of a fitted CTF: from a micrograph and the values of the fit to confidences and resolutions.

The steps, and with them the meaning of the numbers, are those of Appion (Lander et al. 2009), whose CTF display they
come from; resolutions are where the correlation with the model falls to 0.8 and 0.5 (Sheth et al. 2015).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

import numpy as np

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal.confidence import (
    NO_RESOLUTION,
    calcConfidence,
    calcCorrelationProfile,
    calcResolution,
)
from appion.ctfestimation.calc.internal.lowpass import filterCorners
from appion.ctfestimation.calc.internal.model import (
    Defocus,
    Optics,
    calcCTF,
    constructDefocus,
    constructOptics,
)
from appion.ctfestimation.calc.internal.normalise import Normalised, normaliseProfile
from appion.ctfestimation.calc.internal.profile import Profile, TooFewOscillations, calcProfile
from appion.ctfestimation.calc.internal.spectrum import calcFieldSize, calcPowerSpectrum, removeSpikes
from appion.ctfestimation.records import CTFConfidence

#: What a fit is said to be worth whose spectrum cannot be judged.
NO_CONFIDENCE = CTFConfidence(0.0, 0.0, 0.0, 0.0, NO_RESOLUTION, NO_RESOLUTION)
#: Pixels that the short side of a micrograph must have.
SMALLEST = 144
#: Limits of the largest pixel of a micrograph that is analysed as it is.
SMALLEST_VALUE, LARGEST_VALUE = 1e-9, 1e12


@dataclass(frozen=True)
class Judged:
    """A profile that could be judged: without background and envelope, the model at its frequencies, and how well they
    correlate around `centres` (1/Å)."""

    profile: Profile
    normalised: Normalised
    model: np.ndarray
    centres: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True)
class CTFAnalysis(CTFConfidence):
    """The numbers of one analysis and the arrays they come from.

    Attributes:
        defocus, optics: of the fit.
        spectrum: logarithms of amplitudes, the origin between the four central pixels.
        frequency_step: 1/Å per pixel of it.
        judged: the profile, or None where it cannot be judged, for which `reason` says why.
    """

    defocus: Defocus
    optics: Optics
    spectrum: np.ndarray
    frequency_step: float
    judged: Judged | None
    reason: str = ""

    @property
    def confidence(self) -> CTFConfidence:
        """The numbers alone."""
        return CTFConfidence(**{field.name: getattr(self, field.name) for field in fields(CTFConfidence)})


def prepareMicrograph(micrograph: np.ndarray) -> np.ndarray:
    """Return a micrograph in a scale whose squares single precision holds; raise ImageFailure if it has no spectrum."""
    micrograph = np.asarray(micrograph)
    if micrograph.dtype.kind not in "biuf":
        raise ImageFailure(f"the pixels of the micrograph are {micrograph.dtype}, not real numbers")
    if micrograph.ndim != 2 or min(micrograph.shape) < SMALLEST:
        size = " x ".join(str(n) for n in micrograph.shape)
        raise ImageFailure(f"the micrograph is {size} pixels; a plane of at least {SMALLEST} x {SMALLEST} is needed")
    lowest, highest = float(micrograph.min()), float(micrograph.max())
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        bad = int(np.count_nonzero(~np.isfinite(micrograph)))
        reason = f"{bad} of {micrograph.size} pixels of the micrograph are no finite numbers"
        raise ImageFailure(reason, "look at the image")
    if lowest == highest:
        raise ImageFailure(f"all pixels of the micrograph are {lowest:g}", "look at the image")
    largest = max(abs(lowest), abs(highest))
    return micrograph if SMALLEST_VALUE < largest < LARGEST_VALUE else micrograph / largest


def checkFit(
    pixelsize: float, defocus: Defocus, cs: float, high_tension: float, amplitude_contrast: float, phase_shift: float
) -> None:
    """Raise ImageFailure for values that no microscope and no fit has; units as of :func:`calcCTFAnalysis`."""
    ranges = (
        ("pixel size (Å)", pixelsize, 0.01, 100.0),
        ("defocus 1 (µm)", defocus.smaller / 1e4, 0.01, 25.0),
        ("defocus 2 (µm)", defocus.larger / 1e4, 0.01, 25.0),
        ("astigmatism angle (degrees)", math.degrees(defocus.angle), -1e4, 1e4),
        ("Cs (mm)", cs, 0.0, 9.0),
        ("high tension (kV)", high_tension / 1e3, 60.0, 400.0),
        ("amplitude contrast", amplitude_contrast, 0.0, 0.5),
        ("phase shift (radians)", phase_shift, -2 * math.pi, 2 * math.pi),
    )
    for name, value, lowest, highest in ranges:
        if not lowest <= value <= highest:
            raise ImageFailure(f"{name} is {value:g}, which is not within {lowest:g} and {highest:g}", "check the fit")


def calcJudged(spectrum: np.ndarray, frequency_step: float, defocus: Defocus, optics: Optics) -> Judged:
    """Return the profile of `spectrum` beside the model; raises TooFewOscillations."""
    profile = calcProfile(spectrum, frequency_step, defocus, optics)
    if len(profile.peaks) < 3:
        raise TooFewOscillations(f"the spectrum has only {len(profile.peaks)} peaks of the CTF")
    normalised = normaliseProfile(profile)
    model = np.square(calcCTF(profile.frequency, defocus.mean, optics))
    centres, correlation = calcCorrelationProfile(profile.frequency, normalised.values, model, profile.peaks)
    return Judged(profile, normalised, model, centres, correlation)


def calcNumbers(judged: Judged, defocus: Defocus, optics: Optics) -> CTFConfidence:
    """Return confidences for the fit and for the same defocus on the other side of focus, and resolutions."""
    frequency, peaks, values = judged.profile.frequency, judged.profile.peaks, judged.normalised.values
    overfocus = np.square(calcCTF(frequency, -defocus.mean, optics))
    sixth = peaks[min(5, len(peaks) - 1)]
    return CTFConfidence(
        confidence_30_10=calcConfidence(frequency, values, judged.model, 1 / 30, 1 / 10),
        confidence_5_peak=calcConfidence(frequency, values, judged.model, peaks[0], sixth),
        overfocus_conf_30_10=calcConfidence(frequency, values, overfocus, 1 / 30, 1 / 10),
        overfocus_conf_5_peak=calcConfidence(frequency, values, overfocus, peaks[0], sixth),
        resolution_80_percent=calcResolution(judged.centres, judged.correlation, 0.8),
        resolution_50_percent=calcResolution(judged.centres, judged.correlation, 0.5),
    )


def calcCTFAnalysis(
    micrograph: np.ndarray,
    pixelsize: float,
    defocus1: float,
    defocus2: float,
    angle: float,
    cs: float,
    high_tension: float,
    amplitude_contrast: float,
    phase_shift: float = 0.0,
) -> CTFAnalysis:
    """Return confidences and resolutions of a fit, with the arrays that pictures show.

    Args:
        micrograph: (rows, columns).
        pixelsize: Å. defocus1, defocus2: m, positive for underfocus. angle: of the axis of defocus1, degrees from the
            columns (x) towards the rows (y). cs: mm. high_tension: V. amplitude_contrast: fraction.
            phase_shift: radians.

    A spectrum that shows too few oscillations has confidences 0 and resolutions 100 Å. Raises ImageFailure for a
    micrograph that is constant, not finite, not real, no plane or smaller than 144 pixels, and for values out of their
    range.
    """
    defocus = constructDefocus(defocus1, defocus2, angle)
    checkFit(pixelsize, defocus, cs, high_tension, amplitude_contrast, phase_shift)
    optics = constructOptics(cs, high_tension, amplitude_contrast, phase_shift)
    micrograph = prepareMicrograph(micrograph)
    step = 1 / (calcFieldSize(micrograph.shape) * pixelsize)
    spectrum = filterCorners(removeSpikes(calcPowerSpectrum(micrograph, pixelsize, defocus, optics)))
    spectrum -= spectrum.min() - 1
    try:
        judged, reason = calcJudged(spectrum, step, defocus, optics), ""
    except TooFewOscillations as error:
        judged, reason = None, str(error)
    numbers = calcNumbers(judged, defocus, optics) if judged else NO_CONFIDENCE
    return CTFAnalysis(
        **asdict(numbers), defocus=defocus, optics=optics, spectrum=spectrum, frequency_step=step, judged=judged,
        reason=reason,
    )  # fmt: skip


def calcCTFConfidence(
    micrograph: np.ndarray,
    pixelsize: float,
    defocus1: float,
    defocus2: float,
    angle: float,
    cs: float,
    high_tension: float,
    amplitude_contrast: float,
    phase_shift: float = 0.0,
) -> CTFConfidence:
    """Return only the numbers of :func:`calcCTFAnalysis`, which has the units."""
    return calcCTFAnalysis(
        micrograph, pixelsize, defocus1, defocus2, angle, cs, high_tension, amplitude_contrast, phase_shift
    ).confidence
