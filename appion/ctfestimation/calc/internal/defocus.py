"""The search for defocus, astigmatism and phase shift: every combination on a grid, then least squares.

The levelled spectrum is taken for a slow background plus -cos(2 χ) times a slow envelope, where sin(χ) is the transfer
function (Rohou & Grigorieff 2015). The background is projected out of data and model alike, so it needs no model of its
own. The last steps do the same with the squares of the amplitudes, which follow such a model however strong the rings.
What no transfer function explains, as rings of ice, is left out, and all is done again without it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from appion.ctfestimation.calc.internal.grid import searchGrid
from appion.ctfestimation.calc.internal.ice import MOST, findUnexpectedCells
from appion.ctfestimation.calc.internal.lens import Fit, Lens, Search
from appion.ctfestimation.calc.internal.polar import PolarSpectrum, levelCells
from appion.ctfestimation.calc.internal.refine import Refiner

#: How often the envelope is made anew from a fit, which it then improves.
RENEWALS = 3

#: How often at most cells are left out that a fit does not expect.
ROUNDS = 3


def searchDefocus(
    cells: PolarSpectrum, lens: Lens, search: Search, left_out: np.ndarray
) -> tuple[Fit, Fit, np.ndarray]:
    """Return the best point of the grid, the fit that it leads to, and which cells (rings, SECTORS) have no part in it.

    Args:
        cells: not levelled. left_out: cells that are known to have no part in it.
    """
    for _ in range(ROUNDS):
        levelled = levelCells(replace(cells, weights=np.where(left_out, 0, cells.weights)))
        start, fit, expected = _searchLevelled(levelled, lens, search)
        more = left_out | findUnexpectedCells(levelled, expected)
        if more.sum() == left_out.sum() or more.mean() > MOST:
            return start, fit, left_out
        left_out = more
    levelled = levelCells(replace(cells, weights=np.where(left_out, 0, cells.weights)))
    return *_searchLevelled(levelled, lens, search)[:2], left_out


def _searchLevelled(spectrum: PolarSpectrum, lens: Lens, search: Search) -> tuple[Fit, Fit, np.ndarray]:
    """Return the best point of the grid, the fit that it leads to, and the amplitudes (rings, SECTORS) it expects."""
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
    expected = np.ones_like(spectrum.values)
    expected[spectrum.weights > 0] = np.sqrt(refiner.expected)
    return starts[best][0], fit, expected
