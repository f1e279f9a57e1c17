"""The amplitude spectrum of a micrograph: what its transfer function has left of the specimen.

The amplitudes of the transform of the whole micrograph are averaged locally, over as many coefficients as a tile of the
box's size would blur into one. This is what the mean over overlapping tiles tends to when they overlap more and more
(Wiener-Khinchin), without transforming every pixel several times; CTFFIND 4.1 goes the same way. Where the pixel is
small, the spectrum is magnified so that it ends at a Nyquist frequency of 1/(2.8 Å) (Rohou & Grigorieff 2015).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal.transforms import calcGoodSize, transformColumns, transformRows

#: Spectra of smaller pixels are magnified to this one, Å.
FITTED_PIXELSIZE = 1.4

#: Part of each side over which a micrograph fades to its mean, so that its edges leave no cross in the spectrum.
FADE = 1 / 32

ROWS, COLUMNS, LOBES = 64, 32, 3


@dataclass(frozen=True)
class AmplitudeSpectrum:
    """Half of an amplitude spectrum.

    Attributes:
        values: (box, box // 2 + 1) float32; row i holds the frequency (i - box // 2) / (box pixelsize) along the
            columns of the micrograph, column j the frequency j / (box pixelsize) along its rows.
        pixelsize: the pixel size at whose Nyquist frequency the spectrum ends, Å.
    """

    values: np.ndarray
    pixelsize: float

    @property
    def box(self) -> int:
        return len(self.values)


def calcAmplitudeSpectrum(image: np.ndarray, pixelsize: float, box: int, resample: bool = True) -> AmplitudeSpectrum:
    """Return the amplitude spectrum of a micrograph (rows, columns) of real numbers.

    Args:
        pixelsize: Å. box: side of the spectrum, pixels, even; it may be larger than the micrograph.
        resample: whether spectra of small pixels are magnified.

    Raises:
        ImageFailure: the micrograph is constant or has values that are not finite.
    """
    low, high = _calcLimits(image)
    fitted = pixelsize
    if resample and pixelsize < FITTED_PIXELSIZE:
        larger = round(box / pixelsize * FITTED_PIXELSIZE)
        fitted = pixelsize * (larger + larger % 2) / box
    scale = pixelsize / fitted
    rows, cols = calcGoodSize(image.shape[0]), calcGoodSize(image.shape[1])
    kept = min(cols // 2 + 1, int((0.5 * scale + LOBES / min(box, cols)) * cols) + 2)
    wanted = np.arange(-(box // 2), box // 2 + 1) * (scale / box)
    down = _constructKernels(wanted, rows, -(rows // 2), rows // 2, box / scale)
    across = _constructKernels(wanted[box // 2 :], cols, 1 - kept, kept, box / scale)
    transform = _transformRows(image, low, high, (rows, cols), kept)
    reduced = np.empty((box + 1, 2 * kept - 1), np.float32)  # columns of negative frequency come first
    for start in range(0, kept, COLUMNS):
        block = np.fft.fftshift(transformColumns(transform[:, start : start + COLUMNS]), axes=0)
        amplitudes = np.sqrt(np.square(block.real) + np.square(block.imag))
        for kernel in down:
            reduced[kernel.output, kept - 1 + start : kept - 1 + start + block.shape[1]] = (
                kernel.weights @ amplitudes[kernel.input]
            )
    reduced[:, : kept - 1] = reduced[::-1, : kept - 1 : -1]
    values = np.empty((box, box // 2 + 1), np.float32)
    for kernel in across:
        values[:, kernel.output] = reduced[:box, kernel.input] @ kernel.weights.T
    values /= np.float32(np.sqrt(image.size))
    return AmplitudeSpectrum(values, fitted)


def averageSpectra(spectra: Iterable[AmplitudeSpectrum]) -> AmplitudeSpectrum:
    """Return the mean of at least one spectrum; all have the same box and pixel size."""
    count, total = 0, None
    for spectrum in spectra:
        count += 1
        total = spectrum if total is None else replace(spectrum, values=total.values + spectrum.values)
    if total is None:
        raise ValueError("no spectra to average")
    return replace(total, values=total.values / np.float32(count))


def _calcLimits(image: np.ndarray) -> tuple[float, float]:
    """Return the range of pixel values that count, which leaves out hot pixels and X-rays; refuse unusable images."""
    smallest, largest = float(image.min()), float(image.max())
    if not np.isfinite(smallest + largest):
        raise ImageFailure("the image has pixels that are infinite or not a number", "look at how it was made")
    if smallest == largest:
        raise ImageFailure(f"the image is constant: every pixel is {smallest:g}", "look at how it was made")
    if np.prod(image.shape, dtype=float) < 64 * 64 or min(image.shape) < 32:
        raise ImageFailure(f"the image has only {image.shape[1]} x {image.shape[0]} pixels")
    step = max(1, min(image.shape) // 400)
    low, high = (float(value) for value in np.percentile(image[::step, ::step], (0.1, 99.9)))
    return (low - (high - low), high + (high - low)) if high > low else (smallest, largest)


@dataclass(frozen=True)
class _Kernel:
    """Weights (outputs, inputs) that average a range of frequencies into a few."""

    output: slice
    input: slice
    weights: np.ndarray


def _constructKernels(wanted: np.ndarray, length: int, first: int, stop: int, box: float) -> list[_Kernel]:
    """Return kernels that average coefficients first to stop - 1 of a transform of `length` at frequencies `wanted`.

    Frequencies are in cycles per pixel. The weights are Lanczos windows with their first zeros 1 / box apart, which
    leave the frequency of every ring that such a box resolves as it is.
    """
    width = 1 / min(box, length)
    kernels = []
    for start in range(0, len(wanted), ROWS):
        centres = wanted[start : start + ROWS]
        low = max(first, int(np.floor((centres[0] - LOBES * width) * length)))
        high = min(stop, int(np.ceil((centres[-1] + LOBES * width) * length)) + 1)
        distance = (np.arange(low, high) / length - centres[:, None]) / width
        weights = np.sinc(distance) * np.sinc(distance / LOBES) * (np.abs(distance) < LOBES)
        weights /= weights.sum(axis=1, keepdims=True)
        kernels.append(
            _Kernel(slice(start, start + len(centres)), slice(low - first, high - first), weights.astype(np.float32))
        )
    return kernels


def _transformRows(image: np.ndarray, low: float, high: float, shape: tuple[int, int], kept: int) -> np.ndarray:
    """Return `kept` columns of the transform along the rows of an image, faded to 0 and filled up to `shape`."""
    rows, cols = image.shape
    mean = np.float32(np.clip(image[:: max(1, rows // 256)], low, high).mean(dtype=np.float64))
    down, across = _constructFade(rows), _constructFade(cols)
    transform = np.zeros((shape[0], kept), np.complex64)
    block = np.zeros((ROWS, shape[1]), np.float32)
    for start in range(0, rows, ROWS):
        part = image[start : start + ROWS]
        filled = block[: len(part), :cols]
        np.clip(part, low, high, out=filled, casting="unsafe")
        filled -= mean
        filled *= across
        filled *= down[start : start + ROWS, None]
        transform[start : start + len(part)] = transformRows(block[: len(part)])[:, :kept]
    return transform


def _constructFade(length: int) -> np.ndarray:
    """Return weights of `length` that rise from 0 to 1 at one end and fall at the other."""
    part = np.minimum(1.0, (np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5) / (FADE * length))
    return (0.5 - 0.5 * np.cos(np.pi * part)).astype(np.float32)
