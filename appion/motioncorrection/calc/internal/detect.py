"""Pixels that do not count electrons properly: found in the sum of all frames, filled from their neighbours."""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from appion.base.failures import ImageFailure


def detectDefects(total: np.ndarray, known: np.ndarray | None = None,
                  sigmas: float = 6.0) -> tuple[np.ndarray, int, int]:
    """Find hot and dead pixels in the sum of all frames.

    A pixel is compared with the mean of the 11 x 11 pixels around it, so that thick ice and grid bars are no defects;
    it is hot or dead if it differs by more than `sigmas` standard deviations (of what remains after three rounds of
    leaving such pixels out), counted nothing where 12 counts are the mean, or is not finite.

    Arguments:
        total: (rows, columns) float32, corrected for gain and dark.
        known: mask of pixels already known to be defective, or None.

    Returns: the mask of all defective pixels, the number of hot ones and of dead ones that were found.
    """
    mask = ~np.isfinite(total)
    if known is not None:
        mask |= known
    finite = np.where(mask, 0, total) if mask.any() else total
    mean = scipy.ndimage.uniform_filter(finite, 11, mode="reflect")
    if mask.any():
        share = scipy.ndimage.uniform_filter((~mask).astype(np.float32), 11, mode="reflect")
        mean /= np.maximum(share, 1e-6)
    difference = finite - mean
    good = difference[~mask]
    if good.size == 0:
        raise ImageFailure("no pixel of the sum of all frames is usable", "look at the gain reference and defect map")
    centre, spread = 0.0, float("inf")
    for _ in range(3):
        good = good[np.abs(good - centre) <= sigmas * spread] if np.isfinite(spread) else good
        centre, spread = float(good.mean(dtype=np.float64)), float(good.std(dtype=np.float64))
    hot = (difference - centre > sigmas * spread) & ~mask
    dead = ((centre - difference > sigmas * spread) | ((finite == 0) & (mean > 12))) & ~mask
    return mask | hot | dead, int(hot.sum()), int(dead.sum())


class Filler:
    """Fills defective pixels with the value of a good pixel near by, another in each frame.

    A single value keeps the noise that an average would smooth away, and drawing anew for each frame leaves no pattern
    that stays where it is while the specimen moves.
    """

    def __init__(self, mask: np.ndarray, seed: int = 0):
        self._random = np.random.default_rng(seed)
        self._good = ~mask
        self._rows, self._cols = np.nonzero(mask)
        if len(self._rows) and not self._good.any():
            raise ImageFailure("every pixel is defective", "look at the defect map")

    def fill(self, frame: np.ndarray) -> None:
        """Replace the defective pixels of a (rows, columns) frame in place."""
        rows, cols = self._rows, self._cols
        reach = 2.0
        while len(rows):
            # The window grows until every pixel has found a good one: blocks and columns take a few rounds.
            span = int(reach)
            fromrows = np.clip(rows + self._random.integers(-span, span + 1, len(rows)), 0, frame.shape[0] - 1)
            fromcols = np.clip(cols + self._random.integers(-span, span + 1, len(cols)), 0, frame.shape[1] - 1)
            found = self._good[fromrows, fromcols]
            frame[rows[found], cols[found]] = frame[fromrows[found], fromcols[found]]
            rows, cols = rows[~found], cols[~found]
            reach = min(reach * 1.25, float(max(frame.shape)))
