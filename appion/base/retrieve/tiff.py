"""TIFF movies: one page a frame, or a stack that one directory describes; and which pages of a file are EER frames."""

from __future__ import annotations

import json
import math
import re
import zlib
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import BinaryIO

import numpy as np

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve import eer, tiffdirectory
from appion.base.retrieve.movieheader import MovieHeader, checkFrameCount, checkShape
from appion.base.retrieve.tiffdirectory import Directory
from appion.base.retrieve.tiffpixels import CODECS, FLOATING, HORIZONTAL, readPage

TIFF_KINDS = {1: "u", 2: "i", 3: "f"}
UNCOMPRESSED = 1
#: A page cannot grow by more when it is decoded: a page of zeros grows a thousandfold.
MAX_GROWTH = 5000
#: Pixels of a tile that are believed, beyond those of its page: small pages may be padded to one large tile.
MAX_TILE = 1 << 22
#: Pixels of an EER frame that are believed, which no byte of the file stands for. Falcon cameras have 4096 x 4096.
MAX_EER_PIXELS = 1 << 26


def readTiffHeader(path: str) -> MovieHeader:
    """Return what the directories of a TIFF or EER file say.

    Raises:
        NotReady: truncated or still growing. ImageFailure: no movie.
    """
    nframes, first, page, is_eer = 0, None, None, False
    for directory in tiffdirectory.iterateDirectories(path):
        page_is_eer = directory.value(tiffdirectory.COMPRESSION) in eer.COMPRESSIONS
        found = _describePage(path, directory, page_is_eer)
        if page is None or (page_is_eer and not is_eer):
            nframes, first, page, is_eer = 0, directory, found, page_is_eer
        if page_is_eer != is_eer:  # an EER file may carry a picture beside its frames
            continue
        if found != page:
            raise ImageFailure(f"{path}: page {nframes + 1} is {found[0]} {found[1]}, the first is {page[0]} {page[1]}")
        nframes += 1
    if page is None or first is None:
        raise ImageFailure(f"{path}: no frames")
    if is_eer:
        return MovieHeader(path, "eer", nframes, *page, event_bits=eer.getEventBits(first))
    header = MovieHeader(path, "tif", nframes, *page)
    depth = _readDepth(first, page[0])
    if nframes == 1 and depth > 1:
        return _describeStack(header, first, depth)
    if first.value(tiffdirectory.DEPTH, 1) > 1:
        raise ImageFailure(f"{path}: {nframes} pages of {depth} frames each", "write it anew with one page a frame")
    return header


def _describePage(path: str, directory: Directory, is_eer: bool) -> tuple[tuple[int, int], str]:
    shape = (directory.value(tiffdirectory.LENGTH), directory.value(tiffdirectory.WIDTH))
    checkShape(path, shape)
    tile = directory.value(tiffdirectory.TILELENGTH, 1), directory.value(tiffdirectory.TILEWIDTH, 1)
    checkShape(path, tile)
    if math.prod(tile) > max(MAX_TILE, 4 * math.prod(shape)):
        raise ImageFailure(f"{path}: tiles of {tile[1]} x {tile[0]} pixels for a page of {shape[1]} x {shape[0]}")
    held = sum(count for _, count in directory.strips)
    if is_eer:
        most = math.prod(shape)
        if most > MAX_EER_PIXELS or held > 4 * most + 64:
            raise ImageFailure(f"{path}: an EER frame of {shape[1]} x {shape[0]} pixels in {held} bytes")
        return shape, "uint8"
    bits, samples = directory.value(tiffdirectory.BITS, 1), directory.value(tiffdirectory.SAMPLES, 1)
    kind = TIFF_KINDS.get(directory.value(tiffdirectory.SAMPLEFORMAT, 1))
    if samples != 1 or kind is None or bits not in (4, 8, 16, 32, 64) or (kind == "f" and bits < 16):
        raise ImageFailure(f"{path}: pages of {shape[0]} x {shape[1]}, {samples} x {bits} bits: not a movie")
    compression, predictor = directory.value(tiffdirectory.COMPRESSION, 1), directory.value(tiffdirectory.PREDICTOR, 1)
    if compression not in CODECS:
        raise ImageFailure(f"{path}: pages in TIFF compression {compression}",
                           f"write it anew, compressed by one of {', '.join(dict.fromkeys(CODECS.values()))}")
    if predictor not in (1, HORIZONTAL, FLOATING) or (predictor == FLOATING) > (kind == "f") or \
            (bits == 4 and (kind != "u" or predictor != 1)):
        raise ImageFailure(f"{path}: pages of {bits} bits, TIFF predictor {predictor}", "write it anew without")
    needed = shape[0] * shape[1] * bits // 8
    if needed > held * (1 if compression == UNCOMPRESSED else MAX_GROWTH):
        raise ImageFailure(f"{path}: {held} bytes cannot hold the {shape[1]} x {shape[0]} pixels of a page")
    return shape, np.dtype(f"{kind}{max(1, bits // 8)}").name


def _readDepth(directory: Directory, shape: tuple[int, int]) -> int:
    """Return how many frames one directory stands for: by its depth, or as ImageJ and tifffile describe it."""
    depth = directory.value(tiffdirectory.DEPTH, 1)
    if depth > 1:
        return depth
    text = directory.description
    if text.startswith("ImageJ="):
        found = re.search(r"^images=(\d{1,9})$", text, re.MULTILINE)
        return int(found[1]) if found else 1
    if text.startswith('{"shape":'):
        try:
            sizes = json.loads(text)["shape"]
            if tuple(sizes[-2:]) == shape:
                return math.prod(int(size) for size in sizes[:-2])
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            return 1
    return 1


def _describeStack(header: MovieHeader, directory: Directory, depth: int) -> MovieHeader:
    """Return the header of a stack in one directory, whose frames lie one behind the other.

    Raises:
        NotReady: they are not all there. ImageFailure: they do not lie so.
    """
    what = f"{header.path}: one directory that stands for {depth} frames"
    checkFrameCount(header.path, depth)
    strips = directory.strips
    broken = any(start + count != following for (start, count), (following, _) in pairwise(strips))
    if directory.value(tiffdirectory.COMPRESSION, 1) != UNCOMPRESSED or broken or \
            directory.value(tiffdirectory.BITS, 1) < 8:
        raise ImageFailure(f"{what}, compressed or in pieces", "write it anew with one page a frame")
    start = strips[0][0]
    end = start + depth * math.prod(header.shape) * np.dtype(header.dtype).itemsize
    with open(header.path, "rb") as file:
        size = file.seek(0, 2)
    if end > size:
        raise NotReady(f"{what}, which reach to byte {end}, is {size} bytes long", tiffdirectory.GROWING)
    return replace(header, nframes=depth, offset=start if directory.order == "<" else -start,
                   unusual=f"{depth} frames in one TIFF directory instead of one in each")


def readTiffFrame(file: BinaryIO, header: MovieHeader, offset: int, index: int,
                  pool: ThreadPoolExecutor | None = None) -> np.ndarray:
    """Return one page (rows, columns) of an open file, whose directory lies at `offset`.

    Raises:
        ImageFailure: it cannot be decoded, or has become another one.
    """
    page = tiffdirectory.readDirectory(file, header.path, offset)
    if _describePage(header.path, page, False) != (header.shape, header.dtype):
        raise ImageFailure(f"{header.path}: frame {index + 1} has changed since the header was read")
    try:
        return readPage(file, page, header.shape, header.dtype, pool)
    except (ValueError, RuntimeError, TypeError, KeyError, zlib.error) as error:
        raise ImageFailure(f"{header.path}: frame {index + 1} cannot be decoded: {error}") from error


def listPages(header: MovieHeader) -> Sequence[int]:
    """Return where the directories of the frames lie; what they say is too much to be kept of all at a time."""
    return array("Q", (page.offset for page in tiffdirectory.iterateDirectories(header.path)
                       if (page.value(tiffdirectory.COMPRESSION) in eer.COMPRESSIONS) == (header.format == "eer")))
