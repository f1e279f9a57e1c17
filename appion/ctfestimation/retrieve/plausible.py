"""Looking at what only CTF estimation reads of rows: the lens, defocus, earlier results.

Raises ConfigurationFailure, as all of :mod:`appion.base.retrieve.plausible`, which has the rest.
"""

from __future__ import annotations

from typing import Any

from appion.base.calc.limits import AMPLITUDE_CONTRAST, CS, DEFOCUS, RESOLUTION, checkValue
from appion.base.retrieve.plausible import checkColumn
from appion.ctfestimation.records import CTFOptions
from appion.ctfestimation.retrieve.best import EarlierCTF


def checkLens(microscope: Any) -> None:
    """Look at the spherical aberration (m) of a microscope's row."""
    checkColumn(microscope, "cs", CS, "m")


def checkCentre(options: CTFOptions, best: EarlierCTF | None, scope: Any) -> None:
    """Look at the defocus (m) around which is searched, and at the contrast: of the earlier result, or the microscope.

    What the options give in their place is not looked at: with a wrong row one can go on by ``--nominal``.
    """
    if options.nominal is not None:
        return
    if best is None:
        checkColumn(scope, "defocus", DEFOCUS, "m")
        return
    name = f"ApCtfData row {best.def_id}"
    checkValue(DEFOCUS, best.defocus1, f"{name}: defocus1", "m", "column")
    checkValue(DEFOCUS, best.defocus2, f"{name}: defocus2", "m", "column")
    if options.bestdb and (best.amplitude_contrast or 0) > 0:
        checkValue(AMPLITUDE_CONTRAST, best.amplitude_contrast, f"{name}: amplitude_contrast", holder="column")


def checkResmax(resmax: float, best: EarlierCTF | None) -> None:
    """Look at the limit of the fit (Å), which may follow from the resolutions of an earlier result."""
    name = "--resmax" if best is None else f"ApCtfData row {best.def_id}: resmax by its resolutions"
    checkValue(RESOLUTION, resmax, name, holder="fit")
