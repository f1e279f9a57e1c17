"""Movies as they lie on disk: MRC, TIFF and EER, told apart by content; headers in milliseconds, frames one at a time.

Rows stay as they are stored: row 0 of an array is the first row in the file, for every format.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve import eer, tiffdirectory
from appion.base.retrieve.access import readFile
from appion.base.retrieve.movieheader import MovieHeader, checkShape
from appion.base.retrieve.mrc import readMrcHeader
from appion.base.retrieve.rawframes import readRawFrame
from appion.base.retrieve.tiff import listPages, readTiffFrame, readTiffHeader

__all__ = ["MovieHeader", "readFrames", "readMovieHeader"]


def readMovieHeader(path: str | os.PathLike[str]) -> MovieHeader:
    """Read what a movie is, without reading its pixels.

    Raises:
        NotReady: the file is missing, empty, truncated or still growing: an MRC that is shorter than its header
            says, a TIFF or EER with a broken chain of directories or pixels beyond its end.
        ImageFailure: it can never be a movie: unknown content, no frames, complex numbers, colours, pages of
            different sizes, sizes beyond any camera's; or it must not be read, although its folder can.
        InfrastructureFailure: its folder is away, or the disk does not answer.
    """
    name = os.fspath(path)
    with readFile(name):
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe, for one, would never be read
            raise ImageFailure(f"{name}: is no file")
        with open(path, "rb") as file:
            head = file.read(1024)
            size = os.fstat(file.fileno()).st_size
        if not head:
            raise NotReady(f"{name}: empty file", "still being written?")
        if head[:4] in tiffdirectory.MAGICS:
            return readTiffHeader(name)
        return readMrcHeader(name, head, size)


def readFrames(header: MovieHeader, groups: Sequence[Sequence[int]] | None = None, sampling: int = 1,
               threads: int = 1) -> Iterator[np.ndarray]:
    """Yield frames one at a time, as stored; with `groups`, the sum of the frames numbered in each group (from 0).

    Arguments:
        sampling: 1, 2 or 3: an EER frame comes 1, 2 or 4 times finer than the camera's pixels.
        threads: frames of an EER movie decoded at a time, and so at most held in memory beside the one in use; of a
            TIFF movie strips of one frame.

    A sum has a type that holds it: unsigned integers grow to 16 bits, others become float32; EER comes as 8 or 16 bits.

    Raises:
        NotReady: the file became shorter since the header was read. ImageFailure: a page cannot be decoded.
        ConfigurationFailure: the events of an EER movie do not say where in a pixel they are, as `sampling` needs it.
        InfrastructureFailure: its folder is away, or the disk does not answer.
    """
    with readFile(header.path):
        yield from _readGroups(header, groups, sampling, threads)


def _readGroups(header: MovieHeader, groups: Sequence[Sequence[int]] | None, sampling: int, threads: int
                ) -> Iterator[np.ndarray]:
    groups = [(i,) for i in range(header.nframes)] if groups is None else groups
    if header.format == "eer":
        eer.checkSampling(header.path, header.event_bits, sampling)
        checkShape(header.path, (header.shape[0] * eer.SAMPLINGS[sampling], header.shape[1] * eer.SAMPLINGS[sampling]))
        pages = listPages(header)
        yield from _mapOrdered(lambda group: _readEerGroup(header, pages, group, sampling), groups, threads)
    elif header.offset:
        with open(header.path, "rb") as file:
            for group in groups:
                yield _addFrames(lambda index: readRawFrame(file, header, index), group)
    else:
        pages = listPages(header)
        with open(header.path, "rb") as file, ThreadPoolExecutor(max(1, threads)) as pool:
            def read(index: int) -> np.ndarray:
                return readTiffFrame(file, header, _choose(pages, header, index), index, pool)

            for group in groups:
                yield _addFrames(read, group)


def _choose(pages: Sequence[int], header: MovieHeader, index: int) -> int:
    """Return where the directory of a frame lies."""
    if index >= len(pages):
        raise NotReady(f"{header.path}: ends before frame {index + 1}", "truncated")
    return pages[index]


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


def _addFrames(read: Callable[[int], np.ndarray], group: Sequence[int]) -> np.ndarray:
    """Return the sum of the frames of a group, of which one is held at a time."""
    first = read(group[0])
    if len(group) == 1:
        return first
    dtype = np.uint16 if first.dtype == np.uint8 and len(group) <= 257 else np.float32  # 257 * 255 = 65535
    total = first.astype(dtype)
    for index in group[1:]:
        np.add(total, read(index), out=total, casting="unsafe")
    return total


def _readEerGroup(header: MovieHeader, pages: Sequence[int], group: Sequence[int], sampling: int) -> np.ndarray:
    factor = eer.SAMPLINGS[sampling]
    total = np.zeros((header.shape[0] * factor, header.shape[1] * factor), np.uint8 if len(group) < 256 else np.uint16)
    with Path(header.path).open("rb") as file:
        for index in group:
            page = tiffdirectory.readDirectory(file, header.path, _choose(pages, header, index))
            data = bytearray()
            for start, count in page.strips:
                file.seek(start)
                data += file.read(count)
            if len(data) != sum(count for _, count in page.strips):
                raise NotReady(f"{header.path}: ends within frame {index + 1}", "truncated")
            bits = eer.getEventBits(page)
            eer.checkSampling(f"{header.path}, frame {index + 1}", bits, sampling)
            eer.addEvents(bytes(data), total, bits, factor)
    return total
