"""What is given to the program, checked before it runs: programs make plausible fits of half an image, or of none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appion.base.failures import ImageFailure
from appion.base.retrieve.movies import MovieHeader, readFrames, readMovieHeader
from appion.ctfestimation.records import CTFParams


def readMicrograph(path: str) -> NDArray[np.float32]:
    """Return an image as (rows, columns); of a stack its last section, which is also the one whose fit is used.

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


def checkInput(params: CTFParams) -> list[str]:
    """Check what the program is going to read; return warnings about it.

    Raises:
        NotReady, ImageFailure: see readMicrograph; of a movie only the headers are looked at.
    """
    header = readMovieHeader(params.input)
    if params.is_movie:
        return []
    readMicrograph(params.input)
    return _compareHeader(params, header)


def _compareHeader(params: CTFParams, header: MovieHeader) -> list[str]:
    lines = [f"{params.input}: {warning}" for warning in header.warnings]
    rows, columns = header.shape
    if (columns, rows) != params.dimension:
        given = " x ".join(map(str, params.dimension))
        lines.append(f"{params.input} has {columns} x {rows} pixels, its database row says {given}")
    if header.nframes > 1:
        lines.append(f"{params.input} has {header.nframes} sections: the fit of the last one is used")
    return lines
