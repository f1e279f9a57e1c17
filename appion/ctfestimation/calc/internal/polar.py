"""An amplitude spectrum in rings and sectors, its background levelled: all that a search for defocus has to look at.

Cells are one pixel of the spectrum wide and a few degrees long: enough to resolve astigmatism, and few enough to be
compared with very many models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal.amplitude import AmplitudeSpectrum

SECTORS = 48

#: Fewer rings than this within the limits of resolution cannot show a transfer function.
FEWEST_RINGS = 8

#: The logarithm of the spectrum falls with the frequency like a polynomial, of one degree more for every so many 1/Å in
#: the fitted range, up to the first number: where there are few rings they are not to be mistaken for the decay.
DECAY_DEGREE, DECAY_BEND = 5, 0.04


@dataclass(frozen=True)
class PolarSpectrum:
    """A spectrum in rings and sectors; after `levelCells`, noise has the same deviation at every frequency.

    Attributes:
        values: (rings, SECTORS), levelled about 1 on average.
        weights: pixels in each cell, 0 where it is left out. squared: mean squared frequency in each cell, 1/Å².
        azimuths: (SECTORS,) from the columns towards the rows, radians.
        first: pixels of the spectrum within the first ring. span: resmin and resmax, Å.
    """

    values: np.ndarray
    weights: np.ndarray
    squared: np.ndarray
    azimuths: np.ndarray
    first: int
    span: tuple[float, float]

    @property
    def rings(self) -> int:
        return len(self.values)


def calcGrid(spectrum: AmplitudeSpectrum) -> tuple[np.ndarray, np.ndarray]:
    """Return (y, x) of the pixels of a half spectrum as float32 (box, 1) and (1, box // 2 + 1), in pixels."""
    half = spectrum.box // 2
    y = np.arange(-half, spectrum.box - half, dtype=np.float32)[:, None]
    return y, np.arange(half + 1, dtype=np.float32)[None]


def findRange(spectrum: AmplitudeSpectrum, resmin: float, resmax: float) -> np.ndarray:
    """Return which pixels (box, box // 2 + 1) lie between two resolutions, Å, off the axes."""
    y, x = calcGrid(spectrum)
    squared = x * x + y * y
    size = spectrum.box * spectrum.pixelsize
    inside = (squared > (size / resmin) ** 2) & (squared < (size / resmax) ** 2)
    half = spectrum.box // 2
    inside[half - 1 : half + 2] = False
    inside[:, :2] = False
    return inside


def calcPolarSpectrum(spectrum: AmplitudeSpectrum, resmin: float, resmax: float) -> PolarSpectrum:
    """Return the part of a spectrum between two resolutions, Å, in rings and sectors, levelled.

    Raises:
        ImageFailure: there are too few rings between them.
    """
    return levelCells(calcCells(spectrum, resmin, resmax))


def calcCells(spectrum: AmplitudeSpectrum, resmin: float, resmax: float) -> PolarSpectrum:
    """Return the part of a spectrum between two resolutions, Å, in rings and sectors, as strong as it is.

    Raises:
        ImageFailure: there are too few rings between them.
    """
    rows, cols = np.nonzero(findRange(spectrum, resmin, resmax))
    y = rows.astype(np.float32) - spectrum.box // 2
    x = cols.astype(np.float32)
    squared = x * x + y * y
    rings = np.sqrt(squared).astype(np.intp)
    first = int(rings.min()) if len(rings) else 0
    count = int(rings.max()) - first + 1 if len(rings) else 0
    if count < FEWEST_RINGS:
        raise ImageFailure(
            f"only {count} pixels of the spectrum lie between {resmin:g} and {resmax:g} Å",
            "compute a larger spectrum, or fit a wider range of resolution",
        )
    cells = (rings - first) * SECTORS + calcSectors(y, x)

    def sumCells(values: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cells, values, count * SECTORS).reshape(count, SECTORS)

    weights = sumCells()
    pixels = np.maximum(weights, 1)
    values = sumCells(spectrum.values[rows, cols]) / pixels
    azimuths = ((np.arange(SECTORS) + 0.5) / SECTORS - 0.5) * np.pi
    frequencies = sumCells(squared) / pixels / (spectrum.box * spectrum.pixelsize) ** 2
    empty = weights == 0
    frequencies[empty] = np.broadcast_to(frequencies.max(axis=1)[:, None], empty.shape)[empty]
    return PolarSpectrum(values, weights.astype(float), frequencies, azimuths, first, (resmin, resmax))


def calcSectors(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the sector in which pixels lie."""
    return ((np.arctan2(y, x) / np.pi + 0.5) * SECTORS).astype(np.intp) % SECTORS


def levelCells(cells: PolarSpectrum) -> PolarSpectrum:
    """Return cells divided by their smooth decay, which those that are left out have no part in."""
    resmin, resmax = cells.span
    degree = min(DECAY_DEGREE, 1 + round((1 / resmax - 1 / resmin) / DECAY_BEND))
    return replace(cells, values=cells.values / calcDecay(cells.values, cells.weights, degree)[:, None])


def calcDecay(values: np.ndarray, weights: np.ndarray, degree: int) -> np.ndarray:
    """Return the smooth part of a spectrum (rings, sectors) at every ring, which never reaches zero."""
    totals, pixels = (values * weights).sum(axis=1), weights.sum(axis=1)
    used = np.flatnonzero(pixels)
    profile = np.interp(np.arange(len(pixels)), used, totals[used] / pixels[used])
    width = max(3, len(profile) // 6) | 1
    window = np.ones(width)
    smooth = np.convolve(profile, window, "same") / np.convolve(np.ones(len(profile)), window, "same")
    position = np.linspace(-1, 1, len(profile))
    fit = np.polynomial.Legendre.fit(position, np.log(np.maximum(smooth, 1e-6 * smooth.max())), degree)
    return np.exp(fit(position))
