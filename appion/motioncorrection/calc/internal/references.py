"""Gain and dark references: brought into the frames' orientation and size.

Orientation follows MotionCor: first `rotate` quarter turns, `numpy.rot90(a, -rotate)` on rows as stored, then a flip.
"""

from __future__ import annotations

import numpy as np

from appion.base.failures import ConfigurationFailure

#: Part of a sensor that may be defective, and part of a gain reference that may be 0: some cover less than the sensor.
MANY_DEFECTS, MANY_UNSEEN = 0.05, 0.5
#: A gain reference is to be near 1 on average; beyond this factor it scales what was counted.
FAR_FROM_ONE = 5.0

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


def checkDefects(mask: np.ndarray, name: str, many: float = MANY_DEFECTS) -> None:
    """Raise ConfigurationFailure if a mask of defects leaves out more of the sensor than a camera that works has."""
    part = np.count_nonzero(mask) / max(1, mask.size)
    if part > many:
        inverted = "is it inverted? Good pixels are 0, defective ones are not"
        raise ConfigurationFailure(
            f"{name} marks {100 * part:.3g} % of the sensor as defective, which is more than"
            f" {100 * many:g} %", inverted if part > 0.5 else "is it that of this camera?")


def calcGainMean(gain: np.ndarray) -> float:
    """Return the mean of a gain reference where it is positive and finite; 1 if it is nowhere."""
    good = gain[np.isfinite(gain) & (gain > 0)]
    return float(good.mean(dtype=np.float64)) if good.size else 1.0


def isFarFromOne(mean: float) -> bool:
    """Return whether a gain reference of this mean changes the scale of the sums."""
    return not 1 / FAR_FROM_ONE <= mean <= FAR_FROM_ONE


def normaliseGain(gain: np.ndarray) -> np.ndarray:
    """Return a gain reference, float32, divided by its mean if that is far from 1."""
    mean = calcGainMean(gain)
    return np.asarray(gain, np.float32) / np.float32(mean) if isFarFromOne(mean) else np.asarray(gain, np.float32)


def invertGain(gain: np.ndarray) -> np.ndarray:
    """Return 1 / gain, 0 where gain is 0."""
    out = np.zeros_like(gain)
    np.divide(1, gain, out=out, where=gain != 0)
    return out
