"""Transforms of frames as half planes: cropping, shifting, adding, by blocks of rows on a few threads.

A transform of an image (rows, columns) is `rfft2`: complex64, (rows, columns // 2 + 1), zero frequency first.
Everything is single precision and works through blocks of rows small enough to stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
import scipy.fft

BLOCK = 64


def runBlocks(pool: Executor | None, nrows: int, function: Callable[[slice], None], block: int = BLOCK) -> None:
    """Call function(slice of rows) for blocks that cover `nrows`, on the pool's threads if there is one."""
    slices = [slice(start, min(start + block, nrows)) for start in range(0, nrows, block)]
    if pool is None:
        for rows in slices:
            function(rows)
    else:
        for _ in pool.map(function, slices):
            pass


def calcTransform(image: np.ndarray, threads: int = 1) -> np.ndarray:
    """Return the half-plane transform of a float32 image, complex64, unscaled; the image may be overwritten."""
    return scipy.fft.rfft2(image, workers=threads, overwrite_x=True)


def calcImage(transform: np.ndarray, shape: tuple[int, int], threads: int = 1) -> np.ndarray:
    """Return the float32 image (rows, columns) of a half-plane transform, whose memory may be overwritten."""
    return scipy.fft.irfft2(transform, s=shape, workers=threads, overwrite_x=True)


def calcCroppedShape(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Return the even (rows, columns) of an image reduced by `factor` >= 1; factor 1 changes nothing."""
    if factor <= 1:
        return shape
    rows, cols = (max(2, int(n / factor) // 2 * 2) for n in shape)
    return rows, cols


def cropTransform(transform: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the low-frequency part of a half-plane transform that belongs to an image of `shape`, not rescaled."""
    rows, cols = shape
    half = (rows + 1) // 2
    out = np.empty((rows, cols // 2 + 1), transform.dtype)
    out[:half] = transform[:half, : out.shape[1]]
    out[half:] = transform[transform.shape[0] - (rows - half) :, : out.shape[1]]
    return out


def calcFrequencies(shape: tuple[int, int], cropped: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies along y and x, in cycles per pixel of the image of `shape`, of its cropped transform."""
    rows, cols = cropped or shape
    return scipy.fft.fftfreq(rows, 1 / rows) / shape[0], np.arange(cols // 2 + 1) / shape[1]


def calcPhases(frequencies: np.ndarray, shift: float) -> np.ndarray:
    """Return the factors, complex64, by which a transform's coefficients along one axis are moved by `shift` pixels."""
    return np.exp(-2j * np.pi * frequencies * shift).astype(np.complex64)


def addShifted(totals: list[np.ndarray], weighted: list[np.ndarray], transform: np.ndarray,
               frequencies: tuple[np.ndarray, np.ndarray], shift: tuple[float, float],
               decay: np.ndarray | None = None, exposure: float = 0.0, pool: Executor | None = None) -> None:
    """Add a transform moved by `shift` = (x, y) pixels to `totals`, and times exp(decay exposure) to `weighted`.

    The transform may be larger than the totals: what lies beyond them is left out.
    """
    rows, cols = totals[0].shape
    half = (rows + 1) // 2
    y, x = calcPhases(frequencies[0], shift[1]), calcPhases(frequencies[1], shift[0])

    def add(block: slice) -> None:
        for part, offset in ((slice(block.start, min(block.stop, half)), 0),
                             (slice(max(block.start, half), block.stop), transform.shape[0] - rows)):
            if part.start >= part.stop:
                continue
            moved = transform[part.start + offset : part.stop + offset, :cols] * x
            moved *= y[part, None]
            for total in totals:
                total[part] += moved
            if weighted and decay is not None:
                moved *= np.exp(decay[part] * np.float32(exposure))
                for total in weighted:
                    total[part] += moved

    runBlocks(pool, rows, add)
