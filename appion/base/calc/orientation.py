"""Which of eight orientations an image has to another of the same field: the correlation that tells them apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Side in pixels to which both pictures are brought before they are correlated.
SIDE = 256

#: How much better than the second another orientation must fit to be believed.
MARGIN = 0.05

#: The eight orientations in words.
ORIENTATIONS = tuple(
    " and ".join(filter(None, ("flipped upside down" * (index > 3), f"turned by {index % 4 * 90}°" * (index % 4 > 0))))
    for index in range(8)
)


def calcOrientation(image: NDArray, picture: NDArray) -> tuple[int | None, tuple[float, ...]]:
    """Return which orientation of `image` fits `picture` best, and the correlation of all eight.

    Orientation i is rot90(image, i % 4), of flipud(image) for i > 3; 0 is the image as it is. Both pictures show the
    same field, at any binning; their central squares are compared at SIDE pixels between 1/64 and 1/4 per pixel, so
    that neither uneven illumination nor noise counts, with a shift of up to SIDE/16. Returns None for the orientation
    when the best is not MARGIN better than the others.
    """
    reference = _filterSquare(picture)
    base = _filterSquare(image)
    scores = []
    for index in range(8):
        turned = np.rot90(np.flipud(base) if index > 3 else base, index % 4)
        scores.append(_calcPeak(turned, reference))
    order = np.argsort(scores)[::-1]
    best = int(order[0])
    clear = scores[best] - scores[int(order[1])] >= MARGIN
    return (best if clear else None), tuple(round(float(score), 4) for score in scores)


def _filterSquare(image: NDArray) -> NDArray:
    """Return the central square of an image at SIDE² pixels, band-passed, with unit norm."""
    side = min(image.shape)
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = np.asarray(image[top : top + side, left : left + side], dtype=np.float32)
    # outliers (hot pixels) would otherwise carry the correlation
    low, high = np.percentile(square[:: max(1, side // 512), :: max(1, side // 512)], (0.5, 99.5))
    square = np.clip(square, low, high)
    square = square - square.mean()
    factor = max(1, side // SIDE)
    kept = side // factor * factor
    small = square[:kept, :kept].reshape(kept // factor, factor, kept // factor, factor).mean(axis=(1, 3))
    spectrum = np.fft.fft2(small)
    fy = np.fft.fftfreq(small.shape[0])[:, None] * small.shape[0]
    fx = np.fft.fftfreq(small.shape[1])[None, :] * small.shape[1]
    radius = np.hypot(fy, fx)
    spectrum[(radius < SIDE / 64) | (radius > SIDE / 4)] = 0
    filtered = _cropSpectrum(spectrum)
    norm = np.linalg.norm(filtered)
    return filtered / norm if norm else filtered


def _cropSpectrum(spectrum: NDArray) -> NDArray:
    """Return the real image of SIDE² pixels that has the low frequencies of `spectrum`."""
    half = min(SIDE, spectrum.shape[0]) // 2
    result = np.zeros((SIDE, SIDE), dtype=complex)
    for rows in (slice(0, half), slice(-half, None)):
        for cols in (slice(0, half), slice(-half, None)):
            result[rows, cols] = spectrum[rows, cols]
    return np.fft.ifft2(result).real


def _calcPeak(image: NDArray, reference: NDArray) -> float:
    """Return the largest normalised correlation of two unit-norm squares within a shift of SIDE/16."""
    correlation = np.fft.ifft2(np.fft.fft2(image) * np.conj(np.fft.fft2(reference))).real
    reach = SIDE // 16
    window = np.r_[0 : reach + 1, -reach:0]
    return float(correlation[np.ix_(window, window)].max())


def turnAxisBy(angle: float, orientation: int) -> float:
    """Return where an axis (degrees, from the columns towards the rows) lies when its image is turned by an orientation
    of :func:`calcOrientation`; from -90 up to 90.
    """
    flipped = -angle if orientation > 3 else angle
    return (flipped - 90 * (orientation % 4) + 90) % 180 - 90
