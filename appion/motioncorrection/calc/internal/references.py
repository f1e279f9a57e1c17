"""Gain and dark references: brought into the frames' orientation and size.

Orientation follows MotionCor: first `rotate` quarter turns, `numpy.rot90(a, -rotate)` on rows as stored, then a flip.
"""

from __future__ import annotations

import numpy as np

from appion.base.failures import ConfigurationFailure

FLIPS = {0: lambda a: a, 1: np.flipud, 2: np.fliplr}


def orientReference(reference: np.ndarray, rotate: int, flip: int) -> np.ndarray:
    """Return the reference turned by `rotate` quarter turns, then flipped (0 no, 1 upside down, 2 left-right)."""
    return FLIPS[flip](np.rot90(reference, -rotate))


def fitReference(reference: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    """Return the reference with `shape`; each of its pixels is repeated if the frame is a whole factor finer.

    Raises:
        ConfigurationFailure: the frame's size is no whole multiple of the reference's.
    """
    if reference.shape == shape:
        return reference
    factors = [n // m for n, m in zip(shape, reference.shape, strict=True)]
    if reference.ndim != 2 or factors[0] != factors[1] or factors[0] < 1 or \
            tuple(m * factors[0] for m in reference.shape) != shape:
        raise ConfigurationFailure(
            f"{name} is {' x '.join(map(str, reference.shape))}, frames are {shape[0]} x {shape[1]} (rows x columns)",
            "give a reference of the frames' size after -RotGain, or a whole factor smaller")
    return np.repeat(np.repeat(reference, factors[0], axis=0), factors[0], axis=1)


def invertGain(gain: np.ndarray) -> np.ndarray:
    """Return 1 / gain, 0 where gain is 0."""
    out = np.zeros_like(gain)
    np.divide(1, gain, out=out, where=gain != 0)
    return out
