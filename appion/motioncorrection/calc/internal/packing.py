"""Decoded frames that are kept for another pass, in half a byte a pixel: few pixels of a frame get 16 electrons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Pixels of a thousand that may have more than half a byte holds; a frame with more of them is kept as it is.
EXCEPTIONS = 10
#: Pixels that are looked at together: all that is made of them on the way stays in the processor's cache.
BLOCK = 1 << 18


@dataclass(frozen=True)
class PackedFrame:
    """A frame of whole numbers: two pixels a byte in the order of rows, and what does not fit.

    Attributes:
        shape, dtype: of the frame.
        halves: (half as many as pixels, rounded up,) uint8: the second of two pixels in the upper four bits.
        places, values: pixels above 15, or below 0, by number, and what they are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    halves: np.ndarray
    places: np.ndarray
    values: np.ndarray

    @property
    def nbytes(self) -> int:
        return self.halves.nbytes + self.places.nbytes + self.values.nbytes


def packFrame(frame: np.ndarray) -> PackedFrame | np.ndarray:
    """Return a frame packed; as it is if it has fractions, or too many pixels that do not fit."""
    if frame.dtype.kind not in "iu":
        return frame
    pixels = frame.reshape(-1)
    halves, beyond, number = np.empty((len(pixels) + 1) // 2, np.uint8), [], 0
    for start in range(0, len(pixels), BLOCK):
        block = pixels[start : start + BLOCK]
        more = np.flatnonzero((block < 0) | (block > 15)) + start
        beyond.append(more)
        number += len(more)
        if number * 1000 > EXCEPTIONS * len(pixels):
            return frame
        few = block.astype(np.uint8) & 15
        out = halves[start // 2 : (start + len(block) + 1) // 2]
        out[:] = few[::2]
        out[: len(few) // 2] |= few[1::2] << 4
    places = np.concatenate(beyond) if beyond else np.zeros(0, np.intp)
    return PackedFrame(frame.shape, frame.dtype, halves, places, pixels[places])


def unpackFrame(packed: PackedFrame | np.ndarray) -> np.ndarray:
    """Return the frame that was packed."""
    if isinstance(packed, np.ndarray):
        return packed
    pixels = np.empty(int(np.prod(packed.shape)), packed.dtype)
    for start in range(0, len(pixels), BLOCK):
        block = pixels[start : start + BLOCK]
        halves = packed.halves[start // 2 : (start + len(block) + 1) // 2]
        block[::2] = halves & 15
        block[1::2] = halves[: len(block) // 2] >> 4
    pixels[packed.places] = packed.values
    return pixels.reshape(packed.shape)
