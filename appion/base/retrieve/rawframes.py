"""Frames that lie uncompressed one behind the other: MRC, and TIFF files that hold a whole stack in one directory."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from appion.base.failures import NotReady
from appion.base.retrieve.movieheader import MovieHeader


def readRawFrame(file: BinaryIO, header: MovieHeader, index: int) -> np.ndarray:
    """Return one frame (rows, columns) of an open file.

    Raises:
        NotReady: the file ends within it.
    """
    rows, cols = header.shape
    stored = np.dtype(header.dtype).newbyteorder("<" if header.offset > 0 else ">")
    nbytes = rows * ((cols + 1) // 2 if header.packed else cols * stored.itemsize)
    file.seek(abs(header.offset) + index * nbytes)
    data = np.empty(nbytes, np.uint8)
    if file.readinto(data) != nbytes:  # type: ignore[attr-defined]
        raise NotReady(f"{header.path}: ends within frame {index + 1}", "truncated")
    if header.packed:
        packed = data.reshape(rows, -1)
        frame = np.empty((rows, 2 * packed.shape[1]), np.uint8)
        frame[:, 0::2], frame[:, 1::2] = packed & 15, packed >> 4
        return frame[:, :cols]
    if header.shifted:
        data ^= 128  # the same as adding 128 to a signed byte and taking it for an unsigned one
    frame = data.view(stored).reshape(rows, cols)
    return frame if stored.isnative else frame.astype(stored.newbyteorder("="))
