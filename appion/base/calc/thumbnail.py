"""Small pictures of large images: averaged, not sampled, with the grey levels that most pixels have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The longer side of a small picture, pixels.
SIDE = 512

#: The shares of pixels (percent) that are black and white: hot pixels and edges of the hole do not set the contrast.
DARKEST, BRIGHTEST = 0.5, 99.5


def calcThumbnail(image: NDArray, side: int = SIDE) -> NDArray[np.uint8]:
    """Return an image (rows, columns) as grey levels, its longer side no more than `side` pixels.

    It is averaged in blocks to less than twice that first, which is where the time goes, and then brought to size.
    """
    from PIL import Image

    image = averageBlocks(np.asarray(image), max(image.shape) // side)
    scale = side / max(image.shape)
    if scale < 1:
        rows, columns = (max(1, round(length * scale)) for length in image.shape)
        small = Image.fromarray(np.ascontiguousarray(image, np.float32))
        image = np.asarray(small.resize((columns, rows), Image.Resampling.BOX))
    return calcGreyLevels(image)


def averageBlocks(image: NDArray, factor: int) -> NDArray[np.float32]:
    """Return the means of square blocks of `factor` pixels; what does not fill a block at the far edges is left out.

    Rows are added before columns: so memory is read once and in its order.
    """
    if factor < 2:
        return np.asarray(image, np.float32)
    rows, columns = (length // factor for length in image.shape)
    if not rows or not columns:
        return np.asarray(image, np.float32)
    whole = image[: rows * factor, : columns * factor].reshape(rows, factor, columns * factor)
    narrow = whole.sum(axis=1, dtype=np.float32).reshape(rows, columns, factor)
    return narrow.sum(axis=2) / np.float32(factor * factor)


def calcGreyLevels(image: NDArray) -> NDArray[np.uint8]:
    """Return pixels as grey levels between the darkest and the brightest that count; an even image is grey."""
    low, high = map(float, np.percentile(image, (DARKEST, BRIGHTEST)))  # numpy's own would make pixels of eight bytes
    if not high > low:
        return np.full(image.shape, 127, np.uint8)
    return np.clip((image - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
