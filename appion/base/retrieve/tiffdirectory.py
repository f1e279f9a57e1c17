"""The directories of a TIFF or BigTIFF file, read without decoding anything.

A movie of 1500 frames is looked at in a few thousand small reads, so that a daemon can ask again and again whether a
movie on a network disk is complete. The pixels are read later; this module only needs to be fast, to be exact about
what is missing, and to believe nothing: no number in a file has memory taken that the file does not fill. Layout after
the TIFF 6.0 specification (Adobe, 1992) and the BigTIFF extension.
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
DESCRIPTION, TILEWIDTH, TILELENGTH, FILLORDER, ROWSPERSTRIP, PREDICTOR = 270, 322, 323, 266, 278, 317
OFFSETS, COUNTS = (273, 324), (279, 325)
WANTED = frozenset(
    (WIDTH, LENGTH, BITS, COMPRESSION, SAMPLES, SAMPLEFORMAT, DEPTH, TILEWIDTH, TILELENGTH, FILLORDER, ROWSPERSTRIP,
     PREDICTOR, *OFFSETS, *COUNTS, 65007, 65008, 65009))
#: Numbers of one field, strips of a page above all, and bytes of a description that are believed.
MAX_VALUES, MAX_DESCRIPTION = 1 << 20, 1 << 16
#: struct letters of the integer field types BYTE, SHORT, LONG, LONG8, IFD8.
LETTERS = {1: "B", 3: "H", 4: "I", 16: "Q", 18: "Q"}
GROWING = "truncated or still being written"
MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Directory:
    """One page: integer values by tag, where its strips or tiles lie (offset, bytes), of the first page its
    description, the byte order of the file, where the directory itself lies, and how many bytes it and its tables take.
    """

    values: dict[int, tuple[int, ...]]
    strips: tuple[tuple[int, int], ...] = field(repr=False)
    description: str = ""
    order: str = "<"
    offset: int = 0
    taken: int = 0

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


@dataclass(frozen=True)
class _Source:
    """An open file of `size` bytes, and how its numbers are laid out."""

    file: BinaryIO
    path: str
    size: int
    layout: _Layout

    def read(self, offset: int, nbytes: int, what: str) -> bytes:
        data = b""
        if offset + nbytes <= self.size:  # before memory is taken
            self.file.seek(offset)
            data = self.file.read(nbytes)
        if len(data) != nbytes:
            raise NotReady(f"{self.path}: {what} at byte {offset} lies beyond the end of the file", GROWING)
        return data


def _openSource(file: BinaryIO, path: str) -> _Source:
    file.seek(0)
    magic = file.read(4)
    if len(magic) < 4:
        raise NotReady(f"{path}: the header at byte 0 lies beyond the end of the file", GROWING)
    if magic not in MAGICS:
        raise ImageFailure(f"{path}: begins with {magic!r}, which is no TIFF file")
    return _Source(file, path, os.fstat(file.fileno()).st_size, _Layout(magic))


def iterateDirectories(path: str | os.PathLike[str]) -> Iterator[Directory]:
    """Yield every page of the file in order.

    Raises:
        NotReady: the chain of directories, a table or a strip points beyond the end of the file.
        ImageFailure: no TIFF file, a chain that runs in a circle or is longer than any movie's, tables that cannot be.
    """
    name = os.fspath(path)
    with open(path, "rb") as file:
        source = _openSource(file, name)
        pointer = source.layout.pointer
        (offset,) = pointer.unpack(source.read(source.layout.first, pointer.size, "the header"))
        if offset == 0:
            raise NotReady(f"{name}: the first directory has not been written yet")
        seen, taken = set(), 0
        while offset:
            if offset in seen:
                raise ImageFailure(f"{name}: the chain of directories returns to byte {offset}")
            seen.add(offset)
            checkFrameCount(name, len(seen))
            directory, offset = _readDirectory(source, offset, len(seen) == 1)
            taken += directory.taken
            if taken > source.size:
                raise ImageFailure(f"{name}: {len(seen)} directories and their tables claim {taken} bytes of a file of"
                                   f" {source.size}")
            yield directory


def readDirectory(file: BinaryIO, path: str, offset: int) -> Directory:
    """Return the page whose directory lies at `offset`.

    Raises:
        NotReady, ImageFailure: as :func:`iterateDirectories`.
    """
    return _readDirectory(_openSource(file, path), offset, False)[0]


def _readValues(source: _Source, kind: int, count: int, inline: bytes) -> tuple[int, ...]:
    letter = LETTERS.get(kind)
    if letter is None:
        return ()
    if count > MAX_VALUES:
        raise ImageFailure(f"{source.path}: a directory with a table of {count} numbers, which is no movie's")
    nbytes = struct.calcsize(letter) * count
    if nbytes > len(inline):
        inline = source.read(source.layout.pointer.unpack(inline)[0], nbytes, "a table of strips")
    return struct.unpack(f"{source.layout.order}{count}{letter}", inline[:nbytes])


def _readText(source: _Source, count: int, inline: bytes) -> str:
    count = min(count, MAX_DESCRIPTION)
    if count > len(inline):
        inline = source.read(source.layout.pointer.unpack(inline)[0], count, "a description")
    return inline[:count].decode("latin-1").rstrip("\0")


def _readDirectory(source: _Source, offset: int, is_first: bool) -> tuple[Directory, int]:
    layout, path, size = source.layout, source.path, source.size
    (nentries,) = layout.count.unpack(source.read(offset, layout.count.size, "a directory"))
    if nentries == 0 or nentries > 4096:
        raise NotReady(f"{path}: the directory at byte {offset} has {nentries} entries", "not written yet, or damaged")
    width = layout.entry.size
    taken = nentries * width + layout.pointer.size
    table = source.read(offset + layout.count.size, taken, "a directory")
    values: dict[int, tuple[int, ...]] = {}
    description = ""
    for i in range(nentries):
        tag, kind, count, inline = layout.entry.unpack_from(table, i * width)
        if tag == DESCRIPTION and kind == 2 and is_first:
            description = _readText(source, count, inline)
        if tag in WANTED and tag not in values:
            values[tag] = _readValues(source, kind, count, inline)
            nbytes = len(values[tag]) * struct.calcsize(LETTERS.get(kind, "B"))
            taken += nbytes if nbytes > len(inline) else 0
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
    directory = Directory(values, strips, description, layout.order, offset, taken)
    return directory, layout.pointer.unpack_from(table, nentries * width)[0]
