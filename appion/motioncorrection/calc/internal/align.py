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
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import scipy.fft

from appion.motioncorrection.calc.internal import fourier

#: Highest frequency (cycles per pixel) of the coarse maps and of the first fine steps; the smallest map worth having.
COARSE = (1 / 32, 1 / 16)
MIDDLE = 1 / 8
SMALLEST_MAP = 64
#: Part of the frame's size beyond which no frame is looked for.
FARTHEST = 0.15
#: The envelope below which coefficients are not kept.
FAINTEST = 0.02
Report = Callable[[str], None]


def beSilent(line: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Band:
    """The low-frequency part of all frames: transforms (frames, rows, columns // 2 + 1) complex64, and where it lies.

    `frequencies` (y, x) are in cycles per pixel of the full frame, `cropped` is the shape of the image they belong to.
    """

    transforms: np.ndarray
    frequencies: tuple[np.ndarray, np.ndarray]
    cropped: tuple[int, int]

    @property
    def radii(self) -> np.ndarray:
        y, x = self.frequencies
        return np.hypot(y[:, None], x[None]).astype(np.float32)


def calcBandShape(shape: tuple[int, int], bfactor: float) -> tuple[int, int]:
    """Return the (rows, columns) to which frames are cropped for alignment with a B-factor in pixels²."""
    limit = min(0.5, 2 * float(np.sqrt(-np.log(FAINTEST) / max(bfactor, 1e-6))))
    return _calcShape(shape, limit)


def _calcShape(shape: tuple[int, int], limit: float) -> tuple[int, int]:
    rows, cols = (min(n, max(min(n, SMALLEST_MAP), 2 * int(np.ceil(n * limit)))) for n in shape)
    return rows, cols


def cropBand(band: Band, shape: tuple[int, int], limit: float) -> Band:
    """Return the part of the band below `limit` cycles per pixel, for frames of `shape`."""
    cropped = _calcShape(shape, limit)
    if cropped[0] >= band.cropped[0] and cropped[1] >= band.cropped[1]:
        return band
    cropped = min(cropped[0], band.cropped[0]), min(cropped[1], band.cropped[1])
    transforms = np.empty((len(band.transforms), cropped[0], cropped[1] // 2 + 1), np.complex64)
    for transform, out in zip(band.transforms, transforms, strict=True):
        out[...] = fourier.cropTransform(transform, cropped)
    return Band(transforms, fourier.calcFrequencies(shape, cropped), cropped)


def alignFrames(band: Band, shape: tuple[int, int], bfactor: float, iterations: int = 7, tolerance: float = 0.5,
                report: Report = beSilent, pool: Executor | None = None) -> np.ndarray:
    """Return the shifts (frames, 2) as (x, y) in full-frame pixels to be applied to the frames; the first is 0.

    Arguments:
        band: the cropped transforms of the frames, see :func:`calcBandShape`.
        shape: of the full frames.
        bfactor: of the envelope, pixels².
        iterations, tolerance: the fine search ends after so many rounds, or when no frame moved by more than
            `tolerance` pixels; two polishing rounds follow.
    """
    shifts = np.zeros((len(band.transforms), 2))
    if len(shifts) < 2:
        return shifts
    middle = cropBand(band, shape, MIDDLE)
    for limit in COARSE:
        _searchMaps(cropBand(middle, shape, limit), shape, bfactor, shifts, pool)
    _refineShifts(middle, bfactor, shifts, iterations, tolerance, None, pool)
    del middle
    _refineShifts(band, bfactor, shifts, iterations, tolerance, report, pool)
    return shifts - shifts[0]


def calcEnvelope(band: Band, bfactor: float) -> np.ndarray:
    """Return exp(-B k²/4), zero on both axes, where the frame's edges and the camera's rows and columns show."""
    envelope = np.exp(-0.25 * bfactor * band.radii**2)
    envelope[0, :] = 0
    envelope[:, 0] = 0
    if band.cropped[0] % 2 == 0:
        envelope[band.cropped[0] // 2] = 0
    if band.cropped[1] % 2 == 0:
        envelope[:, -1] = 0
    envelope[band.radii > band.frequencies[1][-1]] = 0
    return envelope


class _Rings:
    """Means over rings of equal frequency."""

    def __init__(self, band: Band):
        step = 2 * max(band.frequencies[0][1], band.frequencies[1][1])
        self.index = (band.radii / step).astype(np.intp).ravel()
        self.counts = np.maximum(np.bincount(self.index), 1)

    def calcMeans(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.index, weights=values.ravel()) / self.counts

    def spread(self, means: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        return means.astype(np.float32)[self.index].reshape(shape)


def calcRingWeights(framepower: np.ndarray, sumpower: np.ndarray, nframes: int) -> np.ndarray:
    """Return the weight of each ring: reliability of a sum of n - 1 frames over the power of the noise of one.

    Arguments:
        framepower: mean power of a frame; sumpower: power of the sum of `nframes` frames as aligned so far.
    """
    signal = np.maximum((sumpower - nframes * framepower) / (nframes * (nframes - 1)), 0)
    noise = np.maximum(framepower - signal, 1e-3 * framepower + 1e-30)
    ratio = (nframes - 1) * signal / noise
    return ratio / (1 + ratio) / noise


def _shiftFrame(band: Band, index: int, shift: np.ndarray) -> np.ndarray:
    moved = band.transforms[index] * fourier.calcPhases(band.frequencies[1], shift[0])
    moved *= fourier.calcPhases(band.frequencies[0], shift[1])[:, None]
    return moved


def _searchMaps(band: Band, shape: tuple[int, int], bfactor: float, shifts: np.ndarray, pool: Executor | None,
                rounds: int = 4) -> None:
    """Improve `shifts` in place by the peaks of whole correlation maps, averaged over neighbouring frames."""
    nframes = len(shifts)
    envelope, rings = calcEnvelope(band, bfactor), _Rings(band)
    power = np.zeros(envelope.shape, np.float32)
    for transform in band.transforms:
        power += transform.real**2 + transform.imag**2
    framepower = rings.calcMeans(power / nframes)
    scale = np.array([shape[1] / band.cropped[1], shape[0] / band.cropped[0]])
    forbidden = np.logical_or.outer(*(np.abs(np.fft.fftfreq(n)) > FARTHEST for n in band.cropped))
    for _ in range(rounds):
        moved = np.stack([_shiftFrame(band, i, shifts[i]) for i in range(nframes)])
        total = moved.sum(axis=0)
        weights = envelope * rings.spread(calcRingWeights(framepower, rings.calcMeans(np.abs(total) ** 2), nframes),
                                          total.shape)
        if not weights.any():
            weights = envelope

        def calcMap(i: int, moved=moved, total=total, weights=weights) -> np.ndarray:
            return scipy.fft.irfft2(weights * (total - moved[i]) * moved[i].conj(), s=band.cropped)

        maps = list((pool.map if pool else map)(calcMap, range(nframes)))
        steps = np.empty((nframes, 2))
        for i in range(nframes):
            around = [0.5 * maps[j] for j in (i - 1, i + 1) if 0 <= j < nframes]
            smooth = sum(around, maps[i])
            smooth[forbidden] = -np.inf
            steps[i] = findPeak(smooth) * scale
        shifts += steps
        shifts -= shifts.mean(axis=0)
        if np.abs(steps).max() < scale.max() / 2:
            break


def findPeak(correlation: np.ndarray) -> np.ndarray:
    """Return the (x, y) of the highest point of a periodic map, refined by parabolas through its neighbours."""
    rows, cols = correlation.shape
    y, x = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    found = []
    for n, i, line in ((cols, int(x), correlation[y]), (rows, int(y), correlation[:, x])):
        low, mid, high = line[i - 1], line[i], line[(i + 1) % n]
        curve = low - 2 * mid + high if np.isfinite(low) and np.isfinite(high) else 0.0
        place = i + (0.5 * (low - high) / curve if curve < 0 else 0.0)
        found.append(place - n if place > n / 2 else place)
    return np.array(found)


def _refineShifts(band: Band, bfactor: float, shifts: np.ndarray, iterations: int, tolerance: float,
                  report: Report | None, pool: Executor | None) -> None:
    """Improve `shifts` in place by Newton steps on each frame's correlation with the sum of the others."""
    nframes = len(shifts)
    envelope, rings = calcEnvelope(band, bfactor), _Rings(band)
    ry, rx = band.frequencies
    basisy = np.stack([np.ones_like(ry), ry, ry**2]).astype(np.float32)
    basisx = np.stack([np.ones_like(rx), rx, rx**2], axis=1).astype(np.float32)
    power = np.zeros(envelope.shape, np.float32)
    for transform in band.transforms:
        power += transform.real**2 + transform.imag**2
    framepower = rings.calcMeans(power / nframes)
    polish = 2
    for iteration in range(1, iterations + polish + 1):
        total = np.zeros_like(band.transforms[0])
        for i in range(nframes):
            total += _shiftFrame(band, i, shifts[i])
        sumpower = rings.calcMeans(total.real**2 + total.imag**2)
        weights = envelope * rings.spread(calcRingWeights(framepower, sumpower, nframes), envelope.shape)
        reference = (total * weights).conj()
        selfmoments = basisy @ (weights * power / nframes) @ basisx

        def calcStep(i: int, shift: np.ndarray, reference=reference, selfmoments=selfmoments) -> np.ndarray:
            product = _shiftFrame(band, i, shift)
            product *= reference
            moments = basisy.astype(np.complex64) @ (product @ basisx.astype(np.complex64))
            return calcNewtonStep(moments.imag, moments.real - selfmoments)

        steps = np.array(list((pool.map if pool else map)(calcStep, range(nframes), shifts.copy())))
        shifts += steps
        shifts -= shifts.mean(axis=0)
        largest = float(np.hypot(*steps.T).max())
        if report:
            report(f"Iteration {iteration:2d}  Error: {largest:9.3f}")
        if largest < tolerance:
            polish -= 1
            if polish < 0:
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
