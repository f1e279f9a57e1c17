"""Pixel size of an image from the calibrations of its microscope and camera."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime


def selectPixelSize(calibrations: Iterable[tuple[int, datetime | None, float]], when: datetime | None) -> float | None:
    """Return the calibration (m per unbinned pixel) that held at `when`, or None if there is none.

    `calibrations` are (id, time, value) of one magnification, microscope and camera. The one with the highest id that
    is not newer than the image is taken; if all are newer, the oldest.
    """
    newest_first = sorted(calibrations, key=lambda row: row[0], reverse=True)
    if not newest_first:
        return None
    for _, time, value in newest_first:
        if time is None or when is None or time <= when:
            return value
    return newest_first[-1][2]


def calcPixelSize(calibration: float, binning: int) -> float:
    """Return the pixel size in Å of an image with the given camera binning."""
    return calibration * binning * 1e10
