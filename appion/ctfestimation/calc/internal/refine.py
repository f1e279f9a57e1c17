"""The refinement of a fit by least squares.

The phase is linear in the mean defocus, the two components of astigmatism and the phase shift, so a few steps of Gauss
and Newton do.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from appion.ctfestimation.calc.internal.background import calcDegree, constructPolynomials
from appion.ctfestimation.calc.internal.lens import Fit, Lens, Search
from appion.ctfestimation.calc.internal.polar import PolarSpectrum

#: Degree of what the background has different in different directions.
ANISOTROPY_DEGREE = 2

#: Error of the position of a ring that more electrons would not make smaller, relative to its strength.
TRUST = 0.1

#: Most steps of a refinement, and the gain in correlation that is worth another one.
STEPS, WORTH = 12, 1e-7


class Refiner:
    """Least squares for one spectrum: what all refinements of it have in common is worked out once."""

    def __init__(self, spectrum: PolarSpectrum, lens: Lens, search: Search, defocus: float) -> None:
        self.lens, self.search, self.rings = lens, search, spectrum.rings
        used = spectrum.weights > 0
        self.weights, self.values, self.squared = spectrum.weights[used], spectrum.values[used], spectrum.squared[used]
        self.ring, sector = np.nonzero(used)
        self.waves = np.cos(2 * spectrum.azimuths)[sector], np.sin(2 * spectrum.azimuths)[sector]
        slow = constructPolynomials(self.squared, calcDegree(self.squared, lens, defocus))
        turning = slow[:, : ANISOTROPY_DEGREE + 1]
        self.slow = np.concatenate([slow, *(turning * wave[:, None] for wave in self.waves)], axis=1)
        self.envelope = np.ones(len(self.weights))
        self._weigh(np.sqrt(self.weights))

    def _weigh(self, root: np.ndarray) -> None:
        """Give the cells weights, the squares of `root`."""
        self.root = root
        self.basis = np.linalg.qr(self.slow * root[:, None])[0]
        self.data = self.project((self.values * root)[:, None])[:, 0]

    def project(self, columns: np.ndarray) -> np.ndarray:
        """Return columns without their slow background."""
        return columns - self.basis @ (self.basis.T @ columns)

    def calcModel(self, fit: Fit, derivatives: bool) -> np.ndarray:
        """Return columns (cells, 1 or more): the model and its derivatives by mean, cosine, sine and phase."""
        defocus = fit.mean + fit.cosine * self.waves[0] + fit.sine * self.waves[1]
        # Sines of single precision are many times faster, and exact to 1e-6 of a turn when the turns are gone.
        turns = self.lens.calcPhase(self.squared, defocus, fit.phase) / math.pi
        doubled = (2 * math.pi * (turns - np.rint(turns))).astype(np.float32)
        scale = self.root * self.envelope
        columns = [-0.5 * scale * np.cos(doubled)]
        if derivatives:
            slope = scale * np.sin(doubled)
            by_defocus = slope * (math.pi * self.lens.wavelength * self.squared)
            columns += [by_defocus, by_defocus * self.waves[0], by_defocus * self.waves[1], slope]
        return self.project(np.stack(columns, axis=1))

    def calcQuality(self, fit: Fit) -> float:
        """Return the correlation of data and model; the restraint is that of a normal distribution of astigmatism."""
        model = self.calcModel(fit, False)[:, 0]
        correlation = float(model @ self.data) / math.sqrt(float(model @ model) * float(self.data @ self.data))
        return correlation - self.calcPenalty(fit, correlation)

    def calcPenalty(self, fit: Fit, correlation: float) -> float:
        if self.search.tolerance is None:
            return 0.0
        relative = (1 - correlation**2) / (len(self.data) * max(correlation, 0.05))
        return 0.5 * (2 * fit.half / self.search.tolerance) ** 2 * relative

    def refine(self, fit: Fit) -> Fit:
        """Return the best fit near `fit`."""
        fit = replace(fit, quality=self.calcQuality(fit))
        free = [1]
        if self.search.known is None:
            free += [2, 3]
        if len(self.search.phases) > 1:
            free += [4]
        for _ in range(STEPS):
            improved = self._improve(fit, free)
            gain = improved.quality - fit.quality
            if gain > 0:
                fit = improved
            if gain < WORTH:
                break
        return fit

    def _improve(self, fit: Fit, free: list[int]) -> Fit:
        columns = self.calcModel(fit, True)[:, [0, *free]]
        normal, right = columns.T @ columns, columns.T @ self.data
        scale = max(right[0] / normal[0, 0], 1e-12)
        if self.search.tolerance is not None and 2 in free:
            variance = float(self.data @ self.data) / len(self.data) / scale**2
            for place, value in ((free.index(2) + 1, fit.cosine), (free.index(3) + 1, fit.sine)):
                normal[place, place] += 4 * variance / self.search.tolerance**2
                right[place] -= scale * 4 * variance / self.search.tolerance**2 * value
        diagonal = np.sqrt(np.diag(normal))
        solved = np.linalg.solve(normal / np.outer(diagonal, diagonal) + 1e-9 * np.eye(len(normal)), right / diagonal)
        moves = dict(zip(free, solved[1:] / diagonal[1:] / scale, strict=True))
        # Beyond the next ring the phase is not linear any more.
        furthest = max(abs(moves[1]), math.hypot(moves.get(2, 0.0), moves.get(3, 0.0)))
        shorter = min(1.0, 0.5 / (self.lens.wavelength * float(self.squared.max()) * max(furthest, 1e-9)))
        moves = {parameter: shorter * move for parameter, move in moves.items()}
        best = fit
        for factor in (1.0, 0.5, 0.2, 0.05):
            phase = fit.phase + factor * moves.get(4, 0.0)
            tried = replace(
                fit, mean=fit.mean + factor * moves[1], cosine=fit.cosine + factor * moves.get(2, 0.0),
                sine=fit.sine + factor * moves.get(3, 0.0),
                phase=min(max(phase, self.search.phases[0]), self.search.phases[-1]),
            )  # fmt: skip
            tried = replace(tried, quality=self.calcQuality(tried))
            if tried.quality > best.quality:
                return tried
        return best

    def weighRings(self, fit: Fit) -> None:
        """Make envelope and weights what `fit` shows: how strongly rings oscillate, averaged over neighbouring ones.

        The specimen is not white: it moves each ring a little, however strong that is. So strong rings are trusted no
        more than by TRUST, which leaves the others, and the fine rings at high resolution, their say.
        """
        self.envelope = np.ones(len(self.root))
        self._weigh(np.sqrt(self.weights))
        model = self.calcModel(fit, False)[:, 0]
        shown, possible = (np.bincount(self.ring, values, self.rings) for values in (model * self.data, model * model))
        width = max(5, self.rings // 8) | 1
        window = np.hanning(width + 2)[1:-1]
        strength = np.convolve(shown, window, "same") / np.maximum(np.convolve(possible, window, "same"), 1e-30)
        strength = np.maximum(strength, 0.02 * strength.max())
        self.envelope = strength[self.ring]
        rest = self.data - self.envelope * model
        variance = max(float(rest @ rest) / len(rest), 1e-30)
        pixels = np.bincount(self.ring, self.weights, self.rings)
        self._weigh(np.sqrt(self.weights / (1 + pixels * (TRUST * strength) ** 2 / variance)[self.ring]))
