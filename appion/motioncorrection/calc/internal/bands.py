"""The low frequencies of all frames, and how much each of them tells about a shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from appion.motioncorrection.calc.internal import fourier
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: The envelope below which coefficients are not kept; the smallest picture worth having.
FAINTEST = 0.02
SMALLEST = 64
#: Bytes that all frames together may take, and the frequency (cycles per pixel) to which they are kept nevertheless.
MOST_BYTES, NARROWEST = 640 << 20, 0.1


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
        return np.sqrt(np.add.outer(y**2, x**2)).astype(np.float32)


def calcBandShape(shape: tuple[int, int], bfactor: float, nframes: int = 1) -> tuple[int, int]:
    """Return the (rows, columns) to which frames are cropped for alignment with a B-factor in pixels².

    They are fewer where so many frames would take too much memory.
    """
    affordable = float(np.sqrt(MOST_BYTES / (nframes * calcBytes(shape, 1))))
    return _calcShape(shape, min(_calcLimit(bfactor), max(NARROWEST, affordable)))


def calcGroupSize(shape: tuple[int, int], bfactor: float, nframes: int, wanted: int = 1) -> int:
    """Return how many frames are aligned as one: as many as wanted, or more if their bands would take too much."""
    least = calcBytes(shape, min(_calcLimit(bfactor), NARROWEST))
    return max(wanted, int(np.ceil(nframes * least / MOST_BYTES)))


def calcBytes(shape: tuple[int, int], limit: float) -> float:
    """Return the bytes of a frame's transform below `limit` cycles per pixel."""
    return 16 * limit**2 * shape[0] * shape[1]


def _calcLimit(bfactor: float) -> float:
    return min(0.5, 2 * float(np.sqrt(-np.log(FAINTEST) / max(bfactor, 1e-6))))


def _calcShape(shape: tuple[int, int], limit: float) -> tuple[int, int]:
    rows, cols = (min(n, max(min(n, SMALLEST), 2 * int(np.ceil(n * limit)))) for n in shape)
    return rows, cols


def cropBand(band: Band, shape: tuple[int, int], limit: float, pool: Threads = ALONE) -> Band:
    """Return the part of the band below `limit` cycles per pixel, for frames of `shape`."""
    cropped = _calcShape(shape, limit)
    if cropped[0] >= band.cropped[0] and cropped[1] >= band.cropped[1]:
        return band
    cropped = min(cropped[0], band.cropped[0]), min(cropped[1], band.cropped[1])
    transforms = np.empty((len(band.transforms), cropped[0], cropped[1] // 2 + 1), np.complex64)
    pool.map(lambda transform, out: fourier.cropTransform(transform, cropped, out), band.transforms, transforms)
    return Band(transforms, fourier.calcFrequencies(shape, cropped), cropped)


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


class Rings:
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


def sumPower(band: Band, pool: Threads = ALONE) -> np.ndarray:
    """Return the sum of the squared amplitudes of all frames, float32."""
    total = np.zeros(band.transforms.shape[1:], np.float32)

    def add(rows: slice) -> None:
        for transform in band.transforms[:, rows]:
            total[rows] += transform.real**2 + transform.imag**2

    fourier.runBlocks(pool, len(total), fourier.ROWS, add)
    return total


def sumMoved(band: Band, shifts: np.ndarray, pool: Threads = ALONE) -> np.ndarray:
    """Return the sum of all frames, moved by `shifts` (frames, 2) in full-frame pixels."""
    total = np.zeros_like(band.transforms[0])
    x, y = (np.stack([fourier.calcPhases(along, shift) for shift in shifts[:, axis]])
            for axis, along in enumerate(reversed(band.frequencies)))

    def add(rows: slice) -> None:
        for i, transform in enumerate(band.transforms[:, rows]):
            moved = transform * x[i]
            moved *= y[i, rows, None]
            total[rows] += moved

    fourier.runBlocks(pool, len(total), fourier.ROWS, add)
    return total


def shiftFrame(band: Band, index: int, shift: np.ndarray) -> np.ndarray:
    moved = band.transforms[index] * fourier.calcPhases(band.frequencies[1], shift[0])
    moved *= fourier.calcPhases(band.frequencies[0], shift[1])[:, None]
    return moved
