"""How well a normalised profile agrees with the squared CTF: in ranges of frequency, and up to which resolution."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

#: The resolution in Å of a fit that holds nowhere.
NO_RESOLUTION = 100.0
#: Correlations over this many windows that cannot be computed make the resolution unknown.
MOST_FAILURES = 4


def calcCorrelation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation coefficient of two series, NaN if they are constant or shorter than two samples."""
    if len(a) < 2:
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else math.nan


def calcConfidence(
    frequency: np.ndarray, values: np.ndarray, model: np.ndarray, lowest: float, highest: float
) -> float:
    """Return the correlation of `values` and `model` between two frequencies (1/Å), 0.0 where there is none."""
    start, end = np.searchsorted(frequency, [lowest, highest])
    correlation = calcCorrelation(values[start:end], model[start:end])
    return correlation if math.isfinite(correlation) else 0.0


def calcCentres(squared: np.ndarray, start: float, end: float, step: float) -> Iterator[float]:
    """Yield samples about `step` apart from `start` to `end`: each is the next one of `squared`, which increases."""
    while start < end:
        centre = float(squared[np.searchsorted(squared, start)])
        yield centre
        start = centre + step


def calcCorrelationProfile(
    frequency: np.ndarray, values: np.ndarray, model: np.ndarray, peaks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies and the correlation of `values` and `model` over a window around each.

    Windows have one width in the square of the frequency, in which oscillations are evenly spaced: 1.8 of them. Those
    around the first peak are shorter, and the square root of the correlation stands for it. Empty if more than
    :data:`MOST_FAILURES` windows have none.
    """
    squared, last = np.square(frequency), len(frequency) - 1
    spacing = peaks[1] ** 2 - peaks[0] ** 2
    width, step = 1.8 * spacing, 0.45 * spacing
    first = float(squared[min(int(np.searchsorted(squared, peaks[0] ** 2 + width / 2)), last)])
    found: list[tuple[float, float]] = []
    for centre in calcCentres(squared, peaks[0] ** 2, first, step):
        start, end = np.searchsorted(squared, [centre - spacing / 4, centre + spacing / 4])
        found.append((centre, math.sqrt(abs(calcCorrelation(values[start:end], model[start:end])))))
    for centre in calcCentres(squared, first, float(squared[last]), step):
        start, end = np.searchsorted(squared, [centre - width / 2, centre + width / 2])
        short = end - start < 4
        chosen = slice(-4, None) if short else slice(start, end)
        found.append((centre, calcCorrelation(values[chosen], model[chosen])))
        if short:
            break
    finite = [pair for pair in found if math.isfinite(pair[1])]
    if not finite or len(found) - len(finite) > MOST_FAILURES:
        return np.empty(0), np.empty(0)
    places, correlations = np.array(finite).T
    return np.sqrt(places), correlations


def calcResolution(frequency: np.ndarray, correlation: np.ndarray, limit: float) -> float:
    """Return the resolution in Å where a correlation profile falls to `limit`, NO_RESOLUTION if it never holds.

    It has to be above the limit among its first three values; where it never falls below, its last frequency counts.
    """
    if len(correlation) < 3 or correlation[:3].max() < limit:
        return NO_RESOLUTION
    above = None
    for i, value in enumerate(correlation):
        if value > limit:
            above = i
        elif above is not None:
            part = (correlation[above] - limit) / (correlation[above] - value)
            return float(1 / (frequency[above] + part * (frequency[i] - frequency[above])))
        elif value < limit / 2 and i > 2:
            return NO_RESOLUTION
    return float(1 / frequency.max())
