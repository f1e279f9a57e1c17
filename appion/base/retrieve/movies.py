"""Movies as they lie on disk: MRC, TIFF and EER, told apart by content; headers in milliseconds, frames one at a time.

Rows stay as they are stored: row 0 of an array is the first row in the file, for every format.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve import eer, tiffdirectory

#: numpy types of the MRC modes that hold real pixels; 101 packs two 4-bit pixels into a byte, low half first.
MRC_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", 101: "u1"}
#: Programs that leave this stamp in the header (IMOD, SerialEM) mean unsigned bytes by mode 0 unless a flag is set.
IMOD_STAMP, IMOD_SIGNED = 1146047817, 1
TIFF_KINDS = {1: "u", 2: "i", 3: "f"}


@dataclass(frozen=True)
class MovieHeader:
    """What a movie's header or directory says.

    Attributes:
        path: the file. format: mrc, tif or eer.
        nframes: frames (raw frames of an EER movie).
        shape: (rows, columns) of a frame; for EER in camera pixels.
        dtype: numpy name of the stored numbers, e.g. 'int16'.
        expected_size: bytes the file must have, where the format tells (MRC), else None.
        pixelsize: Å as the header says, 0 if it does not.
        offset: byte of the first pixel (MRC). mode: the MRC mode, -1 for others.
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


def readMovieHeader(path: str | os.PathLike[str]) -> MovieHeader:
    """Read what a movie is, without reading its pixels.

    Raises:
        NotReady: the file is missing, empty, truncated or still growing: an MRC whose size is not what its header
            says, a TIFF or EER with a broken chain of directories or pixels beyond its end.
        ImageFailure: it can never be a movie: unknown content, no frames, complex numbers, colours, pages of
            different sizes.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise NotReady(f"{name}: no such file") from None
    if not head:
        raise NotReady(f"{name}: empty file", "still being written?")
    if head[:4] in tiffdirectory.MAGICS:
        return _readTiffHeader(name)
    return _readMrcHeader(name, head, size)


def _readMrcHeader(path: str, head: bytes, size: int) -> MovieHeader:
    if len(head) < 1024:
        if head[:3] in (b"II*", b"MM\0"):
            raise NotReady(f"{path}: {len(head)} bytes, the header is not complete")
        raise NotReady(f"{path}: {len(head)} bytes, less than the 1024 of an MRC header", "still being written?")
    if not any(head):
        raise NotReady(f"{path}: the header is all zeros", "still being written?")
    for order in "<>":
        nx, ny, nz, mode = struct.unpack_from(order + "4i", head)
        if 0 <= mode < 128 and 0 <= nx < 1 << 20 and 0 <= ny < 1 << 20:
            break
    else:
        raise ImageFailure(f"{path}: neither MRC nor TIFF nor EER (first bytes {head[:8]!r})")
    if head[208:211] not in (b"MAP", b"\0\0\0") or mode not in MRC_TYPES:
        raise ImageFailure(f"{path}: MRC mode {mode}, map stamp {head[208:212]!r}: not a movie of real numbers")
    if nx <= 0 or ny <= 0 or nz <= 0:
        raise ImageFailure(f"{path}: the header says {nx} x {ny} pixels and {nz} frames")
    offset = 1024 + max(0, struct.unpack_from(order + "i", head, 92)[0])
    stamp, flags = struct.unpack_from(order + "2i", head, 152)
    unsigned = mode == 0 and stamp == IMOD_STAMP and not flags & IMOD_SIGNED
    dtype = np.dtype("u1" if unsigned else order + MRC_TYPES[mode])
    expected = offset + nz * ny * _calcRowBytes(nx, mode)
    if size != expected:
        what = "truncated or still being written" if size < expected else "the header is older than the pixels"
        frames = f"{nz} frames of {ny} x {nx}, mode {mode}"
        raise NotReady(f"{path}: {size} bytes instead of the {expected} for {frames}", what)
    mx, cell = struct.unpack_from(order + "i", head, 28)[0], struct.unpack_from(order + "f", head, 40)[0]
    pixelsize = cell / mx if mx > 0 and np.isfinite(cell) and cell > 0 else 0.0
    return MovieHeader(path, "mrc", nz, (ny, nx), dtype.name if order == "<" else dtype.newbyteorder("=").name,
                       expected, pixelsize, offset if order == "<" else -offset, mode)


def _calcRowBytes(nx: int, mode: int) -> int:
    return (nx + 1) // 2 if mode == 101 else nx * np.dtype(MRC_TYPES[mode]).itemsize


def _readTiffHeader(path: str) -> MovieHeader:
    nframes, first, is_eer = 0, None, False
    for directory in tiffdirectory.iterateDirectories(path):
        page_is_eer = directory.value(tiffdirectory.COMPRESSION) in eer.COMPRESSIONS
        page = _describePage(path, directory, page_is_eer)
        if first is None or (page_is_eer and not is_eer):
            nframes, first, is_eer = 0, page, page_is_eer
        if page_is_eer != is_eer:  # an EER file may carry a picture beside its frames
            continue
        if page != first:
            raise ImageFailure(f"{path}: page {nframes + 1} is {page[0]} {page[1]}, the first is {first[0]} {first[1]}")
        nframes += 1
    if first is None:
        raise ImageFailure(f"{path}: no frames")
    return MovieHeader(path, "eer" if is_eer else "tif", nframes, *first)


def _describePage(path: str, directory: tiffdirectory.Directory, is_eer: bool) -> tuple[tuple[int, int], str]:
    shape = (directory.value(tiffdirectory.LENGTH), directory.value(tiffdirectory.WIDTH))
    if is_eer:
        return shape, "uint8"
    bits, samples = directory.value(tiffdirectory.BITS, 1), directory.value(tiffdirectory.SAMPLES, 1)
    kind = TIFF_KINDS.get(directory.value(tiffdirectory.SAMPLEFORMAT, 1))
    if min(shape) <= 0 or samples != 1 or kind is None or bits not in (4, 8, 16, 32, 64):
        raise ImageFailure(f"{path}: pages of {shape[0]} x {shape[1]}, {samples} x {bits} bits: not a movie")
    return shape, np.dtype(f"{kind}{max(1, bits // 8)}").name


def readFrames(header: MovieHeader, groups: Sequence[Sequence[int]] | None = None, sampling: int = 1,
               threads: int = 1) -> Iterator[np.ndarray]:
    """Yield frames one at a time, as stored; with `groups`, the sum of the frames numbered in each group (from 0).

    Arguments:
        sampling: 1, 2 or 3: an EER frame comes 1, 2 or 4 times finer than the camera's pixels.
        threads: frames decoded at a time (TIFF and EER), and so at most held in memory beside the one in use.

    A sum has a type that holds it: unsigned integers grow to 16 bits, others become float32; EER comes as 8 or 16 bits.

    Raises:
        NotReady: the file became shorter since the header was read. ImageFailure: a page cannot be decoded.
    """
    groups = [(i,) for i in range(header.nframes)] if groups is None else groups
    if header.format == "eer":
        directories = [page for page in tiffdirectory.iterateDirectories(header.path)
                       if page.value(tiffdirectory.COMPRESSION) in eer.COMPRESSIONS]
        yield from _mapOrdered(lambda group: _readEerGroup(header, directories, group, sampling), groups, threads)
    elif header.format == "tif":
        yield from _readTiffFrames(header, groups, threads)
    else:
        with open(header.path, "rb") as file:
            for group in groups:
                yield _addFrames([_readMrcFrame(file, header, index) for index in group])


def _mapOrdered(function, items, threads: int):
    """Yield function(item) in order, at most `threads` of them computed ahead."""
    if threads <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: list = []
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > threads:
                yield pending.pop(0).result()
        while pending:
            yield pending.pop(0).result()


def _addFrames(frames: list[np.ndarray]) -> np.ndarray:
    if len(frames) == 1:
        return frames[0]
    dtype = np.uint16 if frames[0].dtype == np.uint8 and len(frames) <= 257 else np.float32  # 257 * 255 = 65535
    total = frames[0].astype(dtype)
    for frame in frames[1:]:
        np.add(total, frame, out=total, casting="unsafe")
    return total


def _readMrcFrame(file, header: MovieHeader, index: int) -> np.ndarray:
    rows, cols = header.shape
    nbytes = rows * _calcRowBytes(cols, header.mode)
    file.seek(abs(header.offset) + index * nbytes)
    data = np.empty(nbytes, np.uint8)
    if file.readinto(data) != nbytes:
        raise NotReady(f"{header.path}: ends within frame {index + 1}", "truncated")
    if header.mode == 101:
        packed = data.reshape(rows, -1)
        frame = np.empty((rows, 2 * packed.shape[1]), np.uint8)
        frame[:, 0::2], frame[:, 1::2] = packed & 15, packed >> 4
        return frame[:, :cols]
    stored = np.dtype(header.dtype).newbyteorder("<" if header.offset > 0 else ">")
    frame = data.view(stored).reshape(rows, cols)
    return frame if stored.isnative else frame.astype(stored.newbyteorder("="))


def _readTiffFrames(header: MovieHeader, groups: Sequence[Sequence[int]], threads: int) -> Iterator[np.ndarray]:
    import tifffile

    with tifffile.TiffFile(header.path) as tiff:
        for group in groups:
            frames = []
            for index in group:
                try:
                    frames.append(tiff.pages[index].asarray(maxworkers=threads))
                except (ValueError, RuntimeError, IndexError, struct.error) as error:
                    raise ImageFailure(f"{header.path}: frame {index + 1} cannot be decoded: {error}") from error
            yield _addFrames(frames)


def _readEerGroup(header: MovieHeader, directories: list[tiffdirectory.Directory], group: Sequence[int],
                  sampling: int) -> np.ndarray:
    factor = eer.SAMPLINGS[sampling]
    total = np.zeros((header.shape[0] * factor, header.shape[1] * factor), np.uint8 if len(group) < 256 else np.uint16)
    with Path(header.path).open("rb") as file:
        for index in group:
            page = directories[index]
            data = b""
            for start, count in page.strips:
                file.seek(start)
                data += file.read(count)
            if len(data) != sum(count for _, count in page.strips):
                raise NotReady(f"{header.path}: ends within frame {index + 1}", "truncated")
            eer.addEvents(data, total, eer.getEventBits(page), factor)
    return total
