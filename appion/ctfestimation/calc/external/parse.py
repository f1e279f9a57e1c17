"""The files that CTFFIND writes: ``<name>.txt`` with what it found, ``<name>_avrot.txt`` with the curves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal.convention import Fit

#: Columns of a row: seven of CTFFIND 4, and of CTFFIND 5 tilt axis, tilt and thickness as well, or some of these.
COLUMNS = range(7, 11)

#: Curves of one micrograph: spatial frequency, average on circles, average along the astigmatism, fit, quality, noise.
CURVES = 6


def parseFit(text: str) -> Fit:
    """Return what is in the last row of CTFFIND's text file; a stack has one row for each of its sections.

    The resolution is given as it is written, also inf, nan or 0. Tilt and thickness are None where there are no such
    columns or no finite numbers in them; CTFFIND 5 writes 0 for what it did not look for.

    Raises:
        ImageFailure: no row, a row of another length, or something else than finite numbers in it.
    """
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not rows:
        raise ImageFailure("the program's text file has no row of values", log_tail=text[-1000:])
    for row in rows:
        if len(row) not in COLUMNS:
            raise ImageFailure(
                f"the program's text file has a row of {len(row)} columns instead of 7 to 10: {' '.join(row)[:200]}",
                "if this is a new version of CTFFIND, use a known one", log_tail=text[-1000:],
            )  # fmt: skip
    try:
        values = [float(word) for word in rows[-1]]
    except ValueError as error:
        raise ImageFailure(f"the program's text file does not hold numbers: {error}", log_tail=text[-1000:]) from None
    names = ("micrograph", "defocus 1", "defocus 2", "azimuth", "phase shift", "score")
    for name, value in zip(names, values, strict=False):
        if not math.isfinite(value):
            raise ImageFailure(
                f"the fit is not one: {name} is {value:g}", "look at the micrograph: it may be constant or hold NaN",
                log_tail=text[-1000:],
            )  # fmt: skip
    tilt_axis, tilt, thickness = (*values[7:], *[math.nan] * 3)[:3]
    tilted = math.isfinite(tilt_axis) and math.isfinite(tilt)
    return Fit(
        defocus_u=values[1],
        defocus_v=values[2],
        angle=values[3],
        phase_shift=values[4],
        score=values[5],
        resolution=values[6],
        tilt_axis_angle=tilt_axis if tilted else None,
        tilt_angle=tilt if tilted else None,
        thickness=thickness if math.isfinite(thickness) else None,
    )


def parseAverages(text: str) -> NDArray[np.float64]:
    """Return the six curves of the last micrograph in CTFFIND's file of rotational averages, as (6, samples).

    Raises:
        ValueError: there are no such curves.
    """
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(rows) < CURVES or len({len(row) for row in rows[-CURVES:]}) != 1:
        raise ValueError(f"{len(rows)} rows of lengths {sorted({len(row) for row in rows})} instead of 6 equal ones")
    return np.array(rows[-CURVES:], dtype=np.float64)
