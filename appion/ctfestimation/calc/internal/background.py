"""The slow background under the rings of a spectrum, as functions that span it."""

from __future__ import annotations

import numpy as np

from appion.ctfestimation.calc.internal.lens import Lens

#: The background may bend once for so many rings of the transfer function, which it would else take along; it is a
#: polynomial of the squared frequency, of a degree between the last two numbers, or of the second degree for few rings.
RINGS_PER_BEND, LOWEST_DEGREE, HIGHEST_DEGREE = 3.0, 3, 12
FEW_RINGS = 2.0


def calcDegree(squared: np.ndarray, lens: Lens, defocus: float) -> int:
    """Return the degree that suits squared frequencies (1/Å²) at a defocus (Å)."""
    rings = lens.wavelength * abs(defocus) * float(squared.max())
    if rings < FEW_RINGS:
        return 2
    return round(min(LOWEST_DEGREE + rings / RINGS_PER_BEND, HIGHEST_DEGREE))


def constructPolynomials(squared: np.ndarray, degree: int) -> np.ndarray:
    """Return slow functions of the frequency in columns: polynomials of its square, and others for its beginning.

    The others, which follow a steep decay, come only with a degree that tells of more than a ring or two.
    """
    position = 2 * (squared - squared.min()) / np.ptp(squared) - 1
    slow = np.polynomial.legendre.legvander(position, degree)
    if degree < LOWEST_DEGREE:
        return slow
    first = np.sqrt(squared / squared.max())
    return np.column_stack([slow, first, first**3])
