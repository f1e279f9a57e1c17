"""The small pictures of an exposure: the micrograph and its drift. One that cannot be made costs no result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appion.base.store.files import moveFile
from appion.motioncorrection.calc.internal.numbers import calcDoses, calcSumPixelSize, isEarly
from appion.motioncorrection.records import MotionCorrectionParams

log = logging.getLogger(__name__)

JPEG_QUALITY = 80


def savePictures(
    params: MotionCorrectionParams, calcSmall: Callable[[], NDArray[np.uint8]],
    positions: Sequence[tuple[float, float]], scratch: Path,
) -> list[str]:  # fmt: skip
    """Write the small picture and the plot of the drift; return a warning of each that could not be made.

    They are drawn in the scratch folder, and whole when they appear. Their folder is made if need be, but not what it
    lies in.

    Args:
        calcSmall: makes the micrograph as grey levels. positions: of the frames, pixels of the sum.
    """
    drawings: tuple[tuple[str, Callable[[Path], None]], ...] = (
        (params.files.thumbnail, lambda path: saveJpeg(path, calcSmall())),
        (params.files.drift_plot, lambda path: _drawDrift(path, params, positions)),
    )
    warnings = []
    for target, draw in drawings:
        try:
            whole = scratch / f"whole_picture{Path(target).suffix}"
            draw(whole)
            Path(target).parent.mkdir(exist_ok=True)
            moveFile(whole, target)
        except Exception as error:
            log.debug("picture %s failed", target, exc_info=True)
            warnings.append(f"no picture {target}: {type(error).__name__}: {error}".splitlines()[0][:300])
    return warnings


def saveJpeg(path: Path, small: NDArray[np.uint8]) -> None:
    """Write grey levels as JPEG. Raises OSError: as the system gives it."""
    from PIL import Image

    Image.fromarray(small).save(path, quality=JPEG_QUALITY)


def _drawDrift(path: Path, params: MotionCorrectionParams, positions: Sequence[tuple[float, float]]) -> None:
    from appion.motioncorrection.calc.internal.driftplot import drawDrift

    size = calcSumPixelSize(params)
    early = sum(map(isEarly, calcDoses(params, len(positions))))
    drawDrift(path, [(x * size, y * size) for x, y in positions], early)
