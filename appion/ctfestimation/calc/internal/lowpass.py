"""Filters with a tanh edge, in one dimension with mirrored ends and in two."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from ducc0.fft import c2r, r2c

from appion.ctfestimation.calc.internal.rings import calcCentredGrid


def calcPassed(length: int, radius: float) -> np.ndarray:
    """Return what a high pass of `radius` samples keeps of each Fourier component of 2 `length` mirrored samples."""
    half = 0.5 * np.tanh(np.arange(length) / 4 - 1.01 * length / (4 * radius)) + 0.5
    return np.concatenate([half[::-1], half])


def filterMirrored(data: np.ndarray, radius: float, high: bool = False) -> np.ndarray:
    """Return `data` without what varies faster (or, `high`, slower) than `radius` samples; below 1 nothing is done."""
    if radius < 1:
        return data
    passed = calcPassed(len(data), radius)
    transform = scipy.fft.fftshift(scipy.fft.fft(np.concatenate([data, data[::-1]])))
    transform *= passed if high else 1 - passed
    return scipy.fft.ifft(scipy.fft.ifftshift(transform)).real[: len(data)]


@lru_cache(maxsize=1)
def calcKept(size: int) -> np.ndarray:
    """Return what is kept of each component of a square's half transform. Not to be written to.

    The edge is a circle around a point half a component before the origin; of a real square only what is alike on
    both sides of it counts.
    """
    y, x = calcCentredGrid(size)
    kept = scipy.fft.ifftshift(0.5 - 0.5 * np.tanh(np.hypot(y, x) / 2 - 1.01 * size / 4))
    opposite = -np.arange(size)
    half = ((kept + kept[opposite][:, opposite]) / 2)[:, : size // 2 + 1].astype(np.float32)
    half.flags.writeable = False
    return half


def filterCorners(spectrum: np.ndarray) -> np.ndarray:
    """Return a square array without the Fourier components in the corners of its transform."""
    size = len(spectrum)
    transform = r2c(spectrum, axes=(0, 1), nthreads=1)
    transform *= calcKept(size)
    return c2r(transform, axes=(0, 1), lastsize=size, inorm=2, forward=False, nthreads=1)
