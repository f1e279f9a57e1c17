"""Fits the field of local motion to all that the frames' low frequencies tell about it.

Each frame, moved by what is known so far, is compared with the mean of all frames: at every pixel the product of the
frame with the gradient of the (weighted) mean is a force that pulls the frame into register. With the weights of the
whole-frame alignment, forces are derivatives of a log-likelihood, and the squared gradient of the mean says how much a
place knows: empty ice knows nothing. Forces are summed over the modes of the field, all at once; nothing is decided
place by place. Gauss-Newton rounds go from coarse to fine, so that motion of many pixels is within reach.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from appion.motioncorrection.calc.internal import fourier, warp
from appion.motioncorrection.calc.internal.bands import Band, Rings, calcEnvelope, calcRingWeights, cropBand, sumPower
from appion.motioncorrection.calc.internal.field import (
    Field,
    calcPolynomials,
    calcSpread,
    evaluateModes,
    fitCoefficients,
    projectModes,
)
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: Highest frequencies (cycles per pixel) of the rounds, and how many there are at most at each; the last is the whole
#: band. Steps in pixels that are not worth another round.
LEVELS = ((1 / 32, 3), (1 / 16, 3), (1 / 8, 2), (1.0, 1))
NEGLIGIBLE = 0.05
#: Part of the shortest wavelength by which a frame moves at most in one round; standard deviations of the agreement.
REACH, UNSURE = 0.25, 3.0
#: Cells each way in which it is judged how much a place knows; pixels from the edge that are left out.
CELLS, EDGE = 12, 16
Report = Callable[[str], None]


def fitField(band: Band, shape: tuple[int, int], shifts: np.ndarray, bfactor: float,
             orders: tuple[tuple[int, int], ...], report: Report, pool: Threads = ALONE) -> Field:
    """Return the field of local motion of frames that the whole-frame `shifts` (frames, 2) bring into register.

    Arguments:
        band: the cropped transforms of the frames; what they are is overwritten. shape: of the full frames.
        bfactor: of the envelope, pixels².
        orders: the modes, see :func:`field.selectOrders`.
    """
    nframes = len(band.transforms)
    coefficients = np.zeros((nframes, 2, len(orders)))
    if nframes < 3:
        return Field(orders, coefficients)
    spread = np.tile(calcSpread(orders), 2)
    for limit, rounds in LEVELS:
        part = cropBand(band, shape, limit, pool)
        level = _Level(part, shape, shifts, bfactor, orders, pool)
        for turn in range(rounds):
            information, force = level.calcForces(coefficients)
            known = coefficients.reshape(nframes, -1)
            found, evidence = fitCoefficients(information, known @ information + force, spread)
            step = _shorten(found - known, REACH / min(limit, 1 / 8))
            coefficients = (known + step).reshape(coefficients.shape)
            largest = float(np.abs(step).max())
            report(f"Local motion {1 / min(limit, 0.5):4.0f} px  Round {turn + 1}  Evidence {evidence:10.1f}  "
                   f"Step {largest:9.3f}")
            if largest < NEGLIGIBLE:
                break
        if part is band:
            break
    if coefficients.any() and level.calcAgreement(coefficients) + UNSURE < level.calcAgreement(0 * coefficients):
        report("Local motion: frames agree less with it than without.")
        coefficients[:] = 0
    return Field(orders, coefficients)


def _shorten(steps: np.ndarray, longest: float) -> np.ndarray:
    """Return steps (frames, modes) of which none moves a frame by more than `longest` pixels (root mean square)."""
    return steps * min(1.0, longest / max(float(np.sqrt((steps**2).sum(axis=1)).max()), 1e-30))


class _Level:
    """The frames below some frequency, as images that can be resampled.

    The images take the place of the band's transforms.
    """

    def __init__(self, band: Band, shape: tuple[int, int], shifts: np.ndarray, bfactor: float,
                 orders: tuple[tuple[int, int], ...], pool: Threads):
        self._band, self._shifts, self._orders, self._pool = band, shifts, orders, pool
        cropped = band.cropped
        self._envelope, self._rings = calcEnvelope(band, bfactor), Rings(band)
        self._scale = np.array([cropped[1] / shape[1], cropped[0] / shape[0]])
        self._places = warp.calcCentres(cropped)
        self._polynomials = [calcPolynomials(places) for places in self._places]
        self._mask = _maskEdges(cropped, self._scale * (np.abs(shifts).max(axis=0) + EDGE))
        response = np.multiply.outer(*(warp.calcResponse(f / scale)
                                       for f, scale in zip(band.frequencies, self._scale[::-1], strict=True)))
        npixels = int(np.prod(cropped))
        self._images = [transform.view(np.float32).reshape(-1)[:npixels].reshape(cropped)
                        for transform in band.transforms]
        self._framepower = self._rings.calcMeans(sumPower(band, pool) / len(self._images))

        def turnBack(transform: np.ndarray, image: np.ndarray) -> None:
            image[...] = fourier.calcInverse(transform / response, cropped)

        pool.map(turnBack, band.transforms, self._images)

    def _move(self, coefficients: np.ndarray, use: Callable[[int, np.ndarray, slice], None]) -> None:
        """Call use(frame, moved frame, rows of blocks) for all frames, and all rows that it is to look at."""
        moved = np.empty(self._band.cropped, np.float32)  # of each frame no more than some rows at a time
        fields = []
        for shifts, frame in zip(self._shifts, coefficients, strict=True):
            modes = [evaluateModes(self._orders, values, *self._polynomials) for values in frame]
            fields.append([((mode + shift) * scale).astype(np.float32)
                           for mode, shift, scale in zip(modes, shifts, self._scale, strict=True)])

        def move(blocks: slice) -> None:
            for i, (image, (dx, dy)) in enumerate(zip(self._images, fields, strict=True)):
                warp.warpBlocks(image, dx, dy, moved, blocks)
                use(i, moved, blocks)

        fourier.runBlocks(self._pool, len(self._mask), warp.ROWS, move)

    def _addUp(self, coefficients: np.ndarray) -> np.ndarray:
        total = np.zeros(self._band.cropped, np.float32)

        def add(_: int, moved: np.ndarray, blocks: slice) -> None:
            rows = slice(blocks.start * warp.BLOCK, blocks.stop * warp.BLOCK)
            total[rows] += moved[rows]

        self._move(coefficients, add)
        return total

    def calcAgreement(self, coefficients: np.ndarray) -> float:
        """Return by how many standard deviations the moved frames agree more than noise would."""
        total = fourier.calcTransform(self._addUp(coefficients))
        means = self._rings.calcMeans((total.real**2 + total.imag**2) * (self._envelope > 0))
        ratio = means / np.maximum(len(self._images) * self._framepower, 1e-30) - 1
        return float((ratio * self._rings.counts).sum() / np.sqrt(self._rings.counts.sum()))

    def calcForces(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the information (modes of x and y, same) and the forces (frames, modes of x and y) on the modes."""
        gradients, information = self._calcReference(fourier.calcTransform(self._addUp(coefficients)))
        sums = np.zeros((len(self._images), 2, *self._mask.shape), np.float32)

        def pull(i: int, moved: np.ndarray, blocks: slice) -> None:
            # A frame is part of the mean, but where it lies exactly on itself its noise pulls nowhere.
            for gradient, out in zip(gradients, sums[i], strict=True):
                warp.sumBlocks(moved, gradient, out, blocks)

        self._move(coefficients, pull)
        forces = [[projectModes(self._orders, self._mask * values, *self._polynomials) for values in frame]
                  for frame in sums]
        return information, np.reshape(forces, (len(sums), -1))

    def _calcReference(self, total: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the gradients of the weighted mean along x and y, and the information of one frame on the modes."""
        nframes, npixels = len(self._images), float(np.prod(self._band.cropped))
        ky, kx = (2j * np.pi * f.astype(np.float32) for f in self._band.frequencies)
        sumpower = self._rings.calcMeans(total.real**2 + total.imag**2)
        rings = calcRingWeights(self._framepower, sumpower, nframes)
        weights = self._envelope * self._rings.spread(rings, total.shape) * np.float32(npixels)
        signal = np.maximum((sumpower - nframes * self._framepower) / (nframes * (nframes - 1)), 0)
        noise = self._rings.spread(np.maximum(self._framepower - signal, 0), total.shape)

        def transformBack(transform: np.ndarray) -> list[np.ndarray]:
            return [fourier.calcInverse(transform * k, self._band.cropped) for k in (kx, ky[:, None])]

        gradients = transformBack(total * (weights / (nframes - 1)))
        # What the mean of frames without a specimen would seem to know is taken off.
        slope = transformBack(total * (np.sqrt(weights) / nframes))
        twice = np.full(len(kx), 2.0)
        twice[[0, -1]] = 1
        floor = [float(((weights * noise) @ twice * np.abs(ky) ** 2).sum()),
                 float(((weights * noise) @ (twice * np.abs(kx) ** 2)).sum())]
        floor = [value / (nframes * npixels**2) for value in reversed(floor)]
        sums = [warp.sumProducts(a, b) for a, b in ((slope[0], slope[0]), (slope[0], slope[1]), (slope[1], slope[1]))]
        return gradients, self._calcInformation(sums, floor)

    def _calcInformation(self, sums: list[np.ndarray], floor: list[float]) -> np.ndarray:
        """Return the information on the modes from the blocks' sums of products of slopes, less the noise's."""
        x, y = self._places
        starts = [np.unique(np.arange(CELLS) * n // CELLS) for n in (len(y), len(x))]

        def gather(values: np.ndarray) -> np.ndarray:
            return np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)

        area = gather(self._mask) * warp.BLOCK**2
        xx, xy, yy = (gather(self._mask * value) for value in sums)
        cells = np.stack([np.stack([xx - floor[0] * area, xy], -1), np.stack([xy, yy - floor[1] * area], -1)], -2)
        values, vectors = np.linalg.eigh(cells)
        cells = np.einsum("...ij,...j,...kj->...ik", vectors, np.maximum(values, 0), vectors)
        centres = [np.add.reduceat(places, start) / np.diff(np.append(start, len(places)))
                   for places, start in zip((x, y), reversed(starts), strict=True)]
        polynomials = [calcPolynomials(places) for places in centres]
        modes = np.stack([evaluateModes(self._orders, one, *polynomials) for one in np.eye(len(self._orders))])
        result = np.einsum("mij,ijab,nij->ambn", modes, cells, modes, optimize=True)
        return result.reshape(2 * len(modes), -1)


def _maskEdges(shape: tuple[int, int], margins: np.ndarray) -> np.ndarray:
    """Return 1 for each block of an image, 0 where its centre is within `margins` (x, y) pixels of the edge."""
    x, y = warp.calcCentres(shape)
    inside = [np.abs(places) < 1 - 2 * min(margin / n, 1 / 6)
              for places, margin, n in zip((y, x), margins[::-1], shape, strict=True)]
    return np.logical_and.outer(*inside).astype(np.float32)
