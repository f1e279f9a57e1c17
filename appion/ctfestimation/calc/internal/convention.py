"""Numbers of the programs brought to the convention of `ApCtfData`.

Defocus positive for underfocus, defocus1 the smaller one; the angle is the axis of defocus1, in degrees from -90 to 90,
counted from the columns towards the rows of the image. Programs print the larger defocus first, with the axis of that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from appion.ctfestimation.records import CTFConfidence

#: What stands for "no resolution": behind everything else where rows are ranked, and still a number for the database.
NO_RESOLUTION = 100000.0

#: Amplitude contrast below this counts as none.
SMALL_CONTRAST = 0.005

#: Ranges outside of which a fit is kept but not analysed: defocus (µm), Cs (mm), voltage (kV), amplitude contrast.
PLAUSIBLE_DEFOCUS = (0.01, 25.0)
PLAUSIBLE_CS = (0.0, 9.0)
PLAUSIBLE_VOLTAGE = (60.0, 400.0)
PLAUSIBLE_CONTRAST = (0.0, 0.5)


@dataclass(frozen=True)
class Fit:
    """What a program found for one micrograph, in its own units and convention.

    Attributes:
        defocus_u, defocus_v: Å. angle: axis of defocus_u, degrees. phase_shift: radians.
        score: cross correlation with the model. resolution: up to where the fit is good, Å; may be inf, nan or 0.
        tilt_axis_angle, tilt_angle (degrees), thickness (Å): None where the program does not tell.
    """

    defocus_u: float
    defocus_v: float
    angle: float
    phase_shift: float
    score: float
    resolution: float
    tilt_axis_angle: float | None = None
    tilt_angle: float | None = None
    thickness: float | None = None


def calcDefocus(fit: Fit) -> tuple[float, float, float]:
    """Return defocus1 (Å), defocus2 (Å) and the angle of astigmatism (degrees) of a fit."""
    return convertToConvention(fit.defocus_v, fit.defocus_u, fit.angle + 90)


def convertMicrons(value: float) -> float:
    """Return a length of a command line (µm) in Å, without what binary fractions add."""
    return round(value * 1e4, 4)


def convertToConvention(defocus1: float, defocus2: float, angle: float) -> tuple[float, float, float]:
    """Return both defoci and the axis of the first so that the first is the smaller one and underfocus positive.

    Doing it twice changes nothing. Values of different sign keep them.
    """
    if abs(defocus1) > abs(defocus2):
        defocus1, defocus2, angle = defocus2, defocus1, angle + 90
    if defocus1 < 0 and defocus2 < 0:
        defocus1, defocus2 = -defocus1, -defocus2
    return defocus1, defocus2, foldAngle(angle)


def foldAngle(angle: float) -> float:
    """Return the same axis as an angle from -90 to 90 degrees."""
    if -90 <= angle <= 90:
        return angle
    return (angle + 90) % 180 - 90


def convertResolution(resolution: float) -> float:
    """Return a resolution (Å) that can be stored: NO_RESOLUTION instead of inf, nan, zero and negative numbers."""
    return resolution if math.isfinite(resolution) and resolution > 0 else NO_RESOLUTION


def convertContrast(contrast: float) -> float:
    """Return the amplitude contrast to be stored: 0 if it is next to nothing."""
    return 0.0 if abs(contrast) < SMALL_CONTRAST else contrast


def calcConfidence(score: float, confidence_d: float, analysis: CTFConfidence | None) -> float:
    """Return the confidence of a fit: the best of what the program and the analysis say."""
    found = (analysis.confidence_5_peak, analysis.confidence_30_10) if analysis else ()
    return max(score, confidence_d, *found)


def findImplausible(
    defocus1: float, defocus2: float, cs: float, voltage: float, contrast: float
) -> list[str]:
    """Return in words what is outside of the range in which an analysis makes sense (Å, Å, mm, kV, fraction)."""
    values = (
        ("defocus", defocus1 * 1e-4, PLAUSIBLE_DEFOCUS, "µm"),
        ("defocus", defocus2 * 1e-4, PLAUSIBLE_DEFOCUS, "µm"),
        ("spherical aberration", cs, PLAUSIBLE_CS, "mm"),
        ("high tension", voltage, PLAUSIBLE_VOLTAGE, "kV"),
        ("amplitude contrast", contrast, PLAUSIBLE_CONTRAST, ""),
    )
    return [
        f"{what} {value:g} {unit}".rstrip() + f" is not within {low:g} to {high:g}"
        for what, value, (low, high), unit in values
        if not low <= value <= high
    ]
