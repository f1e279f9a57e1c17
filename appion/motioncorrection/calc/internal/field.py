"""A field of local motion: smooth in space and in time, as strong as the evidence says, zero where nothing is known.

In space it is a sum of products of Legendre polynomials, in time a Gaussian process: a specimen moves fastest when the
beam first meets it, and does not turn at once. Both are a prior for a weighted least-squares fit (Zheng et al. 2017,
Nature Methods 14, 331, fit polynomials; Zivanov et al. 2019, IUCrJ 6, 5, a Gaussian process). How strong the motion is
and how fast it dies away is what makes the data most probable; if nothing does better than no motion, there is none.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import legvander

#: Highest order of a polynomial, both axes together.
HIGHEST = 4
#: Standard deviations (pixels), and part of the movie in which the speed falls to 1/e, that are tried; what is left of
#: the speed at the end; frames over which a velocity persists.
STRENGTHS = np.geomspace(0.01, 20, 23)
DECAYS = (0.08, 0.2, 0.5)
REMNANT, PERSISTENCE = 0.1, (1.0, 5.0)
#: How many times more probable (natural logarithm) local motion must be than none.
CLEARLY = 6.0


@dataclass(frozen=True)
class Field:
    """Displacements to be applied beyond the whole-frame shifts, in coordinates of the aligned sum.

    Attributes:
        orders: (a, b) of each mode: the polynomial of order a along x and of order b along y.
        coefficients: (frames, 2, modes), pixels: of the displacements (x, y).
    """

    orders: tuple[tuple[int, int], ...]
    coefficients: np.ndarray

    def calcDisplacements(self, frame: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (dx, dy), pixels, float32 (len(y), len(x)), at places from -1 to 1 across the image."""
        x, y = calcPolynomials(x), calcPolynomials(y)
        dx, dy = (evaluateModes(self.orders, values, x, y).astype(np.float32) for values in self.coefficients[frame])
        return dx, dy

    def calcRange(self) -> float:
        """Return the largest displacement of any frame, pixels."""
        at = np.linspace(-1, 1, 9)
        return max((float(np.hypot(*self.calcDisplacements(i, at, at)).max()) for i in range(len(self.coefficients))),
                   default=0.0)


def selectOrders(patches: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return the modes that so many patches (across, down) can tell apart."""
    across, down = (min(count - 1, HIGHEST) for count in patches)
    return tuple((a, b) for a, b in itertools.product(range(across + 1), range(down + 1)) if a + b <= HIGHEST)


def calcPolynomials(places: np.ndarray, highest: int = HIGHEST) -> np.ndarray:
    """Return Legendre polynomials, (places, highest + 1), each with a mean square of 1 from -1 to 1."""
    return legvander(places, highest) * np.sqrt(2 * np.arange(highest + 1) + 1)


def evaluateModes(orders: tuple[tuple[int, int], ...], values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum of modes, (len(y), len(x)), from the polynomials at places along x and y."""
    matrix = np.zeros((HIGHEST + 1, HIGHEST + 1))
    for (a, b), value in zip(orders, values, strict=True):
        matrix[b, a] = value
    return y @ matrix @ x.T


def projectModes(orders: tuple[tuple[int, int], ...], sums: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the sum over all places of each mode times `sums`, (len(y), len(x)): the transpose of evaluating."""
    matrix = y.T @ sums @ x
    return np.array([matrix[b, a] for a, b in orders])


def calcSpread(orders: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Return the standard deviation that each mode is expected to have beside the others: fine ones are weak."""
    total = np.array([a + b for a, b in orders])
    return 1 / np.sqrt(1 + (total / 2) ** 4)


def calcCovariances(nframes: int) -> list[np.ndarray]:
    """Return covariances (frames, frames) of a displacement in time, mean 0 over the frames, mean variance 1."""
    at = np.arange(nframes - 1)
    centre = np.eye(nframes) - 1 / nframes
    walk = centre @ np.tri(nframes, nframes - 1, -1)
    covariances = []
    for decay, persistence in itertools.product(DECAYS, PERSISTENCE):
        speed = REMNANT + np.exp(-at / (decay * nframes))
        steps = np.outer(speed, speed) * np.exp(-np.abs(at[:, None] - at) / persistence)
        covariance = walk @ steps @ walk.T
        covariances.append(covariance * nframes / np.trace(covariance))
    return covariances


def fitCoefficients(information: np.ndarray, pull: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the most probable coefficients (frames, modes), and by how much (logarithm) they beat no motion.

    Arguments:
        information: (modes, modes), 1/pixel²: of one frame about its coefficients.
        pull: (frames, modes), 1/pixel: information times the coefficients, plus the noise that has the information as
            its covariance.
        spread: (modes,), see :func:`calcSpread`.
    """
    nframes = len(pull)
    pull = pull - pull.mean(axis=0)
    values, vectors = np.linalg.eigh(spread[:, None] * information * spread)
    kept = values > 1e-9 * max(values[-1], 1e-300)
    if nframes < 3 or not kept.any():
        return np.zeros_like(pull), 0.0
    values, vectors = values[kept], spread[:, None] * vectors[:, kept]
    projected = pull @ vectors
    excess = calcExcess(projected / np.sqrt(values))
    values, projected = values / excess, projected / excess
    evidence, found = 0.0, np.zeros_like(projected)
    for covariance in calcCovariances(nframes):
        variances, times = np.linalg.eigh(covariance)
        variances, times = np.maximum(variances, 0), np.asarray(times)
        rotated = times.T @ projected
        for strength in STRENGTHS:
            prior = strength**2 * variances[:, None]
            likely = rotated * prior / (1 + prior * values)
            more = 0.5 * float((rotated * likely - np.log1p(prior * values)).sum())
            if more > evidence:
                evidence, found = more, times @ likely
    if evidence < CLEARLY:
        return np.zeros_like(pull), evidence
    return found @ vectors.T, evidence


def calcExcess(whitened: np.ndarray) -> float:
    """Return by how much the noise exceeds what was expected of it, 1 or more.

    Arguments:
        whitened: (frames, modes): noise of variance 1 on something smooth in time, which second differences hide.
    """
    if len(whitened) < 5:
        return 1.0
    bends = np.diff(whitened, 2, axis=0) ** 2 / 6
    return max(1.0, float(np.median(bends.mean(axis=0))))
