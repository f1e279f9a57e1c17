"""Pixels that do not count electrons properly: found in the sum of all frames, filled from their neighbours."""

from __future__ import annotations

import numpy as np

from appion.base.failures import ImageFailure
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

BLOCK = 32
REACH = 5


def detectDefects(total: np.ndarray, known: np.ndarray | None = None, sigmas: float = 6.0,
                  pool: Threads = ALONE) -> tuple[np.ndarray, int, int]:
    """Find hot and dead pixels in the sum of all frames.

    A pixel is compared with the mean of the 11 x 11 pixels around it, so that thick ice and grid bars are no defects.
    It is hot or dead if it differs by more than `sigmas` times the noise (the median of the standard deviations of
    blocks of 32 x 32 pixels), counted nothing where 12 counts are the mean, or is not finite.

    Arguments:
        total: (rows, columns) float32, corrected for gain and dark; known defects are filled in place.
        known: mask of pixels already known to be defective, or None.

    Returns: the mask of all defective pixels, the number of hot ones and of dead ones that were found.

    Raises:
        ImageFailure: no pixel is usable.
    """
    mask = ~np.isfinite(total)
    if known is not None:
        mask |= known
    filler = Filler(mask)
    total[filler.pixels] = total[filler.drawDonors()]
    means, spread = _calcBlocks(total, pool)
    if not spread > 0:
        return mask, 0, 0
    # Few pixels lie 4 sigmas from the mean of their block: only these are looked at closely.
    rows, cols = _findCandidates(total, means, 4 * spread, pool)
    centres = _calcSurroundings(total, rows, cols)
    difference = total[rows, cols] - centres
    hot = difference > sigmas * spread
    dead = (difference < -sigmas * spread) | ((total[rows, cols] == 0) & (centres > 12))
    found = (hot | dead) & ~mask[rows, cols]
    mask[rows[found], cols[found]] = True
    return mask, int((hot & found).sum()), int((dead & found).sum())


def _calcBlocks(total: np.ndarray, pool: Threads) -> tuple[np.ndarray, float]:
    """Return the means of blocks and the median of their standard deviations."""
    starts = [np.arange(0, n, BLOCK) for n in total.shape]
    sizes = [np.diff(np.append(start, n)) for start, n in zip(starts, total.shape, strict=True)]
    sums = np.empty((2, len(starts[0]), len(starts[1])))

    def add(i: int) -> None:
        rows = total[i * BLOCK : (i + 1) * BLOCK]
        sums[0, i] = np.add.reduceat(rows.sum(axis=0, dtype=np.float64), starts[1])
        sums[1, i] = np.add.reduceat(np.einsum("ij,ij->j", rows, rows).astype(np.float64), starts[1])

    pool.map(add, range(len(starts[0])))
    sums /= np.outer(*sizes)
    return sums[0], float(np.sqrt(np.median(np.maximum(sums[1] - sums[0] ** 2, 0))))


def _findCandidates(total: np.ndarray, means: np.ndarray, threshold: float,
                    pool: Threads) -> tuple[np.ndarray, np.ndarray]:
    def find(i: int, row: np.ndarray) -> np.ndarray:
        rows = total[i * BLOCK : (i + 1) * BLOCK]
        difference = np.abs(rows - np.repeat(row, BLOCK)[: total.shape[1]])
        return np.argwhere((difference > threshold) | (rows == 0)) + np.array((i * BLOCK, 0))

    rows, cols = np.concatenate(pool.map(find, range(len(means)), means.astype(np.float32))).T
    return rows, cols


def _calcSurroundings(total: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return the mean of the 11 x 11 pixels around each pixel, without itself; at the edge some count twice."""
    total_around = np.zeros(len(rows))
    for dy in range(-REACH, REACH + 1):
        y = np.clip(rows + dy, 0, total.shape[0] - 1)
        for dx in range(-REACH, REACH + 1):
            if dy or dx:
                total_around += total[y, np.clip(cols + dx, 0, total.shape[1] - 1)]
    return total_around / ((2 * REACH + 1) ** 2 - 1)


class Filler:
    """Fills defective pixels with the value of a good pixel near by, another in each frame, the same each time.

    A single value keeps the noise that an average would smooth away, and drawing anew for each frame leaves no pattern
    that stays where it is while the specimen moves.

    Attributes:
        pixels: (rows, columns) of the defective pixels, in reading order.
    """

    def __init__(self, mask: np.ndarray):
        self._mask = mask
        self.pixels = np.divmod(np.flatnonzero(mask), mask.shape[1])  # much faster than nonzero of both
        if len(self.pixels[0]) == mask.size:
            raise ImageFailure("every pixel is defective", "look at the gain reference and the defect map")

    def drawDonors(self, frame: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return (rows, columns) of a good pixel for each of `pixels`, in a window that grows until one is found."""
        random, donors = np.random.default_rng(frame), (self.pixels[0].copy(), self.pixels[1].copy())
        missing = np.arange(len(donors[0]))
        reach = 2.0
        while len(missing):
            span = int(reach)
            y, x = (np.clip(places[missing] + random.integers(-span, span + 1, len(missing)), 0, n - 1)
                    for places, n in zip(self.pixels, self._mask.shape, strict=True))
            found = ~self._mask[y, x]
            donors[0][missing[found]], donors[1][missing[found]] = y[found], x[found]
            missing = missing[~found]
            reach = min(reach * 1.25, float(max(self._mask.shape)))
        return donors
