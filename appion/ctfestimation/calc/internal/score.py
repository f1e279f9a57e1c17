"""How good a fit is, in the terms of CTFFIND (Rohou & Grigorieff 2015): score, curves and the resolution of the fit.

The score is the normalised correlation of the amplitude spectrum, its local mean removed, with the absolute transfer
function, over all pixels of the fitted range. The resolution is where the same correlation of the spectrum averaged
along lines of equal phase, in a window of one or more oscillations around each frequency, is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from appion.ctfestimation.calc.internal.amplitude import AmplitudeSpectrum
from appion.ctfestimation.calc.internal.lens import Fit, Lens
from appion.ctfestimation.calc.internal.polar import calcGrid

#: A fit ends below the second number once it has been above the first one more than three times.
THRESHOLDS = ((0.1, 0.1), (0.66, 0.5))

#: The sampling at which neighbouring rings cannot be told apart any more, pixels from peak to peak.
ALIASED_SPACING = 3.5


@dataclass(frozen=True)
class Curves:
    """Curves over spatial frequency, (bins,) each, and what they say.

    Attributes:
        frequency: 1/Å. plain: average over circles.
        average: average along lines of equal phase, from 0 (where the transfer function is) to about 1.
        model: absolute transfer function. correlation: of average and model around each frequency.
        noise: twice the deviation of that correlation of noise.
        resolution: up to which the fit is good, Å. aliasing: from which rings are too dense, Å, or None.
    """

    frequency: np.ndarray
    plain: np.ndarray
    average: np.ndarray
    model: np.ndarray
    correlation: np.ndarray
    noise: np.ndarray
    resolution: float
    aliasing: float | None


def calcModelSpectrum(spectrum: AmplitudeSpectrum, lens: Lens, fit: Fit) -> np.ndarray:
    """Return the absolute transfer function at every pixel of a spectrum."""
    y, x = calcGrid(spectrum)
    squared = (x * x + y * y) / np.float32((spectrum.box * spectrum.pixelsize) ** 2)
    # cos(2 azimuth) = (x^2 - y^2) / (x^2 + y^2), sin(2 azimuth) = 2 x y / (x^2 + y^2)
    length = np.maximum(x * x + y * y, 1)
    defocus = fit.mean + (fit.cosine * (x * x - y * y) + fit.sine * 2 * x * y) / length
    return np.abs(np.sin(lens.calcPhase(squared, defocus.astype(np.float32), fit.phase)))


def subtractBackground(spectrum: AmplitudeSpectrum, resmin: float) -> np.ndarray:
    """Return a spectrum less its local mean over a square as wide as the first ring that is fitted."""
    half = max(1, round(spectrum.box * spectrum.pixelsize / resmin / math.sqrt(2)))
    half = min(half, spectrum.box // 4)
    values = spectrum.values
    mirrored = np.roll(values[::-1], 1, axis=0)[:, half:0:-1]
    padded = np.pad(np.concatenate([mirrored, values], axis=1), ((half, half), (0, half)), mode="edge")
    total = np.pad(padded, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    size = 2 * half + 1
    window = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return values - (window / size**2).astype(np.float32)


def calcScore(flattened: np.ndarray, model: np.ndarray, inside: np.ndarray) -> float:
    """Return the correlation coefficient of two spectra over the pixels `inside`."""
    return calcCorrelation(flattened[inside].astype(np.float64), model[inside].astype(np.float64))


def calcCorrelation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation coefficient, 0 where one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else 0.0


def calcEqualPhase(spectrum: AmplitudeSpectrum, lens: Lens, fit: Fit) -> np.ndarray:
    """Return for every pixel the frequency, in pixels, at which the mean defocus gives the same phase."""
    y, x = calcGrid(spectrum)
    size = spectrum.box * spectrum.pixelsize
    squared = (x * x + y * y) / size**2
    length = np.maximum(x * x + y * y, 1)
    defocus = fit.mean + (fit.cosine * (x * x - y * y) + fit.sine * 2 * x * y) / length
    linear, quadratic = math.pi * lens.wavelength, math.pi / 2 * lens.cs * lens.wavelength**3
    phase = squared * (linear * defocus - quadratic * squared)
    inner = (linear * fit.mean) ** 2 - 4 * quadratic * phase
    root = linear * fit.mean + math.copysign(1, fit.mean) * np.sqrt(np.maximum(inner, 0))
    # Beyond the frequency at which spherical aberration turns the phase around there is no single answer.
    turning = linear * np.minimum(np.abs(defocus), abs(fit.mean))
    simple = (inner > 0) & (2 * quadratic * squared < 0.9 * turning)
    found = np.where(simple, 2 * phase / np.where(root == 0, 1, root), squared)
    return np.sqrt(np.maximum(found, 0)) * size


def calcCurves(
    spectrum: AmplitudeSpectrum, equal: np.ndarray, lens: Lens, fit: Fit, resmin: float, odd: np.ndarray
) -> Curves:
    """Return the curves of a fit; `equal` is from calcEqualPhase. Pixels that are `odd` count for `plain` alone."""
    y, x = calcGrid(spectrum)
    count = math.ceil(spectrum.box / math.sqrt(2)) + 1
    frequency = np.arange(count) / (spectrum.box * spectrum.pixelsize)
    plain, _ = _averageBins(spectrum.values, np.sqrt(x * x + y * y), count)
    average, seen = _averageBins(spectrum.values[~odd], equal[~odd], count)
    phase = lens.calcPhase(frequency**2, fit.mean, fit.phase)
    model = np.abs(np.sin(phase))
    order = np.floor(np.abs(phase) / math.pi + 0.5).astype(int)  # extrema passed
    first = min(count - 8, max(1, round(spectrum.box * spectrum.pixelsize / resmin)))
    halves = _calcWindows(order, count)
    correlation, noise = _correlateWindows(average, model, halves, first, seen if odd.any() else None)
    last = _findEnd(correlation)
    return Curves(frequency, plain, _normalise(average, phase, first), model, correlation, noise,
                  1 / float(frequency[last]), _findAliasing(frequency, lens, fit))


def _averageBins(values: np.ndarray, bins: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of pixels by their frequency in pixels, and which bins have any; others are like those beside."""
    index = np.minimum(bins + 0.5, count).astype(np.intp).ravel()
    pixels = np.bincount(index, minlength=count + 1)[:count]
    totals = np.bincount(index, values.ravel(), count + 1)[:count]
    filled = np.flatnonzero(pixels)
    return np.interp(np.arange(count), filled, totals[filled] / pixels[filled]), pixels > 0


def _calcWindows(order: np.ndarray, count: int) -> np.ndarray:
    """Return half the width of the window around each bin: an oscillation, and more where oscillations are short."""
    halves = np.zeros(count, int)
    changes = np.flatnonzero(np.diff(order)) + 1
    begin = 0
    for change in changes.tolist():
        halves[begin:change] = int((1 + 0.1 * order[change]) * (change - begin + 1))
        begin = change
    halves[begin:] = halves[begin - 1] if begin else count // 8
    return np.clip(halves, max(2, count // 40), count // 2 - 1)


def _correlateWindows(
    average: np.ndarray, model: np.ndarray, halves: np.ndarray, first: int, seen: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation around each bin and twice its deviation; bins that were not seen have no part in it."""
    count = len(average)
    correlation, noise = np.zeros(count), np.zeros(count)
    for index in range(count):
        start = max(first, index - halves[index])
        stop = min(count, max(index, start + halves[index]) + halves[index] + 1)
        start = max(first, min(start, stop - 2 * halves[index] - 1))
        noise[index] = 2 / math.sqrt(max(1, stop - start))
        if seen is None or seen[start:stop].all():
            correlation[index] = calcCorrelation(average[start:stop], model[start:stop])
        elif seen[index]:
            chosen = start + np.flatnonzero(seen[start:stop])
            correlation[index] = calcCorrelation(average[chosen], model[chosen])
    if seen is not None and seen.any():
        correlation = np.interp(np.arange(count), np.flatnonzero(seen), correlation[seen])
    return correlation, noise


def _findEnd(correlation: np.ndarray) -> int:
    """Return the last bin of a good fit; 1 if there is none."""
    above = [0] * len(THRESHOLDS)
    significant = False
    for index in range(len(correlation) // 10, len(correlation)):
        value = correlation[index]
        if any(seen > 3 and value < end for seen, (_, end) in zip(above, THRESHOLDS, strict=True)):
            return index if significant else 1
        above = [seen + (value > start) for seen, (start, _) in zip(above, THRESHOLDS, strict=True)]
        significant = significant or value > THRESHOLDS[1][1]
    return len(correlation) - 1 if significant else 1


def _normalise(average: np.ndarray, phase: np.ndarray, first: int) -> np.ndarray:
    """Return the average with its values at the zeros of the transfer function brought to 0, its highest peak to 1."""
    zeros = np.flatnonzero(np.diff(np.floor(phase / math.pi))) + 1
    zeros = zeros[zeros >= first]
    if len(zeros) < 2:
        floor = np.full(len(average), average[first:].min())
    else:
        lowest = [average[max(0, zero - 1) : zero + 2].min() for zero in zeros]
        floor = np.interp(np.arange(len(average)), zeros, lowest)
        first = zeros[0].item()
    raised = average - floor
    return raised / max(float(raised[first:].max()), 1e-12)


def _findAliasing(frequency: np.ndarray, lens: Lens, fit: Fit) -> float | None:
    """Return the resolution (Å) from which neighbouring peaks are too close, or None."""
    phase = lens.calcPhase(frequency**2, fit.mean, fit.phase)
    dense = np.flatnonzero(np.abs(np.diff(phase)) > math.pi / ALIASED_SPACING)
    return 1 / float(frequency[dense[0] + 1]) if len(dense) else None
