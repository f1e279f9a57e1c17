"""Averages over rings of a square array whose centre lies between its four central pixels, and back."""

from __future__ import annotations

import math

import numpy as np


def calcCentredGrid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances of rows (a column) and columns (a row) from the centre of a square array."""
    positions = np.arange(size) - (size - 1) / 2
    return positions[:, None], positions[None, :]


def calcEllipticalRadius(size: int, ratio: float, angle: float) -> np.ndarray:
    """Return the distance of each pixel along `angle` (radians) and, times `ratio`, across it."""
    y, x = calcCentredGrid(size)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    return np.hypot(along, ratio * across)


def calcRingMeans(array: np.ndarray, radius: np.ndarray, width: float) -> np.ndarray:
    """Return the mean of `array` over rings of `width`, the first one around `radius` 0, out to the corners."""
    ring = (radius / width).astype(np.intp).ravel()
    counts = np.bincount(ring)
    sums = np.bincount(ring, weights=array.ravel())
    filled = np.flatnonzero(counts)
    return np.interp(np.arange(len(counts)), filled, sums[filled] / counts[filled])
