"""Frames of electron event (EER) movies, decoded straight into the sum of a group of frames.

An EER frame is a list of events in reading order: the number of empty pixels up to the next event (7 or 8 bits, or as
tags 65007 to 65009 say; all ones: no event, go on counting), then where in the pixel it hit (two bits each way). Only
events are touched, so adding a raw frame to a sum costs a hundredth of expanding it to an image. Format: Guo et al.
(2020) IUCrJ 7, 860, "Electron-event representation data enable efficient cryoEM file storage".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from appion.base.failures import ConfigurationFailure, ImageFailure
from appion.base.retrieve.tiffdirectory import COMPRESSION, Directory

COMPRESSIONS = (65000, 65001, 65002)
#: -EerSampling to the factor by which frames are finer than the camera's pixels.
SAMPLINGS = {1: 1, 2: 2, 3: 4}

#: Bits of one event that are read at a time, wherever in a byte they begin.
MAX_EVENT_BITS = 25

_decoder: Callable[..., int] | None = None


def getEventBits(directory: Directory) -> tuple[int, int, int]:
    """Return the bits of one event: empty pixels before it, horizontal and vertical place in the pixel."""
    compression = directory.value(COMPRESSION)
    if compression == 65002:
        return directory.value(65007, 7), directory.value(65008, 2), directory.value(65009, 2)
    return (8 if compression == 65000 else 7), 2, 2


def checkSampling(what: str, bits: tuple[int, ...], sampling: int) -> None:
    """Look whether events of `bits`, see :func:`getEventBits`, can be read, and made frames of a `sampling`.

    Raises:
        ImageFailure: no event has such bits.
        ConfigurationFailure: they do not say where in a pixel an event was, or less exactly than the sampling needs.
    """
    skip, across, down = bits
    if not (1 <= skip <= MAX_EVENT_BITS and min(across, down) >= 0 and skip + across + down <= MAX_EVENT_BITS):
        raise ImageFailure(f"{what}: EER events of {skip} + {across} + {down} bits")
    finer = SAMPLINGS[sampling].bit_length() - 1
    if finer > min(across, down):
        best = max(one for one, factor in SAMPLINGS.items() if factor.bit_length() - 1 <= min(across, down))
        raise ConfigurationFailure(
            f"{what}: -EerSampling {sampling} needs {finer} bits of the place within a pixel each way, events have"
            f" {across} and {down}", f"use a sampling of {best}")


def addEvents(data: bytes, total: np.ndarray, bits: tuple[int, int, int], factor: int) -> int:
    """Add one frame's events to `total`, (rows, columns) of integers, `factor` (1, 2, 4) times finer than the camera.

    Returns the number of events; a `total` that is full (its dtype's largest value) stays full.
    """
    stream = np.frombuffer(data + b"\0" * 8, dtype=np.uint8)
    finer = factor.bit_length() - 1
    return int(_getDecoder()(stream, 8 * len(data), total, *bits, finer, np.iinfo(total.dtype).max))


def _getDecoder() -> Callable[..., int]:
    # numba is imported and the decoder compiled only when there is an EER movie; without any folder to keep the
    # compiled code in (a read-only installation and no home) it is compiled in every process, which takes a second.
    global _decoder
    if _decoder is None:
        import numba

        options: dict[str, Any] = {"nogil": True, "nopython": True}
        try:
            _decoder = numba.jit(cache=True, **options)(_decodeEvents)
        except RuntimeError:
            _decoder = numba.jit(**options)(_decodeEvents)
    return _decoder


def _decodeEvents(stream, nbits, total, skipbits, horizontalbits, verticalbits, finer, full):
    rows, cols = total.shape
    width = cols >> finer
    npixels = width * (rows >> finer)
    length = skipbits + horizontalbits + verticalbits
    skipmask = (1 << skipbits) - 1
    placemask = (1 << (horizontalbits + verticalbits)) - 1
    # The most significant bit of either place is stored inverted: the range is signed around the pixel's centre.
    flip = 0
    if horizontalbits:
        flip |= 1 << (horizontalbits - 1)
    if verticalbits:
        flip |= 1 << (horizontalbits + verticalbits - 1)
    position, bit, events = 0, 0, 0
    while bit + skipbits <= nbits:
        byte = bit >> 3
        word = 0
        for i in range(4):
            word |= int(stream[byte + i]) << (8 * i)
        word >>= bit & 7
        skip = word & skipmask
        position += skip
        if position >= npixels:
            break
        if skip == skipmask:
            bit += skipbits
            continue
        if bit + length > nbits:
            break
        place = ((word >> skipbits) & placemask) ^ flip
        row, col = position // width, position % width
        if finer:
            col = (col << finer) | ((place & ((1 << horizontalbits) - 1)) >> (horizontalbits - finer))
            row = (row << finer) | ((place >> horizontalbits) >> (verticalbits - finer))
        if total[row, col] < full:
            total[row, col] += 1
        events += 1
        position += 1
        bit += length
    return events
