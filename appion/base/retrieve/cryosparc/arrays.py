"""Arrays in numpy's format (``.npy``), which CryoSPARC's tables (``.cs``) are as well: bounds first, then numbers.

What is read comes from folders that others write: no pickles, no more than a header of a bounded size says.
"""

from __future__ import annotations

import math
import os
import stat
import struct

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve.access import readFile

#: The first bytes of a table that CryoSPARC has compressed.
COMPRESSED = b"\x95CSDAT"

#: Bytes of a header and of a whole array that are believed.
MAX_HEADER, MAX_BYTES = 1 << 20, 1 << 32


def readArray(path: str) -> NDArray:
    """Return the array of a file.

    Raises:
        NotReady: it is missing, or shorter than its header says.
        ImageFailure: it is none, is compressed, or holds objects or more than is believed.
        InfrastructureFailure: the disk does not answer.
    """
    with readFile(path):
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe or a device would never end
            raise ImageFailure(f"{path}: is no file")
        with open(path, "rb") as file:
            dtype, shape, fortran = _readHeader(path, file)
            expected = math.prod(shape) * dtype.itemsize
            left = os.fstat(file.fileno()).st_size - file.tell()
            if expected > MAX_BYTES:
                raise ImageFailure(f"{path}: its header says {expected} bytes, more than any such file has")
            if left < expected:
                raise NotReady(f"{path}: {left} bytes instead of {expected}", "still being written?")
            data = np.frombuffer(file.read(expected), dtype, math.prod(shape))
    return data.reshape(shape, order="F" if fortran else "C")


def _readHeader(path: str, file) -> tuple[np.dtype, tuple[int, ...], bool]:
    """Read the header; return type, shape and whether columns come first."""
    head = file.read(12)
    if head.startswith(COMPRESSED):
        raise ImageFailure(f"{path} is compressed in CryoSPARC's own way",
                           "export the results of the job, or save it with cryosparc-tools as NUMPY_FORMAT")
    if len(head) < 12:
        raise NotReady(f"{path}: {len(head)} bytes", "still being written?")
    version = head[6], head[7]
    if head[:6] != b"\x93NUMPY" or version not in ((1, 0), (2, 0)):
        raise ImageFailure(f"{path} is no array of numpy (first bytes {head[:8]!r})")
    length = struct.unpack("<H" if version == (1, 0) else "<I", head[8 : 10 if version == (1, 0) else 12])[0]
    if length > MAX_HEADER:
        raise ImageFailure(f"{path}: its header says that it has {length} bytes itself")
    file.seek(8)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file, max_header_size=MAX_HEADER)
    except Exception as error:  # a header of other bytes makes numpy raise whatever its parsers do
        raise ImageFailure(f"{path}: its header cannot be read: {str(error)[:200]}") from error
    if dtype.hasobject or dtype.itemsize == 0 or any(side < 0 for side in shape):
        raise ImageFailure(f"{path} holds what is no plain number or text")
    return dtype, shape, fortran


def readTable(path: str) -> NDArray:
    """Return a table (``.cs``): one row for each exposure, named columns, ``uid`` among them, each uid once.

    Raises:
        NotReady, ImageFailure, InfrastructureFailure: as :func:`readArray`; ImageFailure: it is no such table.
    """
    table = readArray(path)
    if table.ndim != 1 or "uid" not in (table.dtype.names or ()) or table.dtype["uid"].kind not in "ui":
        raise ImageFailure(f"{path} is no table of CryoSPARC: it has no column uid")
    if len(np.unique(table["uid"])) < len(table):
        raise ImageFailure(f"{path} has several rows of one uid", "a table of exposures has one")
    return table


def readTrajectory(path: str, index: int = 0) -> list[tuple[float, float]]:
    """Return (x, y) of each frame of a file of whole frames' motion: (exposures, frames, 2), or (frames, 2).

    Raises:
        NotReady, ImageFailure, InfrastructureFailure: as :func:`readArray`; ImageFailure: it has no such motion.
    """
    data = readArray(path)
    if data.ndim == 2:
        data = data[None]
    if data.ndim != 3 or data.shape[2] != 2 or not 0 <= index < len(data) or data.dtype.kind not in "fiu":
        raise ImageFailure(f"{path} holds no motion of whole frames number {index}: its shape is {data.shape}")
    points = np.asarray(data[index], np.float64)
    if not len(points) or not np.isfinite(points).all():
        raise ImageFailure(f"{path} has positions that are no numbers")
    return [(float(x), float(y)) for x, y in points]
