"""Images resampled where a smooth field of displacements says, once, with a kernel whose loss is known.

The field is constant within blocks of 8 x 8 pixels, so that the weights of a windowed sinc (8 points each way) are the
same for a block, and neighbouring blocks differ by thousandths of a pixel. What the kernel leaves of an amplitude, on
average over all fractions of a pixel, is :func:`calcResponse`; the transform of what was resampled is divided by it.
Images go on periodically at their edges, as they do when they are moved in Fourier space.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from appion.motioncorrection.calc.internal import fourier
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: Pixels of a block each way; points of the kernel; into how many parts a pixel is divided.
BLOCK, POINTS, PARTS = 8, 8, 2048
#: Cut-off of the sinc (of the Nyquist frequency) and the Kaiser window's parameter: errors below 0.02 to 0.8 Nyquist.
CUTOFF, KAISER = 0.9, 4.0
#: Rows of blocks that a thread takes at a time.
ROWS = 8


@cache
def calcKernel() -> np.ndarray:
    """Return the weights (PARTS + 1, POINTS) float32 for each fraction of a pixel; those of a fraction add up to 1."""
    fractions = np.arange(PARTS + 1)[:, None] / PARTS
    distance = np.arange(POINTS) - (POINTS // 2 - 1) - fractions
    window = np.i0(KAISER * np.sqrt(np.maximum(1 - (2 * distance / POINTS) ** 2, 0)))
    weights = np.sinc(CUTOFF * distance) * window
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def calcResponse(frequencies: np.ndarray) -> np.ndarray:
    """Return what is left of an amplitude at frequencies (cycles per pixel) along one axis, 1 at 0, float32."""
    return np.interp(np.abs(frequencies), *_tabulateResponse()).astype(np.float32)


@cache
def _tabulateResponse() -> tuple[np.ndarray, np.ndarray]:
    fractions = np.arange(0, PARTS, PARTS // 64)
    distance = np.arange(POINTS) - (POINTS // 2 - 1) - fractions[:, None] / PARTS
    weights = calcKernel()[fractions] / len(fractions)
    table = np.linspace(0, 0.5, 1025)
    return table, np.cos(2 * np.pi * table[:, None] * distance.ravel()) @ weights.ravel()


def countBlocks(shape: tuple[int, int]) -> tuple[int, int]:
    """Return how many blocks cover an image of `shape`, (down, across); the last ones may be cut."""
    return -(-shape[0] // BLOCK), -(-shape[1] // BLOCK)


def calcCentres(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the blocks' centres are along x and y, from -1 to 1 across the image."""
    y, x = ((np.arange(count) * BLOCK + (BLOCK - 1) / 2) / (n / 2) - 1
            for count, n in zip(countBlocks(shape), shape, strict=True))
    return x, y


def warpImage(image: np.ndarray, dx: np.ndarray, dy: np.ndarray, out: np.ndarray, pool: Threads = ALONE) -> None:
    """Fill `out` with `image`, both (rows, columns) float32, moved by (dx, dy) pixels.

    Arguments:
        dx, dy: of each block of `out`, float32 of the shape :func:`countBlocks` says.
    """
    fourier.runBlocks(pool, len(dx), ROWS, lambda blocks: warpBlocks(image, dx, dy, out, blocks))


def warpBlocks(image: np.ndarray, dx: np.ndarray, dy: np.ndarray, out: np.ndarray, blocks: slice) -> None:
    """Fill no more of `out` than some rows of blocks, see :func:`warpImage`."""
    _getCompiled("warp", _warpBlocks)(image, calcKernel(), dx, dy, out, blocks.start, blocks.stop)


def sumProducts(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the sum of the products of two float32 images over each block, float32."""
    sums = np.zeros(countBlocks(first.shape), np.float32)
    sumBlocks(first, second, sums, slice(0, len(sums)))
    return sums


def sumBlocks(first: np.ndarray, second: np.ndarray, sums: np.ndarray, blocks: slice) -> None:
    """Add to some rows of `sums`, see :func:`sumProducts`."""
    _getCompiled("sum", _sumBlocks)(first, second, sums, blocks.start, blocks.stop)


def restore(transform: np.ndarray, frequencies: tuple[np.ndarray, np.ndarray]) -> None:
    """Divide a transform, in place, by what the kernel leaves of it; `frequencies` (y, x) in cycles per pixel."""
    transform /= calcResponse(frequencies[0])[:, None]
    transform /= calcResponse(frequencies[1])


class Mover:
    """Moves frames of `shape`, one after another, by their whole-frame `shifts` (frames, 2) and a field, in one go.

    `calcDisplacements(frame, x, y)` returns (dx, dy) at places from -1 to 1, float32 (len(y), len(x)).
    """

    def __init__(self, shape: tuple[int, int], shifts: np.ndarray,
                 calcDisplacements: Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]):
        self._shifts, self._calcDisplacements, self._places = shifts, calcDisplacements, calcCentres(shape)
        self._frame, self._moved = np.empty((2, *shape), np.float32)

    def move(self, index: int, prepare: Callable[[slice], np.ndarray],
             pool: Threads) -> Callable[[slice], np.ndarray]:
        """Take a frame by blocks of rows, as `prepare` gives them, and return a function that gives it moved."""

        def take(rows: slice) -> None:
            self._frame[rows] = prepare(rows)

        fourier.runBlocks(pool, len(self._frame), fourier.ROWS, take)
        dx, dy = self._calcDisplacements(index, *self._places)
        shift = self._shifts[index].astype(np.float32)
        warpImage(self._frame, dx + shift[0], dy + shift[1], self._moved, pool)
        return lambda rows: self._moved[rows]


_compiled: dict[str, Callable[..., None]] = {}
_compiling = threading.Lock()


def _getCompiled(name: str, function: Callable[..., None]) -> Callable[..., None]:
    # numba is imported and the loops compiled only when there is local motion to correct; without any folder to keep
    # the compiled code in they are compiled in every process.
    with _compiling:
        if name not in _compiled:
            import numba

            options: dict[str, Any] = {"nogil": True, "nopython": True, "fastmath": True, "error_model": "numpy"}
            try:
                _compiled[name] = numba.jit(cache=True, **options)(function)
            except RuntimeError:
                _compiled[name] = numba.jit(**options)(function)
        return _compiled[name]


def _warpBlocks(image, kernel, dx, dy, out, first, last):
    nrows, ncols = image.shape
    wide = BLOCK + POINTS
    source = np.empty((wide, wide), np.float32)
    middle = np.empty((BLOCK, wide), np.float32)
    result = np.empty((BLOCK, BLOCK), np.float32)
    for i in range(first, last):
        height = min(BLOCK, nrows - i * BLOCK)
        for j in range(dx.shape[1]):
            width = min(BLOCK, ncols - j * BLOCK)
            wholey, wholex = int(np.floor(-dy[i, j])), int(np.floor(-dx[i, j]))
            vertical = kernel[int((-dy[i, j] - wholey) * PARTS + 0.5)]
            horizontal = kernel[int((-dx[i, j] - wholex) * PARTS + 0.5)]
            top, left = i * BLOCK + wholey - (POINTS // 2 - 1), j * BLOCK + wholex - (POINTS // 2 - 1)
            if left >= 0 and left + wide <= ncols:
                for r in range(wide - 1):
                    row = image[(top + r) % nrows]
                    for c in range(wide):
                        source[r, c] = row[left + c]
            else:
                for r in range(wide - 1):
                    for c in range(wide):
                        source[r, c] = image[(top + r) % nrows, (left + c) % ncols]
            # Eight terms written out stay in the processor's registers: three times as fast as a loop over them.
            w0, w1, w2, w3, w4, w5, w6, w7 = vertical[0], vertical[1], vertical[2], vertical[3], vertical[4], vertical[
                5], vertical[6], vertical[7]
            for y in range(BLOCK):
                for x in range(wide):
                    middle[y, x] = (w0 * source[y, x] + w1 * source[y + 1, x] + w2 * source[y + 2, x]
                                    + w3 * source[y + 3, x] + w4 * source[y + 4, x] + w5 * source[y + 5, x]
                                    + w6 * source[y + 6, x] + w7 * source[y + 7, x])
            w0, w1, w2, w3, w4, w5, w6, w7 = horizontal[0], horizontal[1], horizontal[2], horizontal[3], horizontal[
                4], horizontal[5], horizontal[6], horizontal[7]
            for y in range(BLOCK):
                for x in range(BLOCK):
                    result[y, x] = (w0 * middle[y, x] + w1 * middle[y, x + 1] + w2 * middle[y, x + 2]
                                    + w3 * middle[y, x + 3] + w4 * middle[y, x + 4] + w5 * middle[y, x + 5]
                                    + w6 * middle[y, x + 6] + w7 * middle[y, x + 7])
            for y in range(height):
                for x in range(width):
                    out[i * BLOCK + y, j * BLOCK + x] = result[y, x]


def _sumBlocks(first, second, sums, start, stop):
    nrows, ncols = first.shape
    for row in range(start * BLOCK, min(nrows, stop * BLOCK)):
        for j in range(sums.shape[1]):
            total, left = np.float32(0), j * BLOCK
            if left + BLOCK <= ncols:
                for column in range(BLOCK):
                    total += first[row, left + column] * second[row, left + column]
            else:
                for column in range(left, ncols):
                    total += first[row, column] * second[row, column]
            sums[row // BLOCK, j] += total
