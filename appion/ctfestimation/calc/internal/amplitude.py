"""The amplitude spectrum of a micrograph: what its transfer function has left of the specimen.

The amplitudes of the transform of the whole micrograph are averaged locally, over as many coefficients as a tile of the
box's size would blur into one. This is what the mean over overlapping tiles tends to when they overlap more and more
(Wiener-Khinchin), without transforming every pixel several times; CTFFIND 4.1 goes the same way. Where the pixel is
small, the spectrum is magnified so that it ends at a Nyquist frequency of 1/(2.8 Å) (Rohou & Grigorieff 2015).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ducc0.fft import c2c, good_size, r2c

from appion.base.failures import ImageFailure

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


def calcAmplitudeSpectra(
    image: np.ndarray, pixelsize: float, boxes: Sequence[int], resample: bool = True
) -> list[AmplitudeSpectrum]:
    """Return the amplitude spectrum of a micrograph (rows, columns) of real numbers in several sizes.

    Args:
        pixelsize: Å. boxes: sides of the spectra, pixels, even; they may be larger than the micrograph.
        resample: whether spectra of small pixels are magnified.

    Raises:
        ImageFailure: the micrograph is constant or has values that are not finite.
    """
    low, high = _calcLimits(image)
    rows, cols = (2 * good_size((length + 1) // 2) for length in image.shape)  # even, and quick to transform
    scales = [_calcScale(pixelsize, box) if resample else 1.0 for box in boxes]
    furthest = max(0.5 * scale + LOBES / min(box, cols) for box, scale in zip(boxes, scales, strict=True))
    kept = min(cols // 2 + 1, int(furthest * cols) + 2)
    transform = _transformRows(image, low, high, (rows, cols), kept)
    wanted = [np.arange(-(box // 2), box // 2 + 1) * (scale / box) for box, scale in zip(boxes, scales, strict=True)]
    down = [_constructKernels(at, rows, -(rows // 2), rows // 2, box / scale)
            for at, box, scale in zip(wanted, boxes, scales, strict=True)]  # fmt: skip
    halves = [np.empty((box + 1, kept), np.float32) for box in boxes]
    for start in range(0, kept, COLUMNS):
        block = np.fft.fftshift(c2c(transform[:, start : start + COLUMNS], axes=(0,)), axes=0)
        amplitudes = np.sqrt(np.square(block.real) + np.square(block.imag))
        for half, kernels in zip(halves, down, strict=True):
            for kernel in kernels:
                half[kernel.output, start : start + block.shape[1]] = kernel.weights @ amplitudes[kernel.input]
    spectra = []
    for half, box, scale, at in zip(halves, boxes, scales, wanted, strict=True):
        full = np.concatenate([half[::-1, :0:-1], half], axis=1)  # columns of negative frequency come first
        values = np.empty((box, box // 2 + 1), np.float32)
        for kernel in _constructKernels(at[box // 2 :], cols, 1 - kept, kept, box / scale):
            values[:, kernel.output] = full[:box, kernel.input] @ kernel.weights.T
        spectra.append(AmplitudeSpectrum(values / np.float32(np.sqrt(image.size)), pixelsize / scale))
    return spectra


def _calcScale(pixelsize: float, box: int) -> float:
    """Return the part of the range of frequencies that is kept: 1, or less where pixels are small."""
    if pixelsize >= FITTED_PIXELSIZE:
        return 1.0
    larger = round(box / pixelsize * FITTED_PIXELSIZE)
    return box / (larger + larger % 2)


def averageSpectra(spectra: Iterable[Sequence[AmplitudeSpectrum]]) -> list[AmplitudeSpectrum]:
    """Return the mean over at least one image of the spectra of each size; all images have the same sizes."""
    count, totals = 0, list[AmplitudeSpectrum]()
    for count, found in enumerate(spectra, 1):  # noqa: B007
        totals = [replace(total, values=total.values + spectrum.values)
                  for total, spectrum in zip(totals, found, strict=True)] if totals else list(found)  # fmt: skip
    if not totals:
        raise ValueError("no spectra to average")
    return [replace(total, values=total.values / np.float32(count)) for total in totals]


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
    sample = image[::step, ::step].ravel()
    places = sample.size // 1000, sample.size - 1 - sample.size // 1000
    low, high = (float(value) for value in np.partition(sample, places)[list(places)])
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
        transform[start : start + len(part)] = r2c(block[: len(part)], axes=(1,))[:, :kept]
    return transform


def _constructFade(length: int) -> np.ndarray:
    """Return weights of `length` that rise from 0 to 1 at one end and fall at the other."""
    part = np.minimum(1.0, (np.minimum(np.arange(length), np.arange(length)[::-1]) + 0.5) / (FADE * length))
    return (0.5 - 0.5 * np.cos(np.pi * part)).astype(np.float32)
