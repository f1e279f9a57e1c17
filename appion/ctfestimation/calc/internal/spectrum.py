"""The power spectrum of a micrograph: tiles that overlap by half, averaged by how well each shows the fitted CTF.

Spectra are logarithms of amplitudes, square, with the origin between the four central pixels. The weights of the tiles
sum to one and the weighted tiles are averaged again, so that the scale is that of one tile divided by their number.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from ducc0.fft import r2c

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal.model import Defocus, Optics, calcPhase
from appion.ctfestimation.calc.internal.rings import calcCentredGrid, calcRingMeans

#: Resolution in Å to which tiles are compared with the model.
WEIGHT_RESOLUTION = 5.0
#: Resolution in Å to which spectra are analysed.
OUTER_RESOLUTION = 3.0
LEAST_WEIGHT = 1e-3
#: Rows of a transform that are worked on together.
ROWS = 32


def calcFieldSize(shape: tuple[int, int]) -> int:
    """Return the side of a tile: the largest power of two that leaves at least 16 pixels of the image's short side."""
    return 1 << ((min(shape) - 16).bit_length() - 1)


def calcTileStarts(length: int, size: int) -> tuple[list[int], int | None]:
    """Return where tiles start along one side, and where one flush with the end does if there is much left over."""
    starts = [i * size // 2 for i in range(2 * (length // size)) if i * size // 2 + size <= length]
    return starts, length - size if length % size > 0.1 * size else None


def calcTileCorners(shape: tuple[int, int], size: int) -> list[tuple[int, int]]:
    """Return (row, column) of the first pixel of every tile."""
    (rows, last_row), (columns, last_column) = (calcTileStarts(length, size) for length in shape)
    corners = [(row, column) for row in rows for column in columns]
    if last_row is not None:
        corners += [(last_row, column) for column in columns]
    if last_column is not None:
        corners += [(row, last_column) for row in rows]
    return corners


def mirrorQuarter(quarter: np.ndarray) -> np.ndarray:
    """Return a square of which `quarter` is the part right of and below the centre, alike on all four sides."""
    half = np.concatenate([quarter[::-1], quarter])
    return np.concatenate([half[:, ::-1], half], axis=1)


@lru_cache(maxsize=1)
def calcWindow(size: int) -> np.ndarray:
    """Return a Hann window that falls from the centre of a square to 0 at its corners. Not to be written to."""
    width = math.ceil(size * math.sqrt(2)) - 1
    distance = np.arange(size // 2) + 0.5
    quarter = 0.5 + 0.5 * np.cos(2 * np.pi / width * np.hypot(distance[:, None], distance))
    window = mirrorQuarter(np.maximum(quarter, 0).astype(np.float32))
    window.flags.writeable = False
    return window


def isGoodSize(size: int) -> bool:
    """Return whether Fourier transforms of `size` are quick: small factors and enough powers of two."""
    fours = (size.bit_length() - 1) // 2  # the whole part of the logarithm to base 4
    if size % 4 or size % 2**fours:
        return False
    rest = size
    for factor in (2, 3, 5, 7, 11):
        while rest % factor == 0 and factor <= math.sqrt(size):
            rest //= factor
    return rest == 1


def calcTrimRadius(size: int, frequency_step: float, resolution: float) -> int:
    """Return half the side in pixels of the part of a spectrum up to `resolution` (Å), or to Nyquist's frequency."""
    half = size // 2
    radius = math.ceil(1 / (frequency_step * resolution))
    if resolution < 1 / (frequency_step * half):
        radius = half
    while True:
        good = next(n for n in range(max(radius, 4), 4 * size) if isGoodSize(n))
        if good <= half:
            return good
        radius -= 2


def trimSpectrum(spectrum: np.ndarray, radius: int) -> np.ndarray:
    """Return the central 2 `radius` pixels of `spectrum` on each side."""
    half = len(spectrum) // 2
    return spectrum[half - radius : half + radius, half - radius : half + radius]


class Workspace:
    """What the transform of a tile of `size` needs: fresh memory for each tile would take as long as its transform."""

    def __init__(self, size: int):
        self.window = calcWindow(size)
        self.windowed = np.empty((size, size), np.float32)
        self.transform = np.empty((size, size // 2 + 1), np.complex64)
        self.half = np.empty(self.transform.shape, np.float32)


def calcTileSpectrum(tile: np.ndarray, work: Workspace, radius: int) -> np.ndarray:
    """Return the central 2 `radius` pixels of the log amplitude of `tile`, clipped by mean and deviation of the whole.

    The origin is between the four central pixels. Pixels right of and below it hold frequencies 1, 2, ...; those left
    and above hold 1 (in place of the 0 that windows and uneven illumination spoil), -1, -2, ...
    """
    size, half = len(tile), work.half
    np.multiply(tile, work.window, out=work.windowed)
    r2c(work.windowed, axes=(0, 1), nthreads=1, out=work.transform)
    total, total_square = calcLogAmplitude(work.transform, half)
    spectrum, hole = unfoldSpectrum(half, radius), max(int(0.005 * size), 1)
    y, x = calcCentredGrid(2 * hole)
    inside = np.square(y) + np.square(x) < int(0.005 * size) ** 2
    lost, shown = unfoldSpectrum(half, hole)[inside].astype(float), min(hole, radius)
    trimSpectrum(spectrum, shown)[trimSpectrum(inside, shown)] = 0
    mean = (total - lost.sum()) / size**2
    std = math.sqrt(max((total_square - np.square(lost).sum()) / size**2 - mean**2, 0))
    return np.clip(spectrum, mean - 1.5 * std, mean + 3 * std, out=spectrum)


def calcLogAmplitude(transform: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """Fill `half` with the log amplitude of a half transform; return the sums of all that it unfolds to and of squares.

    A few rows at a time, which stay in the processor's cache: memory is what takes long.
    """
    sums, squares = np.zeros((2, half.shape[1]))
    for start in range(0, len(half), ROWS):
        values, part = transform[start : start + ROWS], half[start : start + ROWS]
        np.square(values.real, out=part)
        part += np.square(values.imag)
        np.maximum(part, np.finfo(np.float32).tiny, out=part)
        np.log(part, out=part)
        part *= 0.5
        sums += part.sum(axis=0, dtype=float)
        squares += np.square(part).sum(axis=0, dtype=float)
    ends = half[[0, 1, -1]].astype(float)
    return calcUnfoldedSum(sums, ends), calcUnfoldedSum(squares, np.square(ends))


def unfoldSpectrum(half: np.ndarray, radius: int) -> np.ndarray:
    """Return the central 2 `radius` pixels of the spectrum of which `half` has the columns from 0 to the last one."""
    size = len(half)
    order = np.concatenate([np.arange(size - radius + 1, size), [1], np.arange(1, radius + 1)])
    spectrum = np.empty((2 * radius, 2 * radius), np.float32)
    spectrum[:, radius:] = half[order, 1 : radius + 1]
    spectrum[:, radius - 1] = half[order, 1]
    spectrum[:, : radius - 1] = half[size - order, radius - 1 : 0 : -1]  # the other half of a symmetric transform
    return spectrum


def calcUnfoldedSum(sums: np.ndarray, ends: np.ndarray) -> float:
    """Return the sum of all pixels of what a half spectrum unfolds to.

    Args:
        sums: of its columns. ends: its first, second and last row; the first is nowhere there, and the other two twice,
            in either half another.
    """
    columns = sums - ends[0]
    right, left = columns + ends[1], columns + ends[2]
    return float(right[1:].sum() + right[1] + left[1:-1].sum())


def calcWeightModel(window: np.ndarray, frequency_step: float, defocus: Defocus, optics: Optics) -> np.ndarray:
    """Return the squared CTF in two dimensions, falling off like `window`, with mean 0 and variance 1."""
    y, x = calcCentredGrid(len(window))
    lower = y[len(window) // 2 :]  # the upper half is the same, turned around
    phase = calcPhase(np.hypot(lower, x) * frequency_step, defocus.along(np.arctan2(lower, x)), optics)
    half = np.square(np.sin(phase + math.asin(optics.amplitude_contrast)))
    half *= window[len(window) // 2 :]
    half = ((half - half.mean()) / half.std()).astype(np.float32)
    return np.concatenate([half[::-1, ::-1], half])


def calcPowerSpectrum(micrograph: np.ndarray, pixelsize: float, defocus: Defocus, optics: Optics) -> np.ndarray:
    """Return the average spectrum of the tiles of `micrograph` out to 3 Å, each weighted by how well it shows the CTF.

    Tiles without any contrast are left out, and so are those that show the CTF much worse than the others. Raises
    ImageFailure if there is no other tile.
    """
    size = calcFieldSize(micrograph.shape)
    step = 1 / (size * pixelsize)
    radius, outer = calcTrimRadius(size, step, WEIGHT_RESOLUTION), calcTrimRadius(size, step, OUTER_RESOLUTION)
    work = Workspace(size)
    model = calcWeightModel(trimSpectrum(work.window, radius), step, defocus, optics)
    spectra, agreement = [], []
    for row, column in calcTileCorners(micrograph.shape, size):
        tile = np.asarray(micrograph[row : row + size, column : column + size], np.float32)
        if np.ptp(tile) == 0:
            continue
        spectra.append(calcTileSpectrum(tile, work, outer))
        compared = trimSpectrum(spectra[-1], radius)
        agreement.append(float((compared * model).mean() / compared.std()))
    if not spectra:
        raise ImageFailure("no part of the micrograph has any contrast", "look at the image")
    weight = np.maximum(agreement, LEAST_WEIGHT)
    weight /= weight.sum()
    kept = np.flatnonzero(weight >= weight.mean() - 1.5 * weight.std())
    total, part = np.zeros((2, 2 * outer, 2 * outer))
    for i in kept:
        total += np.multiply(spectra[i], weight[i], out=part)
    return np.divide(total, len(kept), out=part)


def removeSpikes(spectrum: np.ndarray) -> np.ndarray:
    """Return `spectrum` with the mean of the ring in place of pixels that stand out, as those of a lattice do."""
    half = len(spectrum) // 2
    distance = np.arange(half) + 0.5
    radius = np.sqrt(np.square(distance[:, None]) + np.square(distance) - 0.5)
    folded = spectrum + spectrum[::-1]
    folded = (folded + folded[:, ::-1])[half:, half:]  # of all pixels at the same distance, as is all from here on
    means = calcRingMeans(folded / 4, radius, 3.0)
    usual = np.interp(radius, 3.0 * np.arange(len(means)), means)
    limit = usual + 4 * usual.std()
    return np.where(spectrum > mirrorQuarter(limit), mirrorQuarter(usual), spectrum)
