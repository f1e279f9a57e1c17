"""The search for defocus, astigmatism and phase shift: every combination on a grid, then least squares.

The levelled spectrum is taken for a slow background plus -cos(2 χ) times a slow envelope, where sin(χ) is the transfer
function (Rohou & Grigorieff 2015). The background is projected out of data and model alike, so it needs no
model of its own. In each sector the correlation with every defocus is worked out once; an astigmatic fit is a sum over
sectors of these along a wave, so all astigmatisms are tried for every defocus, and a weak image's is not missed. The best
few are refined: the phase is linear in defocus, the two components of astigmatism and the phase shift, so few steps of
Gauss and Newton do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from appion.ctfestimation.calc.internal.polar import PolarSpectrum


@dataclass(frozen=True)
class Lens:
    """What an electron microscope does to every image: wavelength and Cs in Å, amplitude contrast as a fraction."""

    wavelength: float
    cs: float
    amplitude_contrast: float

    def calcPhase(self, squared: np.ndarray, defocus: np.ndarray | float, shift: float = 0.0) -> np.ndarray:
        """Return χ in radians at squared frequencies (1/Å²) for defocus in Å; the transfer function is -sin(χ)."""
        constant = shift + math.asin(self.amplitude_contrast)
        linear, quadratic = math.pi * self.wavelength, math.pi / 2 * self.cs * self.wavelength**3
        return squared * (linear * defocus - quadratic * squared) + constant


@dataclass(frozen=True)
class Search:
    """What to look for.

    Attributes:
        minimum, maximum, step: mean defocus, Å.
        tolerance: expected size of astigmatism, Å, or None for no restraint.
        known: astigmatism that is known: the two components of half the difference, Å, see :class:`Fit`; or None.
        phases: the phase shifts to start from, radians, from the smallest to the largest allowed; one: not searched.
        dense: whether the grid is twice as fine in every direction.
    """

    minimum: float
    maximum: float
    step: float
    tolerance: float | None = None
    known: tuple[float, float] | None = None
    phases: tuple[float, ...] = (0.0,)
    dense: bool = False


@dataclass(frozen=True)
class Fit:
    """Defocus (mean) + cosine cos(2 azimuth) + sine sin(2 azimuth) in Å, phase shift in radians, and its quality.

    Quality is the correlation of the levelled spectrum with the model, restraint included; it only orders fits.
    """

    mean: float
    cosine: float
    sine: float
    phase: float
    quality: float = 0.0

    def calcDefocus(self, azimuth: np.ndarray) -> np.ndarray:
        """Return the defocus along azimuths in radians, Å."""
        return self.mean + self.cosine * np.cos(2 * azimuth) + self.sine * np.sin(2 * azimuth)

    @property
    def half(self) -> float:
        """Half the difference of the two defoci, Å."""
        return math.hypot(self.cosine, self.sine)

    @property
    def angle(self) -> float:
        """The axis of the larger defocus, degrees, -90 < angle <= 90."""
        angle = math.degrees(math.atan2(self.sine, self.cosine)) / 2
        return angle if angle > -90 else angle + 180


#: The largest astigmatism of the grid, as half the difference: over the mean, and in Å unless the search is dense.
LARGEST_ASTIGMATISM, USUAL_ASTIGMATISM = 0.12, 2000.0

#: Fall-off of the envelopes that are tried, Å².
ENVELOPES = (0.0, 100.0, 400.0)

#: Largest step between phase shifts of the grid, radians.
PHASE_STEP = 0.35

STARTS = 5

#: The background may bend once for so many rings of the transfer function, which it would else take along; it is a
#: polynomial of the squared frequency, of a degree between the last two numbers.
RINGS_PER_BEND, LOWEST_DEGREE, HIGHEST_DEGREE = 3.0, 3, 12
ANISOTROPY_DEGREE = 2

#: Error of the position of a ring that more electrons would not make smaller, relative to its strength.
TRUST = 0.1
STEPS, RENEWALS = 12, 2


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
    for _ in range(RENEWALS):
        refiner.weighRings(fit)
        fit = refiner.refine(fit)
    return starts[best][0], fit


def searchGrid(spectrum: PolarSpectrum, lens: Lens, search: Search) -> list[tuple[Fit, float]]:
    """Return the best few points of a grid of defocus, astigmatism and phase shift, each of another defocus.

    With each comes the fall-off of the envelope that shows it best, Å².
    """
    weights = spectrum.weights.mean(axis=1)
    squared = (spectrum.squared * spectrum.weights).sum(axis=1) / np.maximum(spectrum.weights.sum(axis=1), 1)
    root = np.sqrt(weights)[:, None]
    basis = np.linalg.qr(root * _constructPolynomials(squared, _calcDegree(squared, lens, search.minimum)))[0]
    data = root * np.where(spectrum.weights > 0, spectrum.values, 1.0).reshape(spectrum.rings, -1, 2).mean(axis=2)
    azimuths = spectrum.azimuths.reshape(-1, 2).mean(axis=1)
    data -= basis @ (basis.T @ data)
    step, around, defoci = _constructDefoci(squared, lens, search)
    inside = slice(around, len(defoci) - around)
    phase = 2 * lens.calcPhase(squared, defoci[:, None]).astype(np.float32)
    waves = np.cos(phase), np.sin(phase)
    best = np.full(inside.stop - inside.start, -np.inf)
    found = np.zeros((4, len(best)))
    for decay in ENVELOPES:
        envelope = -0.5 * (root[:, 0] * np.exp(-decay / 4 * squared)).astype(np.float32)
        cosine, sine = ((wave * envelope) for wave in waves)
        cosine, sine = (wave - (wave @ basis) @ basis.T for wave in (cosine, sine))
        norms = [np.einsum("ij,ij->i", a, b) for a, b in ((cosine, cosine), (cosine, sine), (sine, sine))]
        tables = cosine @ data, sine @ data
        for shift in search.phases:
            c, s = math.cos(2 * shift), math.sin(2 * shift)
            table = c * tables[0] - s * tables[1]
            norm = np.sqrt(np.maximum(c * c * norms[0] - 2 * c * s * norms[1] + s * s * norms[2], 1e-30))[inside]
            for a, b in _iterateAstigmatism(search, step):
                offsets = np.rint((a * np.cos(2 * azimuths) + b * np.sin(2 * azimuths)) / step).astype(int)
                total = np.zeros(len(best), np.float64)
                for sector, offset in enumerate(offsets):
                    total += table[inside.start + offset : inside.stop + offset, sector]
                total /= norm
                better = total > best
                if search.known is None:
                    better &= math.hypot(a, b) <= LARGEST_ASTIGMATISM * np.abs(defoci[inside])
                best[better] = total[better]
                found[:, better] = np.array([[a], [b], [shift], [decay]])
    starts: list[tuple[Fit, float]] = []
    for _ in range(STARTS):
        index = int(np.argmax(best))
        if starts and best[index] < 0.7 * starts[0][0].quality:
            break
        a, b, shift, decay = (float(value) for value in found[:, index])
        starts.append((Fit(float(defoci[inside][index]), a, b, shift, float(best[index])), decay))
        best[max(0, index - 2) : index + 3] = -np.inf
    return starts


def _constructDefoci(squared: np.ndarray, lens: Lens, search: Search) -> tuple[float, int, np.ndarray]:
    """Return step, number beyond either end, and all defoci to try: near enough for the outermost ring to follow."""
    finest = 0.15 / (lens.wavelength * squared[-1]) / (2 if search.dense else 1)
    step = max(min(search.step, finest), (search.maximum - search.minimum) / 20000, 1.0)
    around = math.ceil(_calcLargest(search) / step)
    count = math.ceil((search.maximum - search.minimum) / step) + 1
    return step, around, search.minimum + step * np.arange(-around, count + around)


def _calcLargest(search: Search) -> float:
    if search.known:
        return math.hypot(*search.known)
    largest = LARGEST_ASTIGMATISM * max(abs(search.minimum), abs(search.maximum))
    return largest if search.dense else min(largest, USUAL_ASTIGMATISM)


def _iterateAstigmatism(search: Search, step: float) -> list[tuple[float, float]]:
    """Return the astigmatisms to try as (cosine, sine) components, Å: the known one, or rings around none."""
    if search.known:
        return [search.known]
    spacing = 1.5 * step
    points = [(0.0, 0.0)]
    for ring in range(1, int(_calcLargest(search) / spacing) + 1):
        angles = 2 * math.pi * np.arange(6 * ring) / (6 * ring)
        points += [(ring * spacing * math.cos(angle), ring * spacing * math.sin(angle)) for angle in angles]
    return points


def _calcDegree(squared: np.ndarray, lens: Lens, defocus: float) -> int:
    rings = lens.wavelength * abs(defocus) * float(squared.max())
    return round(min(LOWEST_DEGREE + rings / RINGS_PER_BEND, HIGHEST_DEGREE))


def _constructPolynomials(squared: np.ndarray, degree: int) -> np.ndarray:
    """Return slow functions of the frequency in columns: polynomials of its square, and what bends it at its beginning."""
    position = 2 * (squared - squared.min()) / np.ptp(squared) - 1
    slow = np.polynomial.legendre.legvander(position, degree)
    first = np.sqrt(squared / squared.max())
    return np.column_stack([slow, first, first**3])


class Refiner:
    """Least squares for one spectrum: what all refinements of it have in common is worked out once."""

    def __init__(self, spectrum: PolarSpectrum, lens: Lens, search: Search, defocus: float) -> None:
        self.lens, self.search, self.rings = lens, search, spectrum.rings
        used = spectrum.weights > 0
        self.weights, self.values, self.squared = spectrum.weights[used], spectrum.values[used], spectrum.squared[used]
        self.ring, sector = np.nonzero(used)
        self.waves = np.cos(2 * spectrum.azimuths)[sector], np.sin(2 * spectrum.azimuths)[sector]
        slow = _constructPolynomials(self.squared, _calcDegree(self.squared, lens, defocus))
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
        doubled = 2 * self.lens.calcPhase(self.squared, defocus, fit.phase)
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
            if gain < 1e-8:
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
