"""The directories of a TIFF or BigTIFF file, read without decoding anything.

A movie of 1500 frames is looked at in a few thousand small reads, so that a daemon can ask again and again whether a
movie on a network disk is complete. tifffile reads the pixels later; this module only needs to be fast and exact about
what is missing. Layout after the TIFF 6.0 specification (Adobe, 1992) and the BigTIFF extension.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve.movieheader import checkFrameCount

WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, SAMPLEFORMAT, DEPTH = 256, 257, 258, 259, 277, 339, 32997
DESCRIPTION, TILEWIDTH, TILELENGTH = 270, 322, 323
OFFSETS, COUNTS = (273, 324), (279, 325)
WANTED = frozenset(
    (WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, SAMPLEFORMAT, DEPTH, TILEWIDTH, TILELENGTH, *OFFSETS, *COUNTS,
     65007, 65008, 65009))
#: Numbers of one field, strips of a page above all, and bytes of a description that are believed.
MAX_VALUES, MAX_DESCRIPTION = 1 << 20, 1 << 16
#: struct letters of the integer field types BYTE, SHORT, LONG, LONG8, IFD8.
LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q", 18: "Q"}
GROWING = "truncated or still being written"
MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Directory:
    """One page: integer values by tag, where its strips or tiles lie (offset, bytes), and, of the first page, its
    description and the byte order of the file."""

    values: dict[int, tuple[int, ...]]
    strips: tuple[tuple[int, int], ...] = field(repr=False)
    description: str = ""
    order: str = "<"

    def value(self, tag: int, default: int = 0) -> int:
        values = self.values.get(tag)
        return values[0] if values else default


class _Layout:
    """How numbers are laid out in one file: byte order, classic or Big."""

    def __init__(self, magic: bytes):
        order = "<" if magic[:1] == b"I" else ">"
        big = magic[2:4] in (b"+\0", b"\0+")
        self.order = order
        self.first = 8 if big else 4
        self.count = struct.Struct(order + ("Q" if big else "H"))
        self.entry = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
        self.pointer = struct.Struct(order + ("Q" if big else "I"))


def _readAt(file: BinaryIO, offset: int, nbytes: int, path: str, what: str) -> bytes:
    file.seek(offset)
    data = file.read(nbytes)
    if len(data) != nbytes:
        raise NotReady(f"{path}: {what} at byte {offset} lies beyond the end of the file", GROWING)
    return data


def _readValues(file: BinaryIO, layout: _Layout, path: str, kind: int, count: int, inline: bytes) -> tuple[int, ...]:
    letter = LETTERS.get(kind)
    if letter is None:
        return ()
    if count > MAX_VALUES:
        raise ImageFailure(f"{path}: a directory with a table of {count} numbers, which is no movie's")
    nbytes = struct.calcsize(letter) * count
    if nbytes > len(inline):
        inline = _readAt(file, layout.pointer.unpack(inline)[0], nbytes, path, "a table of strips")
    return struct.unpack(f"{layout.order}{count}{letter}", inline[:nbytes])


def iterateDirectories(path: str | os.PathLike[str]) -> Iterator[Directory]:
    """Yield every page of the file in order.

    Raises:
        NotReady: the chain of directories, a table or a strip points beyond the end of the file.
        ImageFailure: no TIFF file, a chain that runs in a circle or is longer than any movie's.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        magic = _readAt(file, 0, 4, name, "the header")
        if magic not in MAGICS:
            raise ImageFailure(f"{name}: begins with {magic!r}, which is no TIFF file")
        layout = _Layout(magic)
        (offset,) = layout.pointer.unpack(_readAt(file, layout.first, layout.pointer.size, name, "the header"))
        if offset == 0:
            raise NotReady(f"{name}: the first directory has not been written yet")
        seen = set()
        while offset:
            if offset in seen:
                raise ImageFailure(f"{name}: the chain of directories returns to byte {offset}")
            seen.add(offset)
            checkFrameCount(name, len(seen))
            directory, offset = _readDirectory(file, layout, name, offset, size, len(seen) == 1)
            yield directory


def _readText(file: BinaryIO, layout: _Layout, path: str, count: int, inline: bytes) -> str:
    count = min(count, MAX_DESCRIPTION)
    if count > len(inline):
        inline = _readAt(file, layout.pointer.unpack(inline)[0], count, path, "a description")
    return inline[:count].decode("latin-1").rstrip("\0")


def _readDirectory(
    file: BinaryIO, layout: _Layout, path: str, offset: int, size: int, is_first: bool
) -> tuple[Directory, int]:
    (nentries,) = layout.count.unpack(_readAt(file, offset, layout.count.size, path, "a directory"))
    if nentries == 0 or nentries > 4096:
        raise NotReady(f"{path}: the directory at byte {offset} has {nentries} entries", "not written yet, or damaged")
    width = layout.entry.size
    table = _readAt(file, offset + layout.count.size, nentries * width + layout.pointer.size, path, "a directory")
    values, description = {}, ""
    for i in range(nentries):
        tag, kind, count, inline = layout.entry.unpack_from(table, i * width)
        if tag == DESCRIPTION and kind == 2 and is_first:
            description = _readText(file, layout, path, count, inline)
        if tag in WANTED:
            values[tag] = _readValues(file, layout, path, kind, count, inline)
    starts = next((values[tag] for tag in OFFSETS if values.get(tag)), ())
    counts = next((values[tag] for tag in COUNTS if values.get(tag)), ())
    strips = tuple(zip(starts, counts, strict=False))
    if not strips or len(starts) != len(counts):
        raise NotReady(f"{path}: the directory at byte {offset} names no pixels", "not written yet, or damaged")
    if sum(counts) > size:
        raise ImageFailure(f"{path}: the directory at byte {offset} names {sum(counts)} bytes of pixels in {size}")
    end = max(start + count for start, count in strips)
    if end > size:
        raise NotReady(f"{path}: {size} bytes long, but pixels reach to byte {end}", GROWING)
    return Directory(values, strips, description, layout.order), layout.pointer.unpack_from(table, nentries * width)[0]
