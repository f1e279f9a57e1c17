"""Orientation: between a camera's raw frames and the images Leginon shows, and the correlation that tells them apart.

With `flip` f and `rotate` k (quarter turns) a picture G in Leginon's orientation and the raw frames R are related by
R = flipud_if_f(rot90(G, -k)) and G = rot90(flipud_if_f(R), k).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: Side in pixels to which both pictures are brought before they are correlated.
SIDE = 256

#: How much better than the second another orientation must fit to be believed.
MARGIN = 0.05


def calcFrameOrientation(
    camera: str,
    frame_flip: bool | None,
    frame_rotate: int | None,
    image_id: int,
    version_changes: Iterable[tuple[int, int, bool | None, int | None]] = (),
) -> tuple[bool, int]:
    """Return (flip, quarter turns) of a camera's frames.

    Where the camera row does not tell (`frame_rotate` None: old data), it follows from the class of the camera. Gatan's
    K2 and K3 changed it with the version of DigitalMicrograph: `version_changes` are (row id, image id, flip, rotate)
    of the camera; the newest row holds for images after its own.
    """
    if frame_rotate is not None:
        return bool(frame_flip), int(frame_rotate) % 4
    if camera in ("K2", "K3"):
        newest = max(version_changes, default=None, key=lambda row: row[0])
        if newest is not None and image_id > newest[1]:
            return bool(newest[2]), int(newest[3] or 0) % 4
        return False, 0
    if camera in ("DE", "Apollo"):
        return True, 2
    if camera == "Falcon2":
        return False, 3
    return False, 0


def orientToFrames(image: NDArray, flip: bool, rotate: int) -> NDArray:
    """Return a picture in Leginon's orientation as the camera's raw frames have it."""
    turned = np.rot90(image, -rotate)
    return np.flipud(turned) if flip else turned


def orientToLeginon(image: NDArray, flip: bool, rotate: int, upside_down: bool = False) -> NDArray:
    """Return a sum in raw-frame orientation as Leginon has it; `upside_down`: the program flipped what it read."""
    return np.rot90(np.flipud(image) if bool(flip) != bool(upside_down) else image, rotate)


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
