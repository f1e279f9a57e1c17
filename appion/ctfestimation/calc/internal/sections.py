"""Lines that touch overlapping sections of a curve from below or above, and their blend into one curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

#: Sections with fewer samples are left out.
SHORTEST = 4


@dataclass(frozen=True)
class SectionFit:
    """Sections as (first, last) sample, the line of each evaluated at all samples, and the blend of the lines."""

    sections: tuple[tuple[int, int], ...]
    lines: tuple[np.ndarray, ...]
    blend: np.ndarray


def calcLowerHull(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Return the indices of the lower convex hull of points with increasing `x` (Andrew 1979)."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            j, k = hull[-2], hull[-1]
            if (x[k] - x[j]) * (y[i] - y[j]) > (y[k] - y[j]) * (x[i] - x[j]):
                break
            hull.pop()
        hull.append(i)
    return hull


def fitLine(x: np.ndarray, y: np.ndarray, below: bool) -> tuple[float, float]:
    """Return intercept and slope of the line that is below (above) all points and closest to them on average.

    That is the line along the edge of their convex hull which spans the mean of `x`. At least two points with
    increasing `x` are needed.
    """
    hull = calcLowerHull(x, y if below else -y)
    edge = min(int(np.searchsorted(x[hull], x.mean(), "right")), len(hull) - 1)
    left, right = hull[edge - 1], hull[edge]
    slope = float((y[right] - y[left]) / (x[right] - x[left]))
    return float(y[left] - slope * x[left]), slope


def snapToExtremum(sample: float, x: np.ndarray, extrema: np.ndarray) -> int:
    """Return the sample nearest to that one of `extrema` which is nearest to `sample`."""
    here = x[min(int(sample), len(x) - 1)]
    nearest = extrema[np.argmin(np.abs(extrema - here))]
    return int(np.argmin(np.abs(x - nearest)))


def calcSections(x: np.ndarray, extrema: np.ndarray, number: int) -> list[tuple[int, int]]:
    """Return (first, last) sample of up to `number` sections, each sharing two fifths with the next.

    They begin at the first of `extrema` and are bounded by extrema, so that each has whole oscillations. There are
    fewer where boundaries would fall together, and none where there is no room for one.
    """
    first, length = snapToExtremum(0, x, extrema[:1]), len(x) - 1
    for count in range(number, 0, -1):
        parts = 3 * count + 2
        bounds = [(first + length * 3 * j / parts, first + length * (3 * j + 5) / parts) for j in range(count)]
        snapped = [(max(snapToExtremum(a, x, extrema), 2), snapToExtremum(b, x, extrema)) for a, b in bounds]
        sections = [(start, end) for start, end in snapped if end - start >= SHORTEST]
        if sections and np.diff(np.sort(np.ravel(sections))).min() >= 2:
            return sections
    return []


def calcBlend(curves: list[np.ndarray], sections: list[tuple[int, int]]) -> np.ndarray:
    """Return one curve from those of the sections, each turning into the next over the samples they share."""
    blend = curves[-1]
    for j in range(len(curves) - 2, -1, -1):
        start, end = sections[j + 1][0], sections[j][1]
        progress = np.clip((np.arange(len(blend)) - start) / max(end - start, 1), 0, 1)
        weight = np.cos(math.pi / 2 * progress) ** 2
        blend = weight * curves[j] + (1 - weight) * blend
    return blend


def fitSections(x: np.ndarray, y: np.ndarray, sections: list[tuple[int, int]], below: bool) -> SectionFit:
    """Return the lines below (above) the sections of `y` and their blend."""
    fits = [fitLine(x[start:end], y[start:end], below) for start, end in sections]
    lines = [intercept + slope * x for intercept, slope in fits]
    return SectionFit(tuple(sections), tuple(lines), calcBlend(lines, sections))
