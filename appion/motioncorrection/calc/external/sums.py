"""The program's sums: read and checked, turned as Leginon has its images, written as they shall stay."""

from __future__ import annotations

import os
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

from appion.base.failures import ImageFailure, NotReady
from appion.base.records.program import Program
from appion.base.records.stamp import addLabels
from appion.base.retrieve.movies import readFrames, readMovieHeader

#: Pixels by which a side may be shorter than calculated: programs cut sums to even and easily transformed sizes.
SIDE_TOLERANCE = 2

#: Relative difference of a header's pixel size that is put down to rounding.
PIXEL_TOLERANCE = 0.02


def readSum(path: Path, what: str, shape: tuple[float, float], pixelsizes: tuple[float, ...]) -> NDArray[np.float32]:
    """Return an image that the program wrote, as (rows, columns).

    Args:
        path: where it should be.
        what: what it is called in an error.
        shape: (rows, columns) that it should have, within SIDE_TOLERANCE.
        pixelsizes: pixel sizes (Å) that its header may give; empty to accept any. 0, 1 and what is no number mean
            unknown and are accepted.

    Raises:
        ImageFailure: missing, unreadable, truncated, of another shape or pixel size, not finite, constant.
    """
    data, pixelsize = readMrc(path, what)
    if any(abs(side - expected) > SIDE_TOLERANCE for side, expected in zip(data.shape, shape, strict=True)):
        raise ImageFailure(
            f"the {what} has {data.shape[1]} x {data.shape[0]} pixels instead of {shape[1]:g} x {shape[0]:g}"
        )
    plausible = any(abs(pixelsize - one) <= PIXEL_TOLERANCE * one for one in (*pixelsizes, 1.0))
    if pixelsizes and pixelsize and np.isfinite(pixelsize) and not plausible:
        raise ImageFailure(f"the {what} gives a pixel size of {pixelsize:.4f} Å instead of {pixelsizes[0]:.4f} Å")
    if not np.isfinite(data).all():
        bad = int(data.size - np.isfinite(data).sum())
        raise ImageFailure(f"the {what} has {bad} pixels that are not finite numbers")
    if data.min() == data.max():
        raise ImageFailure(f"the {what} is {data.flat[0]:g} everywhere")
    return data


def readMrc(path: Path, what: str) -> tuple[NDArray[np.float32], float]:
    """Return the image and the pixel size (Å) of its header. Raises ImageFailure if there is no such image."""
    if not path.exists():
        raise ImageFailure(f"there is no {what}")
    try:
        header = readMovieHeader(path)
        if (header.format, header.nframes) != ("mrc", 1):
            raise ImageFailure(f"the {what} is not one MRC image but {header.nframes} frames, {header.format}")
        (image,) = readFrames(header)
    except NotReady as failure:
        raise ImageFailure(f"the {what} is truncated: {failure.reason}") from failure
    return np.asarray(image, np.float32), header.pixelsize


def saveSum(path: Path, image: NDArray, pixelsize: float, program: Program | None = None) -> None:
    """Write an image as 32-bit MRC with its pixel size (Å): whole under its name, or not at all.

    Its labels say that `program` made it, and what wrote it.

    Raises:
        OSError: as the system gives it; nothing is left then.
    """
    temporary = path.with_name(f".{path.name[-150:]}.{os.uname().nodename}-{os.getpid()}.tmp")
    try:
        with mrcfile.new(temporary, overwrite=True) as mrc:
            mrc.set_data(np.ascontiguousarray(image, dtype=np.float32))
            mrc.voxel_size = pixelsize
            addLabels(mrc, program)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
