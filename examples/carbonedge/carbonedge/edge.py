"""How different the bright and the dark part of a micrograph are: a hole's edge shows, noise and particles do not.

Carbon scatters more electrons than ice: where it comes into the picture, the counts are some per cent to some tens of
per cent lower, over an area. So the picture is averaged in blocks, single odd blocks (ice crystals, hot pixels) are
taken out by a median, and the blocks are split where the variance between both parts is largest (N. Otsu, IEEE Trans.
SMC 9, 62-66, 1979). Of noise alone the parts differ by 1.6 standard deviations of a block's mean, for thousands of
pixels some tenths of a per cent.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from appion.base.failures import ImageFailure
from appion.base.records.micrograph import MeasureParams
from appion.base.retrieve.picture import readMicrograph


def measureEdge(params: MeasureParams) -> dict[str, float | None]:
    """Return the numbers of one micrograph. Raises NotReady, ImageFailure, InfrastructureFailure as the reader does."""
    image = readMicrograph(params.micrograph)
    blocks = calcBlocks(image, params.options["blocks"])
    if not blocks.min() > 0:
        raise ImageFailure(f"{params.micrograph} has parts without counts", "it has to be a sum of counts, not scaled")
    contrast, share = calcEdge(blocks)
    return {"edge_contrast": 100 * contrast, "dark_share": 100 * share}


def calcBlocks(image: NDArray[np.float32], number: int) -> NDArray[np.float64]:
    """Return means of square blocks, so many along the shorter side, each the median of itself and its neighbours."""
    size = max(1, min(image.shape) // number)
    rows, columns = (side // size for side in image.shape)
    cut = image[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return ndimage.median_filter(cut.mean((1, 3), dtype=float), 3, mode="nearest")


def calcEdge(blocks: NDArray[np.float64]) -> tuple[float, float]:
    """Return how far both parts differ, as a fraction of the mean of both, and the dark part's fraction of the area."""
    values = np.sort(blocks, axis=None)
    dark = np.arange(1, values.size)
    sums = np.cumsum(values)[:-1]
    low, high = sums / dark, (values.sum() - sums) / (values.size - dark)
    best = int(np.argmax(dark * (values.size - dark) * (high - low) ** 2))
    return float(2 * (high[best] - low[best]) / (high[best] + low[best])), float(dark[best] / values.size)
