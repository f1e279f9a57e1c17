"""The contrast transfer function, and where its square has its peaks and valleys.

Lengths are in Å and spatial frequencies in 1/Å throughout. The phase of the function is
pi lambda z s^2 - pi/2 Cs lambda^3 s^4 + phi, defocus z positive for underfocus (Wade 1992; Rohou & Grigorieff 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from appion.ctfestimation.calc.internal.wave import calcWavelength


@dataclass(frozen=True)
class Optics:
    """What a microscope does to every image: wavelength and cs in Å, amplitude contrast, phase shift in radians."""

    wavelength: float
    cs: float
    amplitude_contrast: float
    phase_shift: float = 0.0


@dataclass(frozen=True)
class Defocus:
    """Defocus of one image, Å: the smaller one along `angle` (radians from columns towards rows), the larger across."""

    smaller: float
    larger: float
    angle: float

    @property
    def mean(self) -> float:
        """The geometric mean, which an elliptical average shows."""
        return math.sqrt(self.smaller * self.larger)

    def along(self, azimuth: np.ndarray) -> np.ndarray:
        """Return the defocus in the directions `azimuth`, radians."""
        mean, half = (self.smaller + self.larger) / 2, (self.smaller - self.larger) / 2
        return mean + half * np.cos(2 * (azimuth - self.angle))


def constructOptics(cs: float, high_tension: float, amplitude_contrast: float, phase_shift: float = 0.0) -> Optics:
    """Return the optics of a microscope with `cs` in mm and `high_tension` in V."""
    return Optics(calcWavelength(high_tension) * 1e10, cs * 1e7, amplitude_contrast, phase_shift)


def constructDefocus(defocus1: float, defocus2: float, angle: float) -> Defocus:
    """Return the defocus record of a fit in m and degrees, whichever of the two is the smaller one."""
    if abs(defocus1) > abs(defocus2):
        defocus1, defocus2, angle = defocus2, defocus1, angle + 90
    if defocus1 < 0 and defocus2 < 0:
        defocus1, defocus2 = -defocus1, -defocus2
    return Defocus(defocus1 * 1e10, defocus2 * 1e10, math.radians(angle))


def calcPhase(frequency: np.ndarray, defocus: float | np.ndarray, optics: Optics) -> np.ndarray:
    """Return the phase of the contrast transfer function in radians, amplitude contrast not included."""
    s2 = np.square(frequency)
    return (
        np.pi * optics.wavelength * defocus * s2
        - np.pi / 2 * optics.cs * optics.wavelength**3 * np.square(s2)
        + optics.phase_shift
    )


def calcCTF(frequency: np.ndarray, defocus: float | np.ndarray, optics: Optics) -> np.ndarray:
    """Return the contrast transfer function at `frequency` (1/Å) for `defocus` (Å)."""
    phase, amplitude = calcPhase(frequency, defocus, optics), optics.amplitude_contrast
    return amplitude * np.cos(phase) + math.sqrt(1 - amplitude**2) * np.sin(phase)


def calcExtrema(defocus: float, optics: Optics, limit: float, peaks: bool) -> np.ndarray:
    """Return the frequencies (1/Å) of the peaks or the valleys of the squared function up to `limit`, and one more.

    Only those on the way from 0 to the frequency where spherical aberration turns the phase around are returned: beyond
    it the same phases come again. A valley or peak that a phase plate has moved beyond the origin does not exist.
    """
    offset = math.asin(optics.amplitude_contrast) + optics.phase_shift
    linear, quadratic = math.pi * optics.wavelength * defocus, math.pi / 2 * optics.cs * optics.wavelength**3
    turned = 2 * quadratic * limit**2 > linear
    highest = offset + (linear**2 / (4 * quadratic) if turned else linear * limit**2)
    order = np.arange(1, math.ceil(highest / math.pi) + 3) - (0.5 if peaks else 0.0)
    phase = order * math.pi - offset
    inner = linear**2 - 4 * quadratic * phase
    phase, inner = phase[(phase > 0) & (inner >= 0)], inner[(phase > 0) & (inner >= 0)]
    found = np.sqrt(2 * phase / (linear + np.sqrt(inner)))
    return found[: np.count_nonzero(found <= limit) + 1]

