"""Numbers of the rows of an aligned image: camera geometry, frames used, drift. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from appion.motioncorrection.calc.internal.trajectory import calcSteps
from appion.motioncorrection.records import MotionCorrectionOptions

Pair = tuple[int, int]

#: Positions that fit into a trajectory row; the rest is in the log.
MAX_STORED_POSITIONS = 20


@dataclass(frozen=True)
class CameraGeometry:
    """The part of the sensor that an image shows, each as (x, y): pixels, binning, first pixel (in binned pixels)."""

    dimension: Pair
    binning: Pair
    offset: Pair


@dataclass(frozen=True)
class Drift:
    """Movement of an exposure in pixels of the aligned image.

    Attributes:
        positions: (x, y) of every frame relative to the middle one, as the log prints them (five decimals).
        top: the three largest shifts as (value, index), where shift j is the move from frame j to frame j+1; equal
            values have the index of the first. (None, None) fills up for a movie with fewer than four frames.
        median: median shift, None with fewer than two frames.
    """

    positions: tuple[tuple[float, float], ...]
    top: tuple[tuple[float | None, int | None], ...]
    median: float | None


def calcAlignedGeometry(source: CameraGeometry, options: MotionCorrectionOptions, shape: Pair) -> CameraGeometry:
    """Return the geometry of an aligned image.

    The dimension is the true size of the sum, unless ``--square`` or ``--trim`` ask for another one to be recorded. The
    offset keeps the image centred on the same spot of the sensor: it is computed with the new dimension.

    Args:
        source: geometry of the source image.
        options: bin, square and trim (unbinned pixels at each edge) are used.
        shape: (rows, columns) of the sum.
    """
    binning = source.binning[0] * options.bin
    dimension = (shape[1], shape[0])
    if options.square or options.trim:
        pixels = (min(source.dimension),) * 2 if options.square else source.dimension
        x, y = (round((pixels[axis] * source.binning[axis] - 2 * options.trim) / binning) for axis in (0, 1))
        dimension = (x, y)
    x, y = (calcCentredOffset(source, axis, binning, dimension[axis]) for axis in (0, 1))
    return CameraGeometry(dimension, (round(binning),) * 2, (x, y))


def calcCentredOffset(source: CameraGeometry, axis: int, binning: float, length: int) -> int:
    """Return the first pixel of `length` pixels binned by `binning` that have the same centre as the source image."""
    twice_centre = (2 * source.offset[axis] + source.dimension[axis]) * source.binning[axis] / binning
    return round((twice_centre - length) / 2)


def calcUsedFrames(options: MotionCorrectionOptions, nframes: int) -> tuple[int, ...] | None:
    """Return the raw frames (from 0) that went into the sum, or None if they are all of them."""
    stop = nframes if options.nframe is None else min(nframes, options.startframe + options.nframe)
    return None if (options.startframe, stop) == (0, nframes) else tuple(range(options.startframe, stop))


def calcDrift(positions: Sequence[tuple[float, float]]) -> Drift:
    """Return positions, largest shifts and median shift of an exposure from its frames' positions (pixels)."""
    # Adding zero turns -0.0 into 0.0.
    rounded = tuple((round(float(x), 5) + 0.0, round(float(y), 5) + 0.0) for x, y in positions)
    shifts = calcSteps(rounded)
    top: list[tuple[float | None, int | None]] = [
        (value, shifts.index(value)) for value in sorted(shifts, reverse=True)[:3]
    ]
    top += [(None, None)] * (3 - len(top))
    return Drift(rounded, tuple(top), median(shifts) if shifts else None)
