"""Movies as files: MRC, TIFF and EER; and a file that grows while it is written, as when a camera server copies it."""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
import tifffile

#: Kinds of file `encodeMovie` knows; tif is LZW as cameras write it.
FORMATS = ("mrc", "tif", "eer")


def encodeMovie(frames: np.ndarray, kind: str, pixelsize: float = 1.0, compression: str = "lzw") -> bytes:
    """Return (n, rows, columns) `frames` as the bytes of a movie file.

    Args:
        frames: int8, uint8, uint16 or float32 for mrc and tif; counts of 0 and 1 for eer (more than 1 counts as 1).
        kind: mrc (row 0 first, as always), tif (row 0 first) or eer.
        pixelsize: Å, for the headers.
        compression: of tif: lzw, deflate or none.

    Raises:
        ValueError: unknown kind.
    """
    if kind == "mrc":
        return _encodeMrc(frames, pixelsize)
    if kind == "tif":
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as tif:
            for frame in frames:
                tif.write(
                    frame,
                    compression=None if compression == "none" else compression,
                    photometric="minisblack",
                    metadata=None,
                    resolution=(1e8 / pixelsize, 1e8 / pixelsize),
                    resolutionunit="CENTIMETER",
                )
        return buffer.getvalue()
    if kind == "eer":
        return _encodeEer(frames)
    raise ValueError(f"unknown movie format {kind!r}: use one of {', '.join(FORMATS)}")


def writeMovie(
    path: str | os.PathLike, frames: np.ndarray, kind: str = "", pixelsize: float = 1.0, compression: str = "lzw"
) -> Path:
    """Write `frames` to `path` at once; the kind is the suffix unless given (see `encodeMovie`)."""
    path = Path(path)
    path.write_bytes(encodeMovie(frames, kind or path.suffix.lstrip("."), pixelsize, compression))
    return path


def growMovie(path: str | os.PathLike, data: bytes, seconds: float, steps: int = 8, stop_at: float = 1.0) -> None:
    """Write `data` to `path` in `steps` pieces within `seconds`, each flushed to disk: readers see the file grow.

    Args:
        stop_at: fraction of the data after which writing ends for good: below 1 the file stays truncated.
    """
    size = -(-round(len(data) * stop_at) // steps)
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    pourMovie(path, pieces, len(data), seconds, steps, stop_at)


def pourMovie(
    path: str | os.PathLike, pieces: Iterable[bytes], size: int, seconds: float, steps: int = 8, stop_at: float = 1.0
) -> None:
    """Write a movie of `size` bytes in the pieces in which it comes, in about `seconds`; see `growMovie`."""
    end, written, paused = round(size * stop_at), 0, 0
    with open(path, "wb") as f:
        for piece in pieces:
            if written >= end:
                break
            if written * steps // max(1, end) > paused:
                paused = written * steps // end
                f.flush()
                os.fsync(f.fileno())
                time.sleep(seconds / max(1, steps - 1))
            f.write(piece[: end - written])
            written += min(len(piece), end - written)
        f.flush()
        os.fsync(f.fileno())


def _encodeMrc(frames: np.ndarray, pixelsize: float) -> bytes:
    """MRC2014. Mode 0 is int8 and 6 uint16; there is no mode for unsigned bytes, so uint8 becomes int8 if it fits."""
    if frames.dtype == np.uint8:
        frames = frames.astype(np.int8 if frames.max(initial=0) < 128 else np.uint16)
    buffer = io.BytesIO()
    mrc = mrcfile.mrcinterpreter.MrcInterpreter()
    mrc._iostream = buffer
    mrc._create_default_attributes()
    mrc.set_data(frames)
    mrc.set_image_stack()
    mrc.voxel_size = pixelsize
    mrc.flush()
    return buffer.getvalue()


def _encodeEer(frames: np.ndarray) -> bytes:
    strips = [encodeElectrons(np.flatnonzero(frame), frame.size) for frame in frames]
    sizes = [len(strip) for strip in strips]
    return b"".join(iterateTiff(sizes, (iter(strips)), frames.shape[1:], "eer"))


def iterateTiff(
    sizes: Sequence[int], strips: Iterable[bytes], shape: tuple[int, ...], kind: str, pixelsize: float = 1.0
) -> Iterator[bytes]:
    """Yield a movie in pieces, a frame in each: a TIFF of one strip a frame, which is encoded already.

    Args:
        sizes: bytes of each strip. strips: they themselves, in order.
        shape: (rows, columns).
        kind: eer (a BigTIFF, compression 65001, after the description of the format by its maker, Thermo Fisher
            Scientific, "EER file format documentation") or tif (LZW, 8 bits, as K3 cameras write it).
        pixelsize: Å, for the header of tif.
    """
    yield from (_iterateEer if kind == "eer" else _iterateLzw)(sizes, strips, shape, pixelsize)


def _iterateEer(sizes: Sequence[int], strips: Iterable[bytes], shape: tuple[int, ...], _: float) -> Iterator[bytes]:
    meta = b'<metadata><item name="numberOfFrames">%d</item></metadata>' % len(sizes)

    def list_tags(i: int, offset: int) -> list[tuple[int, int, int, int]]:
        tags = [(256, 4, 1, shape[1]), (257, 4, 1, shape[0]), (258, 3, 1, 1), (259, 3, 1, 65001), (262, 3, 1, 1),
                (273, 16, 1, offset), (277, 3, 1, 1), (278, 4, 1, shape[0]), (279, 16, 1, sizes[i])]  # fmt: skip
        return [*tags, (65001, 7, len(meta), offset + sizes[i])] if i == 0 else tags

    yield from _iteratePages(_BIG, sizes, strips, list_tags, meta)


def _iterateLzw(
    sizes: Sequence[int], strips: Iterable[bytes], shape: tuple[int, ...], pixelsize: float
) -> Iterator[bytes]:
    # A rational number takes 8 bytes, which do not fit into a tag of this kind: both lie behind the first strip.
    resolution = struct.pack("<II", round(1e8 / pixelsize), 1)

    def list_tags(i: int, offset: int) -> list[tuple[int, int, int, int]]:
        at = 8 + sizes[0]
        return [(256, 4, 1, shape[1]), (257, 4, 1, shape[0]), (258, 3, 1, 8), (259, 3, 1, 5), (262, 3, 1, 1),
                (273, 4, 1, offset), (277, 3, 1, 1), (278, 4, 1, shape[0]), (279, 4, 1, sizes[i]),
                (282, 5, 1, at), (283, 5, 1, at), (296, 3, 1, 3), (339, 3, 1, 1)]  # fmt: skip

    yield from _iteratePages(_CLASSIC, sizes, strips, list_tags, resolution)


@dataclass(frozen=True)
class _Layout:
    """Of a TIFF: what it begins with, before the link to the first directory, and formats of its numbers."""

    head: bytes
    count: str
    tag: str
    link: str


_CLASSIC = _Layout(struct.pack("<2sH", b"II", 42), "<H", "<HHII", "<I")
_BIG = _Layout(struct.pack("<2sHHH", b"II", 43, 8, 0), "<Q", "<HHQQ", "<Q")


def _iteratePages(
    layout: _Layout, sizes: Sequence[int], strips: Iterable[bytes],
    list_tags: Callable[[int, int], list[tuple[int, int, int, int]]], extra: bytes,
) -> Iterator[bytes]:  # fmt: skip
    """Yield strip and directory of each page, `extra` between those of the first; each links to the next."""
    link_size = struct.calcsize(layout.link)
    at = len(layout.head) + link_size

    def plan(i: int, offset: int) -> tuple[int, int]:
        """Where the directory of page i begins if its strip begins at `offset`, and where it ends."""
        end = offset + sizes[i] + (len(extra) if i == 0 else 0)
        start = end + -end % 8
        length = struct.calcsize(layout.count) + len(list_tags(i, 0)) * struct.calcsize(layout.tag) + link_size
        return start, start + length

    start, end = plan(0, at)
    piece = layout.head + struct.pack(layout.link, start)
    for i, strip in enumerate(strips):
        if len(strip) != sizes[i]:
            raise ValueError(f"strip {i} has {len(strip)} bytes instead of {sizes[i]}")
        tags = list_tags(i, at)
        body = strip + (extra if i == 0 else b"")
        directory = struct.pack(layout.count, len(tags)) + b"".join(struct.pack(layout.tag, *tag) for tag in tags)
        following = plan(i + 1, end) if i + 1 < len(sizes) else (0, 0)
        padding = b"\0" * (start - at - len(body))
        yield piece + body + padding + directory + struct.pack(layout.link, following[0])
        piece, at, (start, end) = b"", end, following


def encodeElectrons(at: np.ndarray, size: int) -> bytes:
    """One frame of an eer movie: 7 bits for the pixels passed over before each electron, 4 for its place in its pixel.

    127 says: as many, and no electron yet. Padded with zeros to 8 bytes, which decoders never reach.

    Args:
        at: indices of the pixels that are hit, ascending, each once. size: pixels of the frame.
    """
    skips = np.diff(at, prepend=-1) - 1
    tail = size - (int(at[-1]) + 1 if len(at) else 0)
    overflows = np.append(skips // 127, tail // 127)
    ends = np.cumsum(overflows + 1) - 1
    values = np.full(int(ends[-1]) + 1, 127, np.uint64)
    widths = np.full(len(values), 7)
    # Sub-pixel 2 of 4 in x and y is stored as 2 xor 2 = 0: four zero bits above the distance.
    values[ends[:-1]], widths[ends[:-1]] = skips % 127, 11
    values[ends[-1]] = tail % 127
    starts = np.cumsum(widths) - widths
    words = np.zeros(-(-(int(starts[-1]) + 11) // 64) + 1, np.uint64)
    word, bit = starts >> 6, (starts & 63).astype(np.uint64)
    first = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[first]] = np.bitwise_or.reduceat(values << bit, first)
    over = np.flatnonzero(bit > 57)  # ends in the next word
    words[word[over] + 1] |= values[over] >> (np.uint64(64) - bit[over])
    return words[:-1].astype("<u8").tobytes()
