"""The search for defocus, astigmatism and phase shift: every combination on a grid, then least squares.

The levelled spectrum is taken for a slow background plus -cos(2 χ) times a slow envelope, where sin(χ) is the transfer
function (Rohou & Grigorieff 2015). The background is projected out of data and model alike, so it needs no model of its
own. The last steps do the same with the squares of the amplitudes, which follow such a model however strong the rings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from appion.ctfestimation.calc.internal.grid import searchGrid
from appion.ctfestimation.calc.internal.lens import Fit, Lens, Search
from appion.ctfestimation.calc.internal.polar import PolarSpectrum
from appion.ctfestimation.calc.internal.refine import Refiner

#: How often the envelope is made anew from a fit, which it then improves.
RENEWALS = 3


def searchDefocus(spectrum: PolarSpectrum, lens: Lens, search: Search) -> tuple[Fit, Fit]:
    """Return the best point of the grid, and the fit that it leads to."""
    starts = searchGrid(spectrum, lens, search)
    refiner = Refiner(spectrum, lens, search, starts[0][0].mean)
    fits = []
    for start, decay in starts:
        refiner.envelope = np.exp(-decay / 4 * refiner.squared)
        fits.append(refiner.refine(start))
    best = max(range(len(fits)), key=lambda index: fits[index].quality)
    fit = fits[best]
    refiner = Refiner(replace(spectrum, values=np.square(spectrum.values)), lens, search, fit.mean)
    for _ in range(RENEWALS):
        refiner.weighCells(fit)
        fit = refiner.refine(fit)
    return starts[best][0], fit
