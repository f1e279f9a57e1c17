"""The header of an MRC file: what its bytes mean, by the standard and by the stamps and flags of those who write it.

The standard (MRC2014) says that bytes are signed. IMOD and SerialEM leave a stamp and flags that say otherwise, as
IMOD's documentation of the format (mrc_format.txt) describes: bytes are unsigned unless flag 1 is set, which means that
128 was subtracted to make them signed; flag 16 means two 4-bit pixels in a byte of a picture that is said to be half as
wide.
"""

from __future__ import annotations

import struct

import numpy as np

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve.movieheader import MovieHeader, checkFrameCount, checkShape

#: numpy types of the MRC modes that hold real pixels; 101 packs two 4-bit pixels into a byte, low half first.
MRC_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2", 101: "u1"}
#: The stamp of IMOD and of programs that set the same flags.
IMOD_STAMP = 1146047817
#: Its flags: bytes are signed (128 was subtracted); two 4-bit pixels are in a byte.
SIGNED, PACKED = 1, 16
#: Label and sizes (columns, rows; within 2) of super-resolution movies that SerialEM packed before there was a flag.
PACKED_LABEL = b"4 bits packed"
PACKED_SIZES = ((3838, 7420), (3710, 7676), (3840, 7424), (3712, 7680), (5760, 8184), (4092, 11520))


def readMrcHeader(path: str, head: bytes, size: int) -> MovieHeader:
    """Return what the first 1024 bytes of a file of `size` bytes say.

    Raises:
        NotReady: it is shorter than its header says.
        ImageFailure: it is no movie of real numbers, or none that is understood.
    """
    if len(head) < 1024:
        if head[:3] in (b"II*", b"MM\0"):
            raise NotReady(f"{path}: {len(head)} bytes, the header is not complete")
        raise NotReady(f"{path}: {len(head)} bytes, less than the 1024 of an MRC header", "still being written?")
    if not any(head):
        raise NotReady(f"{path}: the header is all zeros", "still being written?")
    order = _findByteOrder(path, head)
    nx, ny, nz, mode = struct.unpack_from(order + "4i", head)
    if mode not in MRC_TYPES:
        raise ImageFailure(f"{path}: MRC mode {mode}, map stamp {head[208:212]!r}: not a movie of real numbers")
    if nx <= 0 or ny <= 0 or nz <= 0:
        raise ImageFailure(f"{path}: the header says {nx} x {ny} pixels and {nz} frames")
    rowbytes = (nx + 1) // 2 if mode == 101 else nx * np.dtype(MRC_TYPES[mode]).itemsize
    offset = 1024 + max(0, struct.unpack_from(order + "i", head, 92)[0])
    expected = offset + nz * ny * rowbytes
    warnings = _checkStamp(path, head, order, size == expected)
    _checkAxes(path, struct.unpack_from(order + "3i", head, 64))
    dtype, packed, shifted, unusual = _readMeaning(path, head, order, mode, (nx, ny))
    if packed and mode != 101:
        nx *= 2
    checkShape(path, (ny, nx))
    checkFrameCount(path, nz)
    if size < expected:
        frames = f"{nz} frames of {ny} x {nx}, mode {mode}"
        raise NotReady(f"{path}: {size} bytes instead of the {expected} for {frames}",
                       "truncated or still being written")
    if size > expected:
        warnings += (f"{size - expected} bytes lie behind the last pixel of the movie and are left out of account",)
    mx, cell = struct.unpack_from(order + "i", head, 28)[0], struct.unpack_from(order + "f", head, 40)[0]
    pixelsize = cell / mx if mx > 0 and np.isfinite(cell) and cell > 0 else 0.0
    return MovieHeader(path, "mrc", nz, (ny, nx), dtype, expected, pixelsize, offset if order == "<" else -offset, mode,
                       packed, shifted, unusual=unusual, warnings=warnings)


def _findByteOrder(path: str, head: bytes) -> str:
    """Return < or >, whichever gives a plausible header."""
    for order in "<>":
        nx, ny, _, mode = struct.unpack_from(order + "4i", head)
        if 0 <= mode < 128 and 0 <= nx < 1 << 20 and 0 <= ny < 1 << 20:
            return order
    cols, rows, _, mode = struct.unpack_from("<4i", head)
    if head[208:211].upper() == b"MAP" and mode in MRC_TYPES:
        checkShape(path, (rows, cols))
    raise ImageFailure(f"{path}: neither MRC nor TIFF nor EER (first bytes {head[:8]!r})")


def _checkStamp(path: str, head: bytes, order: str, fits: bool) -> tuple[str, ...]:
    """Return a warning if the map stamp is not what it should be.

    Files from before 2000 have something else in its place; such a file is believed if its size is what its header says
    and its axes are axes.
    """
    stamp = head[208:212]
    if stamp[:3] == b"MAP":
        return ()
    plain = stamp[:3].upper() == b"MAP" or not stamp.strip(b" \0")
    if not plain and not (fits and all(0 <= axis <= 3 for axis in struct.unpack_from(order + "3i", head, 64))):
        raise ImageFailure(f"{path}: map stamp {stamp!r} instead of b'MAP ', and the rest does not look like MRC")
    return (f"the header's map stamp is {stamp!r} instead of b'MAP '",)


def _checkAxes(path: str, axes: tuple[int, ...]) -> None:
    """Raise ImageFailure if columns, rows and frames are stored in another order. What is no axis is no statement."""
    if -2 in axes:
        raise ImageFailure(f"{path}: its rows are stored upside down (map axes {axes})", "write it anew with IMOD")
    if sorted(axes) == [1, 2, 3] and axes != (1, 2, 3):
        raise ImageFailure(f"{path}: columns, rows and frames are stored as axes {axes} instead of (1, 2, 3)",
                           "write it anew in the usual order")


def _readMeaning(path: str, head: bytes, order: str, mode: int, size: tuple[int, int]) -> tuple[str, bool, bool, str]:
    """Return the numpy name of the numbers, whether two are in a byte, whether 128 has to be added, and in words what
    other programs may take for something else."""
    if mode == 101:
        return "uint8", True, False, ""
    if mode != 0:
        return np.dtype(MRC_TYPES[mode]).name, False, False, ""
    stamp, flags = struct.unpack_from(order + "2i", head, 152)
    flags = flags if stamp == IMOD_STAMP else 0
    if flags & PACKED or _isPackedBySerialEM(head, order, size):
        if flags & SIGNED:
            raise ImageFailure(f"{path}: 4-bit pixels packed into signed bytes (IMOD's flags {flags})",
                               "write it anew as mode 101 or TIFF")
        return "uint8", True, False, "two 4-bit pixels in each byte of mode 0, as IMOD and SerialEM mark them"
    if stamp == IMOD_STAMP:
        if flags & SIGNED:
            return "uint8", False, True, "bytes from which 128 was subtracted, as IMOD's flag for signed bytes says"
        return "uint8", False, False, ""
    low, high = struct.unpack_from(order + "2f", head, 76)
    if low >= 0 and 128 <= high <= 255:  # what signed bytes cannot be
        return "uint8", False, False, ""
    return "int8", False, False, ""


def _isPackedBySerialEM(head: bytes, order: str, size: tuple[int, int]) -> bool:
    labels = struct.unpack_from(order + "i", head, 220)[0]
    return labels == 1 and PACKED_LABEL in head[224:304] and any(
        abs(size[0] - cols) <= 2 and abs(size[1] - rows) <= 2 for cols, rows in PACKED_SIZES)
