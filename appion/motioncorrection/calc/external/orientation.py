"""How a sum lies beside the picture that Leginon made of the same exposure."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import NDArray

from appion.base.calc.orientation import ORIENTATIONS, calcOrientation
from appion.base.failures import ImageFailure
from appion.motioncorrection.calc.external.sums import readMrc
from appion.motioncorrection.records import MotionCorrectionParams


def compareOrientation(
    params: MotionCorrectionParams, image: NDArray
) -> tuple[int | None, tuple[float, ...], list[str]]:
    """Compare a sum with the picture, if there is one.

    Returns the orientation that fits (None if it cannot be told), the scores of all, and warnings: why it was not
    compared.
    """
    if not params.picture:
        return None, (), []
    try:
        picture = readMrc(Path(params.picture), f"picture {params.picture}")[0]
    except (OSError, ImageFailure) as error:
        return None, (), [f"orientation not checked: {error}"]
    return (*calcOrientation(image, picture), [])


def describeOrientation(orientation: int, scores: tuple[float, ...]) -> str:
    """Return in words which other orientation fits, and how much better."""
    return f"{ORIENTATIONS[orientation]} (correlation {scores[orientation]:.2f}, as it is {scores[0]:.2f})"
