"""Frames that are not like the others of their movie: constant, no numbers, much brighter or darker, random bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from appion.base.failures import ImageFailure

#: So many pixels of a frame are looked at, in rows evenly spread over it.
SAMPLED = 1 << 17
#: Beyond this value nothing was counted by a camera; and the part of such pixels that a frame may have.
UNBELIEVABLE, FEW = 1e9, 0.01
#: Factor by which a frame may be brighter or darker than the median of all.
UNLIKE = 4.0
#: Ranges of the numbers that 4, 8 and 16 bits hold: random bytes fill one evenly.
RANGES = ((0, 15), (0, 255), (-128, 127), (0, 65535), (-32768, 32767))
#: What such frames are called. There is no sum with frames that are no numbers.
CONSTANT, NO_NUMBERS, RANDOM = "constant", "no numbers (NaN, or beyond any count)", "random bytes"


@dataclass(frozen=True)
class FrameStatistics:
    """Of a frame's sampled pixels: the part that no camera counts, and mean, standard deviation, lowest and highest of
    the others."""

    bad: float
    mean: float
    spread: float
    low: float
    high: float


def calcStatistics(frame: np.ndarray) -> FrameStatistics:
    """Return the statistics of a frame (rows, columns)."""
    step = max(1, frame.size // SAMPLED)
    sample = frame[step // 2 :: step] if step < len(frame) else frame[len(frame) // 2 :][:1]
    bad = 0.0
    if sample.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            good = np.abs(sample) <= UNBELIEVABLE
        bad = 1 - float(good.mean())
        sample = sample if not bad else sample[good]
    if not sample.size:
        return FrameStatistics(1.0, 0.0, 0.0, 0.0, 0.0)
    return FrameStatistics(bad, float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64)),
                           float(sample.min()), float(sample.max()))


def findOddFrames(statistics: Sequence[FrameStatistics]) -> dict[int, str]:
    """Return what is odd about frames, by their index."""
    odd = {}
    means = [one.mean for one in statistics if one.bad <= FEW and one.low < one.high]
    median = float(np.median(means)) if means else 0.0
    for i, one in enumerate(statistics):
        if one.bad > FEW:
            odd[i] = NO_NUMBERS
        elif one.low == one.high:
            odd[i] = CONSTANT
        elif _isRandom(one):
            odd[i] = RANDOM
        elif median > 0 and not median / UNLIKE <= one.mean <= median * UNLIKE:
            odd[i] = "much brighter than the others" if one.mean > median else "much darker than the others"
    return odd


def _isRandom(one: FrameStatistics) -> bool:
    for low, high in RANGES:
        width = high - low
        if abs(one.low - low) <= 0.02 * width and abs(one.high - high) <= 0.02 * width:
            return (abs(one.mean - (low + high) / 2) <= 0.03 * width
                    and abs(one.spread * 12**0.5 / width - 1) <= 0.1)
    return False


def describeOddFrames(odd: Mapping[int, str], first: int) -> list[str]:
    """Return one line for each kind of odd frames, with their numbers; `first` is the number of the first frame."""
    lines = []
    for what in dict.fromkeys(odd.values()):
        numbers = [i + first for i, one in odd.items() if one == what]
        shown = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
        several = len(numbers) > 1
        lines.append(f"{f'{len(numbers)} frames are' if several else 'one frame is'} {what}: number {shown}")
    return lines


def selectUsable(odd: Mapping[int, str], nframes: int, first: int, leave_out: bool) -> list[int]:
    """Return the indices of the frames to use.

    Raises:
        ImageFailure: there is no sum: every frame is constant, a frame holds no numbers and is not to be left out, or
            every frame would be left out.
    """
    if len(odd) == nframes and set(odd.values()) == {CONSTANT}:
        raise ImageFailure(f"each of the {nframes} frames is constant", "was there a beam, and was the movie saved?")
    if not leave_out:
        unusable = {i: what for i, what in odd.items() if what == NO_NUMBERS}
        if unusable:
            raise ImageFailure("; ".join(describeOddFrames(unusable, first)),
                               "leave such frames out: appion.motioncorrection.leave_out_odd_frames, -LeaveOutOdd 1")
        return list(range(nframes))
    usable = [i for i in range(nframes) if i not in odd]
    if not usable:
        raise ImageFailure(f"no frame of {nframes} is left: " + "; ".join(describeOddFrames(odd, first)),
                           "look at the movie")
    return usable
