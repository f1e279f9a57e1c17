"""Transforms of frames, worked through in blocks of rows and then of columns that stay in the processor's cache.

A transform of an image (rows, columns) is a half plane as of `rfft2`: complex64, (rows, columns // 2 + 1), zero
frequency first, unscaled. Everything is single precision. A frame's transform is made in two steps: along the rows,
from whatever prepares a block of rows, into a buffer that is used again for every frame; then along the columns, each
block of columns being used (cropped, moved, added) while it is at hand. Columns that nobody needs are never
transformed.

Buffer and sums are kept turned over, (columns // 2 + 1, rows), so that the columns lie one after another in memory:
that alone halves the time. The transforms are ducc0's, whose import takes a hundredth of that of `scipy.fft`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ducc0.fft import c2c, c2r, r2c

from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: Rows, and columns, that are worked on at a time.
ROWS, COLUMNS = 64, 16


def runBlocks(pool: Threads, total: int, block: int, function: Callable[[slice], None]) -> None:
    """Call function(slice) for slices of length `block` that cover `total`, on the pool's threads."""
    slices = [slice(start, min(start + block, total)) for start in range(0, total, block)]
    pool.map(function, slices)


def transformRows(prepare: Callable[[slice], np.ndarray], out: np.ndarray, pool: Threads = ALONE) -> None:
    """Fill `out`, (columns kept, rows) complex64, with the transforms along the rows that prepare(slice of rows) gives.

    `prepare` returns float32 (rows of the slice, columns of the image).
    """
    def transform(rows: slice) -> None:
        image = prepare(rows)
        if out.shape[0] == image.shape[1] // 2 + 1:
            r2c(image, axes=(1,), out=out[:, rows].T)
        else:
            out[:, rows] = r2c(image, axes=(1,))[:, : out.shape[0]].T

    runBlocks(pool, out.shape[1], ROWS, transform)


def cropColumns(transformed: np.ndarray, out: np.ndarray, pool: Threads = ALONE) -> None:
    """Add to `out`, (rows, columns), the low-frequency part of the transform of an image whose rows are transformed."""
    rows = len(out)
    half = (rows + 1) // 2

    def crop(columns: slice) -> None:
        block = c2c(transformed[columns], axes=(1,)).T
        out[:half, columns] += block[:half]
        out[half:, columns] += block[len(block) - (rows - half) :]

    runBlocks(pool, out.shape[1], COLUMNS, crop)


@dataclass(frozen=True)
class Moved:
    """An image whose rows are transformed, (columns, rows) complex64, to be moved by `shift` = (x, y) pixels.

    `exposure`: it is weighted by exp(decay exposure), see :mod:`doseweight`, in those of the weighted sums for which
    `wanted` says so.
    """

    transformed: np.ndarray
    shift: np.ndarray
    exposure: float = 0.0
    wanted: tuple[bool, ...] = ()


def addColumns(images: Sequence[Moved], total: np.ndarray, weighted: Sequence[np.ndarray],
               frequencies: tuple[np.ndarray, np.ndarray], decay: np.ndarray | None = None,
               pool: Threads = ALONE) -> None:
    """Add images, moved, to `total` and to sums of them weighted; the more at a time, the less often these are fetched.

    Arguments:
        total, weighted: transforms turned over, as large as the image's or cropped, (columns, rows) complex64.
        frequencies: (y, x) of the sums, cycles per pixel of the image. decay: (columns, rows).
    """
    rows = total.shape[1]
    half = (rows + 1) // 2
    phases = [(calcPhases(frequencies[1], image.shift[0])[:, None], calcPhases(frequencies[0], image.shift[1]))
              for image in images]

    def add(columns: slice) -> None:
        plain, *sums = (np.zeros((columns.stop - columns.start, rows), np.complex64) for _ in (total, *weighted))
        for image, (x, y) in zip(images, phases, strict=True):
            block = c2c(image.transformed[columns], axes=(1,))
            if block.shape[1] > rows:
                block = np.concatenate([block[:, :half], block[:, block.shape[1] - (rows - half) :]], axis=1)
            block *= x[columns]
            block *= y
            plain += block
            if decay is not None and any(image.wanted):
                block *= np.exp(decay[columns] * np.float32(image.exposure))
            for one, wanted in zip(sums, image.wanted, strict=True):
                if wanted:
                    one += block
        for target, one in zip((total, *weighted), (plain, *sums), strict=True):
            target[columns] += one

    runBlocks(pool, len(total), COLUMNS, add)


def calcImage(transform: np.ndarray, shape: tuple[int, int], pool: Threads = ALONE) -> np.ndarray:
    """Return the float32 image (rows, columns) of a transform that is turned over and whose memory is overwritten."""
    image = np.empty(shape, np.float32)

    def turnColumns(columns: slice) -> None:
        c2c(transform[columns], axes=(1,), forward=False, inorm=2, out=transform[columns])

    def turnRows(rows: slice) -> None:
        c2r(transform[:, rows], axes=(0,), lastsize=shape[1], forward=False, inorm=2, out=image[rows].T)

    runBlocks(pool, len(transform), COLUMNS, turnColumns)
    runBlocks(pool, shape[0], ROWS, turnRows)
    return image


def calcTransform(image: np.ndarray) -> np.ndarray:
    """Return the transform of an image that fits into the processor's cache."""
    return r2c(image, axes=(0, 1))


def calcInverse(transform: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the image, (rows, columns), of such a transform."""
    return c2r(transform, axes=(0, 1), lastsize=shape[1], forward=False, inorm=2)


def calcCroppedShape(shape: tuple[int, int], factor: float) -> tuple[int, int]:
    """Return the even (rows, columns) of an image reduced by `factor` >= 1; factor 1 changes nothing."""
    if factor <= 1:
        return shape
    rows, cols = (max(2, int(n / factor) // 2 * 2) for n in shape)
    return rows, cols


def cropTransform(transform: np.ndarray, shape: tuple[int, int], out: np.ndarray | None = None) -> np.ndarray:
    """Return (in `out`, if given) the low frequencies of a transform, those of an image of `shape`, not rescaled."""
    rows, cols = shape
    half = (rows + 1) // 2
    kept = transform[:, : cols // 2 + 1]
    return np.concatenate([kept[:half], kept[len(kept) - (rows - half) :]], out=out)


def calcFrequencies(shape: tuple[int, int], cropped: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies along y and x, in cycles per pixel of the image of `shape`, of its cropped transform."""
    rows, cols = cropped or shape
    return np.fft.fftfreq(rows, 1 / rows) / shape[0], np.arange(cols // 2 + 1) / shape[1]


def calcPhases(frequencies: np.ndarray, shift: float) -> np.ndarray:
    """Return the factors, complex64, by which a transform's coefficients along one axis are moved by `shift` pixels."""
    return np.exp(-2j * np.pi * frequencies * shift).astype(np.complex64)
