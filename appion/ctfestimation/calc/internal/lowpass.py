"""Filters with a tanh edge, in one dimension with mirrored ends and in two."""

from __future__ import annotations

import numpy as np
import scipy.fft

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


def filterCorners(spectrum: np.ndarray) -> np.ndarray:
    """Return a square array without the Fourier components in the corners of its transform."""
    size = len(spectrum)
    y, x = calcCentredGrid(size)
    kept = 0.5 - 0.5 * np.tanh(np.hypot(y, x) / 2 - 1.01 * size / 4)
    transform = scipy.fft.fft2(spectrum, workers=1)
    transform *= scipy.fft.ifftshift(kept).astype(np.float32)
    return scipy.fft.ifft2(transform, workers=1, overwrite_x=True).real
