"""The refinement of a fit by least squares.

The phase is linear in the mean defocus, the two components of astigmatism and the phase shift, so a few steps of Gauss
and Newton do.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from appion.ctfestimation.calc.internal.background import FEW_RINGS, calcDegree, constructPolynomials
from appion.ctfestimation.calc.internal.lens import Fit, Lens, Search
from appion.ctfestimation.calc.internal.polar import PolarSpectrum

#: Degree of what the background has different in different directions.
ANISOTROPY_DEGREE = 2

#: By how much the power of the specimen differs from ring to ring, relative to itself.
ROUGHNESS = 0.1

#: The least power that a cell is taken to have, relative to the mean of its ring: nothing is known without error.
DARKEST = 0.2

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
        self.expected = self.background = np.ones(len(self.weights))
        self._weigh(np.zeros(len(self.weights)))

    def _weigh(self, rough: np.ndarray) -> None:
        """Give cells weights; the error that all cells of a ring have in common is a random multiple of `rough`."""
        self.root = np.sqrt(self.weights) / self.expected
        rough = rough * self.root
        power = np.bincount(self.ring, rough * rough, self.rings)
        self.rough = rough / np.sqrt(np.maximum(power, 1e-30))[self.ring]
        self.unknown = 1 - 1 / np.sqrt(1 + power)
        self.basis = np.linalg.qr(self._whiten(self.slow * self.root[:, None]))[0]
        self.data = self.project((self.values * self.root)[:, None])[:, 0]

    def _whiten(self, columns: np.ndarray) -> np.ndarray:
        """Return columns in which what is rough in each ring counts for no more than is known of it."""
        if not self.unknown.any():
            return columns
        sums = [np.bincount(self.ring, self.rough * column, self.rings) for column in columns.T]
        return columns - self.rough[:, None] * (np.stack(sums, axis=1) * self.unknown[:, None])[self.ring]

    def project(self, columns: np.ndarray) -> np.ndarray:
        """Return columns, each cell in units of its deviation, without their slow background."""
        columns = self._whiten(columns)
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

    def weighCells(self, fit: Fit) -> None:
        """Make envelope and weights of powers what `fit` shows.

        The deviation of a power is proportional to it, so the dark cells say most. And the specimen is not white: in
        each ring it is a little stronger or weaker than neighbours tell, which moves a ring but not its ellipticity.
        """
        turns = self.lens.wavelength * abs(fit.mean) * float(np.ptp(self.squared))
        self.envelope = self.background
        self._weigh(np.zeros(len(self.root)))
        model = self.calcModel(fit, False)[:, 0]
        strength = self._calcStrength(model, turns)
        rest = (self.data - strength * model) / self.root
        self.envelope = strength * self.background
        mean = self._averageRings(self.values)
        self.expected = np.maximum(self.values - rest, DARKEST * mean)
        variance = max(float(np.mean(self.weights * np.square(rest / self.expected))), 1e-30)
        defocus = fit.mean + fit.cosine * self.waves[0] + fit.sine * self.waves[1]
        specimen = self.envelope * np.sin(self.lens.calcPhase(self.squared, defocus, fit.phase)) ** 2
        if turns >= FEW_RINGS:
            slow = self._averageRings(self.values - rest - specimen + 0.5 * self.envelope)
            self.background = np.maximum(slow, DARKEST * mean)
        self._weigh(ROUGHNESS * specimen / math.sqrt(variance))

    def _calcStrength(self, model: np.ndarray, turns: float) -> np.ndarray:
        """Return how strongly rings oscillate, averaged over an eighth of them or over two of their `turns`."""
        shown, possible = (np.bincount(self.ring, values, self.rings) for values in (model * self.data, model * model))
        width = max(5, int(self.rings / min(max(turns / 2, 0.5), 8))) | 1
        window = np.hanning(width + 2)[1:-1]
        smooth = [np.convolve(values, window)[width // 2 :][: self.rings] for values in (shown, possible)]
        strength = smooth[0] / np.maximum(smooth[1], 1e-30)
        return np.maximum(strength, 0.02 * strength.max())[self.ring]

    def _averageRings(self, values: np.ndarray) -> np.ndarray:
        """Return for every cell the mean of its ring."""
        totals = np.bincount(self.ring, self.weights * values, self.rings)
        return (totals / np.maximum(np.bincount(self.ring, self.weights, self.rings), 1))[self.ring]
