"""What is fitted to a spectrum: the transfer function of a microscope, what to look for, and what was found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lens:
    """What an electron microscope does to every image: wavelength and Cs in Å, amplitude contrast as a fraction."""

    wavelength: float
    cs: float
    amplitude_contrast: float

    def calcPhase(self, squared: np.ndarray, defocus: np.ndarray | float, shift: float = 0.0) -> np.ndarray:
        """Return χ in radians at squared frequencies (1/Å²) for defocus in Å; the transfer function is -sin(χ)."""
        constant = shift + math.asin(self.amplitude_contrast)
        linear, quadratic = math.pi * self.wavelength, math.pi / 2 * self.cs * self.wavelength**3
        return squared * (linear * defocus - quadratic * squared) + constant


def constructLens(kilovolts: float, cs: float, amplitude_contrast: float) -> Lens:
    """Return the lens of a microscope of so many kV and a spherical aberration in mm; the constants are CODATA's."""
    volts = kilovolts * 1e3
    return Lens(12.264260 / math.sqrt(volts * (1 + 9.784755e-7 * volts)), cs * 1e7, amplitude_contrast)


@dataclass(frozen=True)
class Search:
    """What to look for.

    Attributes:
        minimum, maximum, step: mean defocus, Å.
        tolerance: expected size of astigmatism, Å, or None for no restraint.
        known: astigmatism that is known: the two components of half the difference, Å, see :class:`Fit`; or None.
        phases: the phase shifts to start from, radians, from the smallest to the largest allowed; one: not searched.
        dense: whether the grid is twice as fine in every direction.
    """

    minimum: float
    maximum: float
    step: float
    tolerance: float | None = None
    known: tuple[float, float] | None = None
    phases: tuple[float, ...] = (0.0,)
    dense: bool = False


@dataclass(frozen=True)
class Fit:
    """Defocus (mean) + cosine cos(2 azimuth) + sine sin(2 azimuth) in Å, phase shift in radians, and its quality.

    Quality is the correlation of the levelled spectrum with the model, restraint included; it only orders fits.
    """

    mean: float
    cosine: float
    sine: float
    phase: float
    quality: float = 0.0

    def calcDefocus(self, azimuth: np.ndarray) -> np.ndarray:
        """Return the defocus along azimuths in radians, Å."""
        return self.mean + self.cosine * np.cos(2 * azimuth) + self.sine * np.sin(2 * azimuth)

    @property
    def half(self) -> float:
        """Half the difference of the two defoci, Å."""
        return math.hypot(self.cosine, self.sine)

    @property
    def angle(self) -> float:
        """The axis of the larger defocus, degrees, -90 < angle <= 90."""
        angle = math.degrees(math.atan2(self.sine, self.cosine)) / 2
        return angle if angle > -90 else angle + 180
