"""The wavelength of the electrons."""

from __future__ import annotations

import math


def calcWavelength(volts: float) -> float:
    """Return the relativistic wavelength in m of electrons accelerated by `volts`.

    The constants are those Appion's analysis has always used; the wavelength is 8e-5 longer than with CODATA's. With
    others, resolutions would not compare with the ones a laboratory has stored: they shift by up to 0.02 Å.
    """
    return 1.2265191e-9 / math.sqrt(volts + 9.7840893e-7 * volts**2)
