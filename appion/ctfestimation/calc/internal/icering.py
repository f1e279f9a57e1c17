"""The number by which RELION 5 tells how much crystalline ice there is (`rlnCtfIceRingDensity`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Between these frequencies (1/Å) lies the strongest ring of hexagonal and cubic ice, at 3.9 to 3.7 Å.
LOW, HIGH = 0.25, 0.28


def calcIceRing(frequency: NDArray[np.float64], average: NDArray[np.float64]) -> float | None:
    """Return the sum of a spectrum's rotational average over the ring of ice, as RELION 5 forms it.

    It is no ratio: it grows with the side of the spectrum, and what else is in the ring adds to it. So it compares
    micrographs of one pixel size, field size and sample.

    Args:
        frequency: of each sample, 1/Å, ascending. average: the second line of values in CTFFIND's ``_avrot.txt``, which
            assumes no astigmatism.

    Returns:
        The sum of |average| from the first sample at 0.25 1/Å or above up to that before the first above 0.28 1/Å; None
        where the spectrum does not reach beyond 0.28 1/Å, or there is nothing.

    Source: RELION 5, src/ctffind_runner.cpp, CtffindRunner::getCtffind4Results.
    """
    above = np.flatnonzero(frequency > HIGH)
    if not len(above):
        return None
    first = int(np.argmax(frequency >= LOW))
    total = float(np.abs(average[first : above[0]]).sum())
    return total if total > 0 else None
