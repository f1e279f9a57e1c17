"""The camera's defect map: bad rows, columns and pixels in the orientation of the raw frames, as programs want them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appion.motioncorrection.calc.internal.geometry import orientToFrames
from appion.motioncorrection.calc.internal.references import MANY_UNSEEN, checkDefects
from appion.motioncorrection.records import Defects


def calcDefectMap(defects: Defects, flip: bool, rotate: int) -> NDArray[np.int8]:
    """Return an int8 array of the shape of the raw frames, 1 where the camera is bad.

    `defects` is in Leginon's orientation; rows, columns and (x, y) pixels outside the camera are left out.

    Raises:
        ConfigurationFailure: more of the camera is bad than can be.
    """
    nrows, ncols = defects.shape
    bad = np.zeros((nrows, ncols), dtype=np.int8)
    bad[[row for row in defects.rows if 0 <= row < nrows], :] = 1
    bad[:, [col for col in defects.cols if 0 <= col < ncols]] = 1
    for x, y in defects.pixels:
        if 0 <= x < ncols and 0 <= y < nrows:
            bad[y, x] = 1
    # rows and columns that a person listed are not inverted as easily as a picture
    checkDefects(bad, "the camera's corrector plan (bad rows, columns and pixels in Leginon)", MANY_UNSEEN)
    return np.ascontiguousarray(orientToFrames(bad, flip, rotate))
