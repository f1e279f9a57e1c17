"""The curve through the lowest or highest values of a profile, one for each oscillation."""

from __future__ import annotations

import numpy as np


def calcExtremes(data: np.ndarray, frequency: np.ndarray, extrema: np.ndarray, below: bool) -> np.ndarray:
    """Return a curve through the least (greatest) value of `data` around each of `extrema`.

    Args:
        data, frequency: a profile and its frequencies, increasing.
        extrema: frequencies of the valleys (peaks).

    Each value is looked for half the way to the neighbouring extrema. Values are joined by lines over the square of the
    frequency; before the first and behind the last the curve is constant. It is 0 (1) where there are not two of them.
    """
    pick, nothing = (np.min, 0.0) if below else (np.max, 1.0)
    index = np.searchsorted(frequency, extrema)
    index = index[index < len(data)]
    x, y = [], []
    for i, here in enumerate(index):
        before = index[i - 1] if i else here // 2
        after = index[i + 1] if i + 1 < len(index) else 2 * here - before
        around = data[(before + here) // 2 : (here + after) // 2]
        if len(around):
            x.append(frequency[here] ** 2)
            y.append(pick(around))
    if len(x) < 2:
        return np.full(len(data), nothing)
    left = pick(data[index[0] // 2 : index[0]]) if index[0] >= 3 else nothing
    return np.interp(np.square(frequency), x, y, left=left, right=pick(data[index[-1] :]))
