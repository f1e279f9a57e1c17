"""Whole-frame alignment: the shifts that bring every frame of a movie into register.

Each frame is compared with the sum of all the others, so that it never finds itself; all frames move, the sum is
built anew, and so on. It goes from coarse to fine: first whole correlation maps at low resolution, where the search is
wide and the drift does not yet blur the sum; then, within reach of the peak, Newton steps on the correlation itself,
which need no interpolated map and so are not biased towards whole pixels.

Coefficients are weighted as the maximum-likelihood estimate of a shift asks for: by the reliability of the reference
over the power of the noise, both measured from the frames (rings of equal frequency), within the envelope exp(-B k²/4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from appion.motioncorrection.calc.internal import fourier
from appion.motioncorrection.calc.internal.bands import (
    Band,
    Rings,
    calcEnvelope,
    calcRingWeights,
    cropBand,
    sumMoved,
    sumPower,
)
from appion.motioncorrection.calc.internal.search import calcCoherence, chainShifts, searchShifts
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: Highest frequency (cycles per pixel) and smoothing (frames) of the coarse maps; frequency of the first fine steps.
COARSE = ((1 / 32, 3.0), (1 / 16, 2.0))
MIDDLE = 1 / 8
#: Standard deviations by which shifts found from frame to frame must agree better than the others to be preferred.
CLEARLY = 5.0
#: Steps in pixels that are not worth another round.
NEGLIGIBLE = 0.01
Report = Callable[[str], None]


def beSilent(line: str) -> None:
    """Report nothing."""


def alignFrames(band: Band, shape: tuple[int, int], bfactor: float, iterations: int = 7, tolerance: float = 0.5,
                report: Report = beSilent, pool: Threads = ALONE) -> np.ndarray:
    """Return the shifts (frames, 2) as (x, y) in full-frame pixels to be applied to the frames; the first is 0.

    Arguments:
        band: the cropped transforms of the frames, see :func:`calcBandShape`.
        shape: of the full frames.
        bfactor: of the envelope, pixels².
        iterations, tolerance: the fine search ends after so many rounds, or when no frame moved by more than
            `tolerance` pixels; two polishing rounds follow.
    """
    if len(band.transforms) < 2:
        return np.zeros((len(band.transforms), 2))
    middle = cropBand(band, shape, MIDDLE, pool)
    shifts = _startShifts(middle, shape, bfactor, pool)
    _refineShifts(middle, bfactor, shifts, iterations, tolerance, None, pool)
    del middle
    _refineShifts(band, bfactor, shifts, iterations, tolerance, report, pool)
    return shifts - shifts[0]


def _startShifts(middle: Band, shape: tuple[int, int], bfactor: float, pool: Threads) -> np.ndarray:
    """Return the better of two coarse solutions: from the sum of all frames (faint ones), and from frame to frame."""
    together = np.zeros((len(middle.transforms), 2))
    for limit, smoothing in COARSE:
        coarse = cropBand(middle, shape, limit, pool)
        searchShifts(coarse, shape, bfactor, together, pool, smoothing)
    chained = chainShifts(coarse, shape, bfactor, pool)
    searchShifts(coarse, shape, bfactor, chained, pool, 0.5)
    better = calcCoherence(middle, chained, limit, pool) - calcCoherence(middle, together, limit, pool)
    return chained if better > CLEARLY else together


def _refineShifts(band: Band, bfactor: float, shifts: np.ndarray, iterations: int, tolerance: float,
                  report: Report | None, pool: Threads) -> None:
    """Improve `shifts` in place by Newton steps on each frame's correlation with the sum of the others."""
    nframes = len(shifts)
    envelope, rings = calcEnvelope(band, bfactor), Rings(band)
    ry, rx = band.frequencies
    basisy = np.stack([np.ones_like(ry), ry, ry**2]).astype(np.float32)
    basisx = np.stack([np.ones_like(rx), rx, rx**2], axis=1).astype(np.float32)
    power = sumPower(band, pool)
    framepower = rings.calcMeans(power / nframes)
    polish = 2
    for iteration in range(1, iterations + polish + 1):
        total = sumMoved(band, shifts, pool)
        sumpower = rings.calcMeans(total.real**2 + total.imag**2)
        weights = envelope * rings.spread(calcRingWeights(framepower, sumpower, nframes), envelope.shape)
        reference = (total * weights).conj()
        selfmoments = basisy @ (weights * power / nframes) @ basisx

        def calcStep(i: int, shift: np.ndarray, reference=reference, selfmoments=selfmoments) -> np.ndarray:
            # The phases of the shift go into the small matrices, so that the frame itself is gone through once.
            y = basisy * fourier.calcPhases(ry, shift[1])
            x = basisx * fourier.calcPhases(rx, shift[0])[:, None]
            moments = np.zeros((3, 3), np.complex64)
            for start in range(0, len(reference), fourier.ROWS):
                rows = slice(start, start + fourier.ROWS)
                moments += y[:, rows] @ (band.transforms[i, rows] * reference[rows] @ x)
            return calcNewtonStep(moments.imag, moments.real - selfmoments)

        steps = np.array(pool.map(calcStep, range(nframes), shifts.copy()))
        # All move at once: a full step of each towards the others would overshoot.
        shifts += steps * (nframes - 1) / nframes
        shifts -= shifts.mean(axis=0)
        largest = float(np.hypot(*steps.T).max())
        if report:
            report(f"Iteration {iteration:2d}  Error: {largest:9.3f}")
        if largest < tolerance:
            polish -= 1
            if polish < 0 or largest < NEGLIGIBLE:
                break


def calcNewtonStep(odd: np.ndarray, even: np.ndarray, longest: float = 2.0) -> np.ndarray:
    """Return the (x, y) step to the peak of a correlation from its moments at the present place.

    Arguments:
        odd, even: (3, 3) sums over the half plane of ky^a kx^b times the imaginary and the real part of the weighted
            cross spectrum; frequencies in cycles per pixel.
        longest: the step is shortened to this many pixels, and follows the gradient where there is no maximum near.
    """
    gradient = 2 * np.pi * np.array([odd[0, 1], odd[1, 0]], float)
    curvature = (2 * np.pi) ** 2 * np.array([[even[0, 2], even[1, 1]], [even[1, 1], even[2, 0]]], float)
    values, vectors = np.linalg.eigh(curvature)
    if not np.isfinite(gradient).all() or not np.abs(values).max() > 0:
        return np.zeros(2)
    step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-3 * np.abs(values).max()))
    length = float(np.hypot(*step))
    return step * min(1.0, longest / length) if length > 0 else step
