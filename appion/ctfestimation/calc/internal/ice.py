"""Rings of crystalline ice, and spots of crystals, in a spectrum: cells that no transfer function explains.

Before there is a fit, a ring is told from those of a transfer function by its neighbours: those of a transfer function
are either wide, or one of many that are about as strong. With a fit, by what the fit expects.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from appion.ctfestimation.calc.internal.amplitude import AmplitudeSpectrum
from appion.ctfestimation.calc.internal.polar import SECTORS, PolarSpectrum, calcCells, calcGrid, calcSectors

#: Neighbours that a ring is compared with: from this far away to that far, as parts of its frequency, and in pixels at
#: least. Rings of ice are up to 3 % wide.
NEAREST, FURTHEST = (0.03, 3), (0.18, 18)

#: Amplitudes that stand out: relative to the neighbours; where such a ring ends; relative to what a fit expects.
STANDING, ENDING, UNEXPECTED = 1.75, 1.2, 1.3

#: Deviations of the noise by which a cell has to stand out besides, and a ring from what a fit expects.
CELL_DEVIATIONS, RING_DEVIATIONS = 6.0, 8.0

#: What is left out with what stands out: rings and sectors beside it, and a whole ring of which that part stands out.
MARGIN, BESIDE, MUCH = 3, 1, 0.25

#: Along a ring the neighbours' brightest cells are compared with, but for the few that may be odd themselves.
BRIGHT = round(0.9 * SECTORS)

#: No more of the rings than this are ever left out.
MOST = 0.4

#: How much wider than the fitted range, in its frequencies, neighbours are looked for.
WIDER = 1.22


def findIce(spectrum: AmplitudeSpectrum, cells: PolarSpectrum) -> tuple[np.ndarray, int]:
    """Return which cells stand out from those at neighbouring frequencies, in a wider range of the same spectrum.

    They are (rings, SECTORS); the number is that of the pixels within the first of these rings.
    """
    size = spectrum.box * spectrum.pixelsize
    lowest = max(3.0, min(cells.first / WIDER, cells.first - FURTHEST[1] - NEAREST[1]))
    wide = calcCells(spectrum, size / lowest, cells.span[1] / WIDER)
    found = findStandingCells(wide)
    return found if found.mean() <= MOST else np.zeros_like(found), wide.first


def findStandingCells(wide: PolarSpectrum) -> np.ndarray:
    """Return which cells (rings, SECTORS) stand out from neighbours, which all but the innermost have on both sides."""
    used = wide.weights > 0
    profile = (wide.values * wide.weights).sum(axis=1) / np.maximum(wide.weights.sum(axis=1), 1)
    brightest = np.partition(np.where(used, wide.values, profile[:, None]), BRIGHT, axis=1)[:, BRIGHT]
    rings = np.zeros(len(profile), bool)
    for _ in range(6):
        reference = _calcReference(profile, wide.first)
        found = _growRings(profile, reference, wide.first) & ~rings
        if not found.any():
            break
        rings |= found
        profile = np.where(rings, np.minimum(profile, reference), profile)
    cells = np.repeat(rings[:, None], SECTORS, axis=1)
    reference = _calcReference(np.where(rings, np.minimum(brightest, profile), brightest), wide.first)
    rest = used & ~cells
    relative = wide.values / np.maximum(profile, 1e-30)[:, None] - 1
    return cells | _widen(rest & (wide.values > reference[:, None] * _calcLimit(relative, wide.weights, rest)))


def _calcLimit(relative: np.ndarray, weights: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return how bright a cell has to be to stand out, given by how much those that are used differ from 1."""
    deviations = np.abs(relative[used]) * np.sqrt(weights[used])
    noise = 1.48 * float(np.median(deviations)) if used.any() else 0.0
    return STANDING * (1 + CELL_DEVIATIONS * noise / np.sqrt(np.maximum(weights, 1)))


def _calcReference(profile: np.ndarray, first: int) -> np.ndarray:
    """Return how strong the neighbours of each ring are: the stronger side's, at either side three quarters of them."""
    count = len(profile)
    radius = first + np.arange(count)
    gaps = np.maximum(NEAREST[0] * radius, NEAREST[1]).round().astype(int)
    steps = np.ceil(np.log(np.maximum(FURTHEST[0] * radius, FURTHEST[1])) / np.log(1.2))
    widths = np.round(1.2**steps).astype(int)
    reference = np.zeros(count)
    for width in sorted(set(widths.tolist())):  # np.unique would import masked arrays, which takes longer
        at = np.flatnonzero(widths == width)
        length = width - int(gaps[at].max())
        padded = np.concatenate([np.full(width, np.inf), profile, np.zeros(width)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, length)
        place = int(0.75 * (length - 1))
        quartiles = np.partition(windows, place, axis=1)[:, place]
        reference[at] = np.maximum(quartiles[at + width - gaps[at] - length + 1], quartiles[at + width + gaps[at]])
    return reference


def _growRings(profile: np.ndarray, reference: np.ndarray, first: int) -> np.ndarray:
    """Return which rings stand out, or belong to one that does."""
    found = np.zeros(len(profile), bool)
    for index in np.flatnonzero(profile > STANDING * reference):
        furthest = round(max(2 * NEAREST[0] * (first + index), 2 * NEAREST[1]))
        bright = profile > ENDING * reference[index]
        start = stop = int(index)
        while start > 0 and index - start < furthest and bright[start - 1]:
            start -= 1
        while stop < len(profile) - 1 and stop - index < furthest and bright[stop + 1]:
            stop += 1
        found[max(0, start - MARGIN) : stop + MARGIN + 1] = True
    return found


def findUnexpectedCells(spectrum: PolarSpectrum, expected: np.ndarray) -> np.ndarray:
    """Return which cells (rings, SECTORS) are brighter than a fit expects, which has to expect more than 0."""
    used = spectrum.weights > 0
    weights = np.where(used, spectrum.weights, 0)
    totals = (weights * expected).sum(axis=1)
    rings = np.where(totals > 0, (weights * spectrum.values).sum(axis=1) / np.maximum(totals, 1e-30), 1) - 1
    deviation = 1.48 * np.median(np.abs(rings[totals > 0]))
    odd = rings > max(UNEXPECTED - 1, RING_DEVIATIONS * float(deviation))
    relative = np.where(used, spectrum.values / np.maximum(expected, 1e-30) - 1, 0)
    return _widen(odd[:, None] | (relative + 1 > _calcLimit(relative, weights, used)))


def _widen(cells: np.ndarray) -> np.ndarray:
    """Return cells and those beside them, and all of a ring if that is much of it."""
    wide = cells.copy()
    for turn in range(-BESIDE, BESIDE + 1):
        wide |= np.roll(cells, turn, axis=1)
    wide = _widenRings(wide, MARGIN)
    return wide | (wide.mean(axis=1) > MUCH)[:, None]


def _widenRings(cells: np.ndarray, margin: int) -> np.ndarray:
    """Return cells and those of as many rings on either side."""
    padded = np.pad(cells, ((margin, margin), (0, 0)))
    found: np.ndarray = np.lib.stride_tricks.sliding_window_view(padded, 2 * margin + 1, axis=0).max(axis=2)
    return found


def findPixels(spectrum: AmplitudeSpectrum, cells: np.ndarray, first: int, size: float) -> np.ndarray:
    """Return which pixels (box, box // 2 + 1) of a spectrum lie in cells of another one, or touch them.

    Args:
        cells: which cells (rings, SECTORS). first: of the other spectrum, see PolarSpectrum. size: its side in Å.
    """
    if not cells.any():
        return np.zeros(spectrum.values.shape, bool)
    y, x = calcGrid(spectrum)
    scale = size / (spectrum.box * spectrum.pixelsize)
    touched = _widenRings(cells, math.ceil(scale))
    rings = (np.sqrt(x * x + y * y) * scale).astype(np.intp) - first
    inside = (rings >= 0) & (rings < len(cells))
    return inside & touched[np.clip(rings, 0, len(cells) - 1), calcSectors(y, x)]


def fillPixels(spectrum: AmplitudeSpectrum, pixels: np.ndarray) -> AmplitudeSpectrum:
    """Return a spectrum with the mean of their ring in place of some pixels, or what rings beside it have."""
    if not pixels.any():
        return spectrum
    y, x = calcGrid(spectrum)
    rings = np.sqrt(x * x + y * y).astype(np.intp)
    rest = ~pixels
    counts = np.bincount(rings[rest])
    seen = np.flatnonzero(counts)
    means = np.bincount(rings[rest], spectrum.values[rest])[seen] / counts[seen]
    filled = np.where(pixels, np.interp(rings, seen, means), spectrum.values).astype(np.float32)
    return replace(spectrum, values=filled)
