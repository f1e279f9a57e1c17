"""How different the bright and the dark part of a micrograph are: a hole's edge shows, noise and particles hardly do.

Carbon scatters more electrons than ice: where it comes into the picture, the counts are some per cent to some tens of
per cent lower, over an area. So the picture is averaged in blocks, single odd blocks (ice crystals, hot pixels) are
taken out by a median, and the blocks are split where the variance between both parts is largest (N. Otsu, IEEE Trans.
SMC 9, 62-66, 1979). Of noise alone the parts differ by 1.6 standard deviations of a block: by some tenths of a per
cent where blocks have thousands of pixels.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from appion.base.failures import ImageFailure
from appion.base.records.micrograph import MeasureParams
from appion.base.retrieve.picture import readMicrograph


def measureEdge(params: MeasureParams) -> dict[str, float | None]:
    """Return the numbers of one micrograph, in per cent.

    Raises:
        NotReady, ImageFailure, InfrastructureFailure: see readMicrograph; ImageFailure also without counts.
    """
    blocks = calcBlocks(readMicrograph(params.micrograph), params.options["blocks"])
    if not blocks.min() > 0:
        raise ImageFailure(f"{params.micrograph} has parts without counts", "give sums of counts, not scaled pictures")
    return {"edge_contrast": 100 * calcContrast(blocks)}


def calcBlocks(image: NDArray[np.float32], number: int) -> NDArray[np.float64]:
    """Return means of square blocks, so many along the shorter side, each the median of itself and its neighbours."""
    size = max(1, min(image.shape) // number)
    rows, columns = (side // size for side in image.shape)
    cut = image[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return ndimage.median_filter(cut.mean((1, 3), dtype=float), 3, mode="nearest")


def calcContrast(blocks: NDArray[np.float64]) -> float:
    """Return by how much the means of both parts differ, as a fraction of what lies between them: from 0 to 2."""
    values = np.sort(blocks, axis=None)
    dark = np.arange(1, values.size)
    sums = np.cumsum(values)[:-1]
    low, high = sums / dark, (values.sum() - sums) / (values.size - dark)
    best = np.argmax(dark * (values.size - dark) * (high - low) ** 2)
    return max(0.0, float(2 * (high[best] - low[best]) / (high[best] + low[best])))
