"""Transforms of frames, worked through in blocks of rows and then of columns that stay in the processor's cache.

A transform of an image (rows, columns) is a half plane as of `rfft2`: complex64, (rows, columns // 2 + 1), zero
frequency first, unscaled. Everything is single precision. A frame's transform is made in two steps: along the rows,
from whatever prepares a block of rows, into a buffer that is used again for every frame; then along the columns, each
block of columns being used (cropped, moved, added) while it is at hand. Columns that nobody needs are never
transformed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
import scipy.fft

ROWS, COLUMNS = 64, 32


def runBlocks(pool: Executor | None, total: int, block: int, function: Callable[[slice], None]) -> None:
    """Call function(slice) for slices of length `block` that cover `total`, on the pool's threads if there is one."""
    slices = [slice(start, min(start + block, total)) for start in range(0, total, block)]
    for _ in (pool.map if pool else map)(function, slices):
        pass


def transformRows(prepare: Callable[[slice], np.ndarray], out: np.ndarray, pool: Executor | None = None) -> None:
    """Fill `out`, (rows, columns kept) complex64, with the transforms along the rows that prepare(slice of rows) gives.

    `prepare` returns float32 (rows of the slice, columns of the image), which may be overwritten.
    """
    def transform(rows: slice) -> None:
        out[rows] = scipy.fft.rfft(prepare(rows), axis=1, overwrite_x=True)[:, : out.shape[1]]

    runBlocks(pool, len(out), ROWS, transform)


def cropColumns(transformed: np.ndarray, out: np.ndarray, pool: Executor | None = None) -> None:
    """Add to `out` the low-frequency part of the transform of an image whose rows are transformed already."""
    rows = len(out)
    half = (rows + 1) // 2

    def crop(columns: slice) -> None:
        block = scipy.fft.fft(transformed[:, columns], axis=0)
        out[:half, columns] += block[:half]
        out[half:, columns] += block[len(block) - (rows - half) :]

    runBlocks(pool, out.shape[1], COLUMNS, crop)


def addColumns(transformed: np.ndarray, totals: list[np.ndarray], weighted: list[np.ndarray],
               frequencies: tuple[np.ndarray, np.ndarray], shift: np.ndarray, decay: np.ndarray | None = None,
               exposure: float = 0.0, pool: Executor | None = None) -> None:
    """Add an image whose rows are transformed, moved by `shift` = (x, y) pixels, to `totals` and `weighted`.

    Arguments:
        totals, weighted: transforms, as large as the image's or cropped, (rows, columns) complex64.
        frequencies: (y, x) of the totals, cycles per pixel of the image.
        decay, exposure: the weight is exp(decay exposure), see :mod:`doseweight`.
    """
    rows = len(totals[0])
    half = (rows + 1) // 2
    y, x = calcPhases(frequencies[0], shift[1])[:, None], calcPhases(frequencies[1], shift[0])

    def add(columns: slice) -> None:
        block = scipy.fft.fft(transformed[:, columns], axis=0)
        if len(block) > rows:
            block = np.concatenate([block[:half], block[len(block) - (rows - half) :]])
        block *= x[columns]
        block *= y
        for total in totals:
            total[:, columns] += block
        if weighted and decay is not None:
            block *= np.exp(decay[:, columns] * np.float32(exposure))
            for total in weighted:
                total[:, columns] += block

    runBlocks(pool, totals[0].shape[1], COLUMNS, add)


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
    kept = transform[:, : cols // 2 + 1]
    return np.concatenate([kept[:half], kept[len(kept) - (rows - half) :]])


def calcFrequencies(shape: tuple[int, int], cropped: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies along y and x, in cycles per pixel of the image of `shape`, of its cropped transform."""
    rows, cols = cropped or shape
    return scipy.fft.fftfreq(rows, 1 / rows) / shape[0], np.arange(cols // 2 + 1) / shape[1]


def calcPhases(frequencies: np.ndarray, shift: float) -> np.ndarray:
    """Return the factors, complex64, by which a transform's coefficients along one axis are moved by `shift` pixels."""
    return np.exp(-2j * np.pi * frequencies * shift).astype(np.complex64)
