"""What a movie's header says, and the bounds within which it is believed."""

from __future__ import annotations

from dataclasses import dataclass

from appion.base.failures import ImageFailure

#: Pixels of a frame that are believed. The largest cameras have 16384 x 16384, super-resolution included.
MAX_PIXELS = 1 << 29
#: Frames of a movie that are believed. Counting cameras write a few thousand.
MAX_FRAMES = 1 << 17


@dataclass(frozen=True)
class MovieHeader:
    """What a movie's header or directory says.

    Attributes:
        path: the file. format: mrc, tif or eer.
        nframes: frames (raw frames of an EER movie).
        shape: (rows, columns) of a frame; for EER in camera pixels.
        dtype: numpy name of the numbers that are read, e.g. 'int16'.
        expected_size: bytes the file must have, where the format tells (MRC), else None.
        pixelsize: Å as the header says, 0 if it does not.
        offset: byte of the first pixel where frames lie one behind the other (MRC, a TIFF stack in one directory),
            negative if numbers are big-endian; 0 for others.
        mode: the MRC mode, -1 for others.
        packed: two 4-bit pixels lie in a byte, the first in the low half.
        shifted: bytes were made signed by subtracting 128, which is added again when they are read.
        event_bits: bits of an EER event, see :func:`eer.getEventBits`; empty for others.
        unusual: how the file is meant where only readers that know its writer's flags get it right; empty else.
        warnings: what is odd about the file, a line each.
    """

    path: str
    format: str
    nframes: int
    shape: tuple[int, int]
    dtype: str
    expected_size: int | None = None
    pixelsize: float = 0.0
    offset: int = 0
    mode: int = -1
    packed: bool = False
    shifted: bool = False
    event_bits: tuple[int, int, int] | tuple[()] = ()
    unusual: str = ""
    warnings: tuple[str, ...] = ()


def checkShape(path: str, shape: tuple[int, int]) -> None:
    """Raise ImageFailure unless a frame of `shape` (rows, columns) has pixels, and no more than any camera has."""
    rows, cols = shape
    if rows <= 0 or cols <= 0 or rows * cols > MAX_PIXELS:
        raise ImageFailure(f"{path}: the header says {cols} x {rows} pixels, which is no camera's frame")


def checkFrameCount(path: str, nframes: int) -> None:
    """Raise ImageFailure if there are more frames than any camera writes."""
    if nframes > MAX_FRAMES:
        raise ImageFailure(f"{path}: more than {MAX_FRAMES} frames, which is no camera's movie")
