"""Movies as files: MRC, TIFF and EER; and a file that grows while it is written, as when a camera server copies it."""

from __future__ import annotations

import io
import os
import struct
import time
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
    data = data[: round(len(data) * stop_at)]
    size = -(-len(data) // steps)
    with open(path, "wb") as f:
        for start in range(0, len(data), size):
            if start:
                time.sleep(seconds / max(1, steps - 1))
            f.write(data[start : start + size])
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
    """A BigTIFF of one strip a frame, compression 65001: electrons as 7-bit distances and 4-bit sub-pixels.

    Layout after the description of the format by its maker (Thermo Fisher Scientific, "EER file format documentation").
    """
    rows, cols = frames.shape[1:]
    meta = b'<metadata><item name="numberOfFrames">%d</item></metadata>' % len(frames)
    out = bytearray(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))
    link = 8
    for i, frame in enumerate(frames):
        strip = _encodeElectrons(frame)
        offset = len(out)
        out += strip
        tags = [(256, 4, 1, cols), (257, 4, 1, rows), (258, 3, 1, 1), (259, 3, 1, 65001), (262, 3, 1, 1),
                (273, 16, 1, offset), (277, 3, 1, 1), (278, 4, 1, rows), (279, 16, 1, len(strip))]  # fmt: skip
        if i == 0:
            tags.append((65001, 7, len(meta), len(out)))
            out += meta
        out += b"\0" * (-len(out) % 8)
        struct.pack_into("<Q", out, link, len(out))
        out += struct.pack("<Q", len(tags))
        for tag in tags:
            out += struct.pack("<HHQQ", *tag)
        link = len(out)
        out += struct.pack("<Q", 0)
    return bytes(out)


def _encodeElectrons(frame: np.ndarray) -> bytes:
    """One frame of 0 and 1: pixels passed over before each electron (127: as many, no electron yet) and its sub-pixel.

    Padded with zeros to 8 bytes, which decoders never reach.
    """
    at = np.flatnonzero(frame)
    skips = np.diff(at, prepend=-1) - 1
    tail = frame.size - (at[-1] + 1 if len(at) else 0)
    overflows = np.append(skips // 127, tail // 127)
    ends = np.cumsum(overflows + 1) - 1
    values = np.full(ends[-1] + 1, 127, np.uint16)
    widths = np.full(ends[-1] + 1, 7)
    # Sub-pixel 2 of 4 in x and y is stored as 2 xor 2 = 0: four zero bits above the distance.
    values[ends[:-1]], widths[ends[:-1]] = skips % 127, 11
    values[ends[-1]] = tail % 127
    starts = np.cumsum(widths) - widths
    bits = np.zeros(-(-(int(starts[-1]) + 11) // 64) * 64, np.uint8)
    for bit in range(7):
        bits[starts + bit] = values >> bit & 1
    return np.packbits(bits, bitorder="little").tobytes()
