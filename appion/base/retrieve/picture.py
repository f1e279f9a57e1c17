"""The pixels of a micrograph, and whether its file is complete."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appion.base.failures import ImageFailure
from appion.base.retrieve.movies import readFrames, readMovieHeader
from appion.base.retrieve.settled import checkSettled


def checkComplete(path: str, settle: float) -> None:
    """Return if a file is there, unchanged for `settle` seconds and as long as its header says.

    Raises:
        NotReady: it is missing, changing or truncated.
        ImageFailure: it can never be read.
        InfrastructureFailure: the disk does not answer.
    """
    checkSettled(path, settle)
    readMovieHeader(path)


def readMicrograph(path: str) -> NDArray[np.float32]:
    """Return an image as (rows, columns); of a stack its last section, which is also the one whose CTF counts.

    Raises:
        NotReady: the file is missing, or not as long as its header says.
        ImageFailure: it is no image, the same everywhere, or has pixels that are not finite numbers.
    """
    header = readMovieHeader(path)
    image = next(readFrames(header, [(header.nframes - 1,)])).astype(np.float32, copy=False)
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(image.size - np.isfinite(image).sum())
        raise ImageFailure(f"{path} has {bad} pixels that are not finite numbers", "look at how it was made")
    if low == high:
        raise ImageFailure(f"{path} is {low:g} everywhere", "look at how it was made: the beam may have been off")
    return image
