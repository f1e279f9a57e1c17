"""The CTF of one micrograph, from its pixels to the fit and everything that shows how good it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from appion.ctfestimation.calc.internal import amplitude, ice, polar
from appion.ctfestimation.calc.internal import score as quality
from appion.ctfestimation.calc.internal.defocus import searchDefocus
from appion.ctfestimation.calc.internal.lens import Fit, Lens, Search

#: A spectrum that is to be smaller than this is fitted in this size, in which rings of 5 µm of defocus are still wide.
FINEST_BOX = 1024


@dataclass(frozen=True)
class Settings:
    """What is known about a micrograph and what is to be fitted.

    Attributes:
        pixelsize: Å. lens: see there. box: side of the spectrum, pixels, even.
        resmin, resmax: limits of the fit, Å. search: what to look for. known: a fit that is not to be searched for.
        resample: whether spectra of small pixels are magnified.
    """

    pixelsize: float
    lens: Lens
    box: int
    resmin: float
    resmax: float
    search: Search
    known: Fit | None = None
    resample: bool = True


@dataclass(frozen=True)
class Estimate:
    """What was found.

    Attributes:
        start: the best point of the grid. fit: the result. score: correlation with the model.
        curves: see there. picture: (box, box) float32, see drawDiagnostic.
        pixelsize: of the spectrum that was fitted, Å.
        start_score: correlation of the model of `start`.
    """

    start: Fit
    fit: Fit
    start_score: float
    score: float
    curves: quality.Curves
    picture: np.ndarray
    pixelsize: float


def estimateCTF(images: Iterable[np.ndarray], settings: Settings) -> Estimate:
    """Return the CTF of a micrograph, given as one image (rows, columns) or as several averages of frames.

    Raises:
        ImageFailure: an image is constant or not finite, or the limits leave nothing to fit.
    """
    boxes = [settings.box] if settings.box >= FINEST_BOX else [settings.box, FINEST_BOX]
    spectra = amplitude.averageSpectra(
        amplitude.calcAmplitudeSpectra(image, settings.pixelsize, boxes, settings.resample) for image in images
    )
    spectrum, finest = spectra[0], spectra[-1]
    start = fit = settings.known
    odd = np.zeros(spectrum.values.shape, bool)
    if start is None or fit is None:
        cells = polar.calcCells(finest, settings.resmin, settings.resmax)
        left_out, first_ring = ice.findIce(finest, cells)
        inner = slice(cells.first - first_ring, cells.first - first_ring + cells.rings)
        start, fit, left_out[inner] = searchDefocus(cells, settings.lens, settings.search, left_out[inner])
        odd = ice.findPixels(spectrum, left_out, first_ring, finest.box * finest.pixelsize)
    filled = ice.fillPixels(spectrum, odd)
    flattened = quality.subtractBackground(filled, settings.resmin)
    inside = polar.findRange(spectrum, settings.resmin, settings.resmax)
    model = quality.calcModelSpectrum(spectrum, settings.lens, fit)
    equal = quality.calcEqualPhase(spectrum, settings.lens, fit)
    curves = quality.calcCurves(spectrum, equal, settings.lens, fit, settings.resmin, odd)
    curves = replace(curves, resolution=max(curves.resolution, 2 * settings.pixelsize))
    first = quality.calcScore(flattened, quality.calcModelSpectrum(spectrum, settings.lens, start), inside & ~odd)
    final = quality.calcScore(flattened, model, inside & ~odd)
    picture = drawDiagnostic(flattened + (spectrum.values - filled.values), model, equal, inside, settings)
    return Estimate(start, fit, first, final, curves, picture, spectrum.pixelsize)


def constructFit(defocus1: float, defocus2: float, angle: float, phase: float = 0.0) -> Fit:
    """Return the fit of two defoci (Å), the axis of the first (degrees) and a phase shift (radians)."""
    half, doubled = (defocus1 - defocus2) / 2, math.radians(2 * angle)
    return Fit((defocus1 + defocus2) / 2, half * math.cos(doubled), half * math.sin(doubled), phase)


def drawDiagnostic(
    flattened: np.ndarray, model: np.ndarray, equal: np.ndarray, inside: np.ndarray, settings: Settings
) -> np.ndarray:
    """Return the picture of a fit, (box, box) float32 with the origin in the middle.

    The right half is the spectrum, in units of its deviation. The left half is the squared transfer function between
    the limits of resolution in its upper quadrant, and the spectrum averaged along lines of equal phase in the lower.
    """
    box, half = settings.box, settings.box // 2
    deviation = max(float(flattened[inside].std()), 1e-20) if inside.any() else 1.0
    spectrum = np.clip(flattened / np.float32(deviation), -3, 5)
    left = np.empty_like(spectrum)
    index = np.minimum(equal + 0.5, 2 * half).astype(np.intp)
    totals = np.bincount(index.ravel(), spectrum.ravel(), 2 * half + 1)
    ring = totals / np.maximum(np.bincount(index.ravel(), minlength=2 * half + 1), 1)
    left[:] = ring[index]
    left[half:] = np.where(inside, 2 * model**2 - 1, left)[half:]
    picture = np.empty((box, box), np.float32)
    picture[:, half:] = spectrum[:, : box - half]
    picture[1:, :half] = left[:0:-1, half:0:-1]
    picture[0, :half] = left[0, half:0:-1]
    return picture
