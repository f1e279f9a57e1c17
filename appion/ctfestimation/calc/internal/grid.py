"""The search for defocus, astigmatism and phase shift on a grid of every combination.

In each sector the correlation of the spectrum with every defocus is worked out once. An astigmatic fit is a sum over
sectors of these along a wave, so all astigmatisms can be tried for every defocus, and a weak image's is not missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from appion.ctfestimation.calc.internal.background import calcDegree, constructPolynomials
from appion.ctfestimation.calc.internal.lens import Fit, Lens, Search
from appion.ctfestimation.calc.internal.polar import PolarSpectrum

#: The largest astigmatism of the grid, as half the difference: over the mean, and in Å unless the search is dense.
LARGEST_ASTIGMATISM, USUAL_ASTIGMATISM = 0.12, 2000.0

#: Fall-off of the envelopes that are tried, Å².
ENVELOPES = (0.0, 100.0, 400.0)

#: How much of a model the background may have taken away, so that what is left still means something.
LEAST_NORM = 0.1

#: Largest step between phase shifts of the grid, radians.
PHASE_STEP = 0.35

#: Points of the grid that are worth refining, at most, and how good they have to be compared with the best one.
STARTS, WORTH = 5, 0.7


def searchGrid(spectrum: PolarSpectrum, lens: Lens, search: Search) -> list[tuple[Fit, float]]:
    """Return the best few points of a grid of defocus, astigmatism and phase shift, each of another defocus.

    With each comes the fall-off of the envelope that shows it best, Å².
    """
    weights = spectrum.weights.mean(axis=1)
    pixels = spectrum.weights.sum(axis=1)
    squared = (spectrum.squared * spectrum.weights).sum(axis=1) / np.maximum(pixels, 1)
    squared = np.where(pixels > 0, squared, spectrum.squared.mean(axis=1))
    root = np.sqrt(weights)[:, None]
    basis = np.linalg.qr(root * constructPolynomials(squared, calcDegree(squared, lens, search.minimum)))[0]
    data = root * np.where(spectrum.weights > 0, spectrum.values, 1.0).reshape(spectrum.rings, -1, 2).mean(axis=2)
    azimuths = spectrum.azimuths.reshape(-1, 2).mean(axis=1)
    data -= basis @ (basis.T @ data)
    step, around, defoci = _constructDefoci(squared, lens, search)
    inside = slice(around, len(defoci) - around)
    phase = 2 * lens.calcPhase(squared, defoci[:, None]).astype(np.float32)
    waves = np.cos(phase), np.sin(phase)
    astigmatisms = _constructAstigmatisms(search, 1.5 * _calcFinest(squared, lens, search))
    best = np.full(inside.stop - inside.start, -np.inf)
    found, shifts = np.zeros((4, len(best))), np.array(search.phases)
    for decay in ENVELOPES:
        envelope = -0.5 * (root[:, 0] * np.exp(-decay / 4 * squared)).astype(np.float32)
        cosine, sine = ((wave * envelope) for wave in waves)
        cosine, sine = (wave - (wave @ basis) @ basis.T for wave in (cosine, sine))
        turned, factors = _turnPhases((cosine, sine), data, inside, search.phases)
        for a, b in astigmatisms:
            offsets = np.rint((a * np.cos(2 * azimuths) + b * np.sin(2 * azimuths)) / step).astype(int)
            totals = np.zeros((len(turned), len(best)))
            for sector, offset in enumerate(offsets):
                totals += turned[:, sector, inside.start + offset : inside.stop + offset]
            qualities = (factors * totals).sum(axis=1)
            at = qualities.argmax(axis=0)
            total = qualities[at, np.arange(len(best))]
            better = total > best
            if search.known is None:
                better &= math.hypot(a, b) <= LARGEST_ASTIGMATISM * np.abs(defoci[inside])
            best[better] = total[better]
            found[0, better], found[1, better], found[2, better], found[3, better] = a, b, shifts[at[better]], decay
    starts: list[tuple[Fit, float]] = []
    for _ in range(STARTS):
        index = int(np.argmax(best))
        if starts and best[index] < WORTH * starts[0][0].quality:
            break
        a, b, shift, decay = (float(value) for value in found[:, index])
        starts.append((Fit(float(defoci[inside][index]), a, b, shift, float(best[index])), decay))
        best[max(0, index - 2) : index + 3] = -np.inf
    return starts


def _turnPhases(
    waves: tuple[np.ndarray, np.ndarray], data: np.ndarray, inside: slice, phases: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the correlation of `data` (rings, sectors) with waves of every phase shift is made of.

    The waves are the cosine and the sine (defoci, rings) without a phase shift. Returned are tables
    (1 or 2, sectors, defoci) and, for the defoci `inside`, factors (phases, 1 or 2, defoci): the sum of their products
    is the correlation. So many phases do not take much longer than one.
    """
    cosine, sine = waves
    norms = np.stack([np.einsum("ij,ij->i", a, b)[inside] for a, b in ((cosine, cosine), (cosine, sine), (sine, sine))])
    turns = np.array([(math.cos(2 * shift), -math.sin(2 * shift)) for shift in phases])
    squares = np.stack([turns[:, 0] ** 2, 2 * turns[:, 0] * turns[:, 1], turns[:, 1] ** 2], axis=1)
    norm = np.sqrt(np.maximum(squares @ norms, 0))
    norm = np.maximum(norm, LEAST_NORM * norm.max(axis=1, keepdims=True))[:, None]
    tables = np.stack([data.T @ cosine.T, data.T @ sine.T])
    if len(phases) == 1:
        return np.tensordot(turns, tables, 1), 1 / norm
    return tables, turns[:, :, None] / norm


def _constructDefoci(squared: np.ndarray, lens: Lens, search: Search) -> tuple[float, int, np.ndarray]:
    """Return step, number beyond either end, and all defoci to try: near enough for the outermost ring to follow."""
    step = max(min(search.step, _calcFinest(squared, lens, search)), (search.maximum - search.minimum) / 20000, 1.0)
    around = math.ceil(_calcLargest(search) / step)
    count = math.ceil((search.maximum - search.minimum) / step) + 1
    return step, around, search.minimum + step * np.arange(-around, count + around)


def _calcFinest(squared: np.ndarray, lens: Lens, search: Search) -> float:
    """Return the difference of defocus, Å, at which the outermost ring moves by a third of its distance to the next."""
    return 0.15 / (lens.wavelength * float(squared[-1])) / (2 if search.dense else 1)


def _calcLargest(search: Search) -> float:
    if search.known:
        return math.hypot(*search.known)
    largest = LARGEST_ASTIGMATISM * max(abs(search.minimum), abs(search.maximum))
    return largest if search.dense else min(largest, USUAL_ASTIGMATISM)


def _constructAstigmatisms(search: Search, spacing: float) -> list[tuple[float, float]]:
    """Return the astigmatisms to try as (cosine, sine) components, Å: the known one, or rings around none."""
    if search.known:
        return [search.known]
    points = [(0.0, 0.0)]
    for ring in range(1, int(_calcLargest(search) / spacing) + 1):
        angles = 2 * math.pi * np.arange(6 * ring) / (6 * ring)
        points += [(ring * spacing * math.cos(angle), ring * spacing * math.sin(angle)) for angle in angles]
    return points
