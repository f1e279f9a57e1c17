"""The wide search for shifts at low resolution, on whole maps of the log-likelihood."""

from __future__ import annotations

import math

import numpy as np

from appion.motioncorrection.calc.internal import fourier
from appion.motioncorrection.calc.internal.bands import (
    Band,
    Rings,
    calcEnvelope,
    calcRingWeights,
    shiftFrame,
    sumMoved,
    sumPower,
)
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: Part of the frame's size beyond which no frame is looked for.
FARTHEST = 0.15
#: Standard deviation of a frame's place about where it is looked for, pixels: at first, and beside its neighbours.
PRIORS = (60.0, 15.0)


class _Maps:
    """Log-likelihood maps of one band, of lags as far as a frame is looked for, and one more each way."""

    def __init__(self, band: Band, shape: tuple[int, int], bfactor: float, pool: Threads):
        self.band, self._pool = band, pool
        self._envelope, self._rings = calcEnvelope(band, bfactor), Rings(band)
        self._framepower = self._rings.calcMeans(sumPower(band, pool) / len(band.transforms))
        self.scale = np.array([shape[1] / band.cropped[1], shape[0] / band.cropped[0]])
        near = [np.array([i for i in range(n) if min(i, n - i) <= FARTHEST * n + 1]) for n in band.cropped]
        self._near = np.ix_(*near)
        self._lags = [np.fft.fftfreq(n, 1 / m)[i] for n, m, i in zip(band.cropped, shape, near, strict=True)]
        self._forbidden = np.logical_or.outer(
            *(np.abs(lag) > FARTHEST * m for lag, m in zip(self._lags, shape, strict=True)))

    def calcWeights(self, total: np.ndarray) -> np.ndarray:
        """Return weights with which sums of products of transforms are log-likelihoods of a shift."""
        nframes = len(self.band.transforms)
        sumpower = self._rings.calcMeans(np.abs(total) ** 2)
        rings = calcRingWeights(self._framepower, sumpower, nframes)
        if not rings.any():
            rings = 1 / np.maximum(self._framepower, 1e-30)
        return self._envelope * self._rings.spread(rings, total.shape) * (np.prod(self.band.cropped) / (nframes - 1))

    def calcMaps(self, images: np.ndarray) -> list[np.ndarray]:
        """Return the log-likelihood of each lag for each image against the sum of the others."""
        total = images.sum(axis=0)
        weights = self.calcWeights(total)
        return self._pool.map(lambda image: self.calcMap(weights * (total - image) * image.conj()), images)

    def calcMap(self, transform: np.ndarray) -> np.ndarray:
        return fourier.calcInverse(transform, self.band.cropped)[self._near]

    def findStep(self, likelihood: np.ndarray, expected: np.ndarray, width: float) -> np.ndarray:
        """Return the best (x, y), pixels, near the expected one."""
        prior = np.add.outer((self._lags[0] - expected[1]) ** 2, (self._lags[1] - expected[0]) ** 2) / (2 * width**2)
        return findPeak(np.where(self._forbidden, -np.inf, likelihood - prior)) * self.scale


def searchShifts(band: Band, shape: tuple[int, int], bfactor: float, shifts: np.ndarray, pool: Threads,
                 smoothing: float, rounds: int = 6) -> None:
    """Improve `shifts` (frames, 2) in place.

    Each round moves every frame to the highest point of its log-likelihood against the sum of the others, to which are
    added the maps of its neighbours (weighted by a Gaussian of `smoothing` frames: where one frame alone would find
    nothing but the noise of the sum, they still find the specimen) and a prior: it lies near the median of the five
    frames around it.
    """
    nframes = len(shifts)
    maps = _Maps(band, shape, bfactor, pool)
    reach = math.ceil(2.5 * smoothing)
    neighbours = [(j, math.exp(-0.5 * (j / smoothing) ** 2)) for j in range(-reach, reach + 1)]
    for turn in range(rounds):
        width = PRIORS[0] if turn == 0 and not shifts.any() else PRIORS[1]
        expected = _calcMedians(shifts) - shifts
        likelihoods = maps.calcMaps(np.stack(pool.map(shiftFrame, [band] * nframes, range(nframes), shifts)))

        def findStep(i: int, likelihoods=likelihoods, expected=expected, width=width) -> np.ndarray:
            around = sum(w * likelihoods[i + j] for j, w in neighbours if 0 <= i + j < nframes)
            return maps.findStep(around, expected[i], width)

        steps = np.array(pool.map(findStep, range(nframes)))
        # All move at once: a full step of each towards the others would overshoot.
        shifts += steps * (nframes - 1) / nframes
        shifts -= shifts.mean(axis=0)
        if np.abs(steps).max() < maps.scale.max() / 2:
            break


def chainShifts(band: Band, shape: tuple[int, int], bfactor: float, pool: Threads) -> np.ndarray:
    """Return shifts (frames, 2) found frame by frame, each against the sum of those before it, near the last one's.

    That needs more signal in a frame than :func:`searchShifts`, but no sum that shows anything before it has begun.
    """
    nframes = len(band.transforms)
    shifts = np.zeros((nframes, 2))
    maps = _Maps(band, shape, bfactor, pool)
    weights = maps.calcWeights(np.zeros_like(band.transforms[0])) * (nframes - 1)
    total = band.transforms[0].copy()
    for i in range(1, nframes):
        likelihood = maps.calcMap(weights / i * total * band.transforms[i].conj())
        shifts[i] = maps.findStep(likelihood, shifts[i - 1], PRIORS[1])
        total += shiftFrame(band, i, shifts[i])
    return shifts - shifts.mean(axis=0)


def calcCoherence(band: Band, shifts: np.ndarray, above: float, pool: Threads = ALONE) -> float:
    """Return by how many standard deviations frames agree more than noise would, at frequencies that found no shift.

    Arguments:
        above: frequency (cycles per pixel) beyond which the band is looked at: noise that agrees because it was brought
            to agree below is not seen there.
    """
    total = sumMoved(band, shifts, pool)
    ratio = (total.real**2 + total.imag**2) / np.maximum(sumPower(band, pool), 1e-30)
    ratio = ratio[(calcEnvelope(band, 0) > 0) & (band.radii > above)]
    return float((ratio.mean(dtype=np.float64) - 1) * np.sqrt(ratio.size)) if ratio.size else 0.0


def _calcMedians(shifts: np.ndarray) -> np.ndarray:
    """Return the median of the shifts of the five frames around each."""
    return np.array([np.median(shifts[max(0, i - 2) : i + 3], axis=0) for i in range(len(shifts))])


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
