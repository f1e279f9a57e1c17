"""The pixels of one TIFF page, decoded into the frame that its directory speaks of, and into no more memory.

Strips and tiles, uncompressed or with the lossless codecs that cameras use. None of them can make more of itself than
the place in the frame that it is for: what a decoder gets is the number of bytes that may come out.
Layout after the TIFF 6.0 specification (Adobe, 1992) and its third technical note (predictor for floating point).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from appion.base.retrieve import tiffdirectory
from appion.base.retrieve.tiffdirectory import Directory

#: Compressions that are read, with their names.
CODECS = {1: "none", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate", 50000: "Zstandard"}
HORIZONTAL, FLOATING = 2, 3

#: Where a strip or tile goes: its place in the list, first row and column, rows and columns as they are stored.
Piece = tuple[int, int, int, int, int]


def readPage(file: BinaryIO, page: Directory, shape: tuple[int, int], dtype: str,
             pool: ThreadPoolExecutor | None = None) -> NDArray:
    """Return the page as an array of `shape` (rows, columns) and `dtype`, which its directory was found to have.

    Raises:
        ValueError: it cannot be decoded, in words.
        Exception: whatever a decoder has to say.
    """
    frame = np.zeros(shape, dtype)

    def place(piece: Piece) -> None:
        index, row, column, height, width = piece
        start, count = page.strips[index]
        if count == 0:  # nothing was written there
            return
        data = os.pread(file.fileno(), count, start)
        if len(data) != count:
            raise ValueError("the file ends within it")
        pixels = _decode(data, page, height, width, frame.dtype)
        target = frame[row : row + height, column : column + width]
        target[...] = pixels[: target.shape[0], : target.shape[1]]

    run: Callable = map if pool is None else pool.map
    for _ in run(place, _listPieces(page, shape)):
        pass
    return frame


def _listPieces(page: Directory, shape: tuple[int, int]) -> Iterator[Piece]:
    rows, columns = shape
    tiled = bool(page.values.get(tiffdirectory.OFFSETS[1])) and not page.values.get(tiffdirectory.OFFSETS[0])
    if tiled:
        height, width = page.value(tiffdirectory.TILELENGTH), page.value(tiffdirectory.TILEWIDTH)
    else:
        height, width = min(rows, page.value(tiffdirectory.ROWSPERSTRIP, rows)), columns
    if height < 1 or width < 1:
        raise ValueError(f"strips or tiles of {width} x {height} pixels")
    across = -(-columns // width)
    needed = -(-rows // height) * across
    if len(page.strips) < needed:
        raise ValueError(f"{len(page.strips)} strips or tiles instead of {needed}")
    for index in range(needed):
        row, column = index // across * height, index % across * width
        yield index, row, column, height if tiled else min(height, rows - row), width


def _decode(data: bytes, page: Directory, height: int, width: int, dtype: np.dtype) -> NDArray:
    """Return the pixels of one strip or tile, (height, width)."""
    bits, predictor = page.value(tiffdirectory.BITS, 1), page.value(tiffdirectory.PREDICTOR, 1)
    rowbytes = (width * bits + 7) // 8
    if page.value(tiffdirectory.FILLORDER, 1) == 2:
        import imagecodecs

        data = bytes(imagecodecs.bitorder_decode(data))
    raw = _expand(data, page.value(tiffdirectory.COMPRESSION, 1), height * rowbytes)
    if len(raw) < height * rowbytes:
        raise ValueError(f"{len(raw)} bytes instead of {height * rowbytes}")
    stored = np.frombuffer(raw, np.uint8, height * rowbytes).reshape(height, rowbytes)
    if bits == 4:
        pixels = np.empty((height, 2 * rowbytes), np.uint8)
        pixels[:, 0::2], pixels[:, 1::2] = stored >> 4, stored & 15
        return pixels[:, :width]
    if predictor == FLOATING and dtype.kind == "f":
        planes = np.cumsum(stored, axis=1, dtype=np.uint8).reshape(height, dtype.itemsize, width)
        return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))[:, :, 0]
    pixels = stored.view(dtype.newbyteorder("<" if page.order == "<" else ">"))
    if predictor == HORIZONTAL:
        words = pixels.astype(dtype, copy=False).view(f"u{dtype.itemsize}")
        return np.cumsum(words, axis=1, dtype=words.dtype).view(dtype)
    return pixels


def _expand(data: bytes, compression: int, nbytes: int) -> bytes:
    """Return what was compressed, which is to be `nbytes` long.

    Raises:
        ValueError: it is longer.
    """
    if compression == 1:
        return data[:nbytes]
    if compression in (8, 32946):
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(data, nbytes)
        if unpacker.unconsumed_tail and unpacker.decompress(unpacker.unconsumed_tail, 1):
            raise ValueError(f"more than {nbytes} bytes come out of it")
        return raw
    import imagecodecs

    decoders = {5: imagecodecs.lzw_decode, 32773: imagecodecs.packbits_decode, 50000: imagecodecs.zstd_decode}
    return bytes(decoders[compression](data, out=bytearray(nbytes)))
