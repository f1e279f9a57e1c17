"""Looking at what rows of microscopes and cameras say, before it gets to a program, in words that name the row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appion.base.calc.limits import (
    BINNING,
    DIMENSION,
    HIGH_TENSION,
    MAGNIFICATION,
    PIXEL_SIZE,
    Quantity,
    checkValue,
)
from appion.base.failures import ConfigurationFailure


def checkColumn(row: Any, key: str, quantity: Quantity, unit: str | None = None) -> None:
    """Look at the value of a row's field, which may be NULL: then it is not known.

    Args:
        unit: of the column; None: that of the quantity.

    Raises:
        ConfigurationFailure: it cannot be; names table, row, column, value, limits and the likely unit.
    """
    value = getattr(row, key)
    if value is not None:
        column = row._meta.get_field(key).column
        checkValue(quantity, value, f"{type(row).__name__} row {row.def_id}: {column}", unit, "column")


def checkScope(scope: Any) -> None:
    """Look at high tension (V) and magnification of a microscope's row, and that it shows an image.

    Raises:
        ConfigurationFailure: a value cannot be, or the image is a diffraction pattern.
    """
    if (scope.projection_mode or "").lower() == "diffraction":
        raise ConfigurationFailure(
            f"ScopeEMData row {scope.def_id}: projection mode is diffraction, not imaging",
            "diffraction patterns are not for this: give the --preset of the exposures",
        )
    checkColumn(scope, "high_tension", HIGH_TENSION, "V")
    checkColumn(scope, "magnification", MAGNIFICATION)


def checkCamera(camera: Any) -> None:
    """Look at binning and dimension of a camera's row. Raises ConfigurationFailure for what cannot be."""
    for axis in ("x", "y"):
        checkColumn(camera, f"binning_{axis}", BINNING)
        checkColumn(camera, f"dimension_{axis}", DIMENSION)


def checkCalibration(calibrations: Iterable[tuple[int, Any, float]], pixelsize: float, binning: int) -> None:
    """Look at the calibration that was chosen among (id, time, m per unbinned pixel), and at what binning makes of it.

    Raises:
        ConfigurationFailure: there are no such pixels.
    """
    number = next(one for one, _, value in calibrations if value == pixelsize)
    name = f"PixelSizeCalibrationData row {number}: pixelsize"
    checkValue(PIXEL_SIZE, pixelsize, name, "m", "column")
    checkValue(PIXEL_SIZE, pixelsize * binning, f"{name} times binning {binning}", "m", "image")
