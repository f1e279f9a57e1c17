"""Pictures of a session: those that lie in run folders, and those made of micrographs when somebody looks."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.utils import data_dtype_from_header, data_shape_from_header
from PIL import Image

from appion.base.calc.thumbnail import averageBlocks, calcGreyLevels
from appion.base.records.runfolder import driftPlotPath, thumbnailPath
from appion.base.retrieve.paths import constructImagePath
from appion.base.retrieve.runs import Run
from appion.base.retrieve.session import Session
from sinedon.models import appiondata, leginondata

#: Longest sides that pictures are made with: so few that each is made once.
SIDES = (256, 512, 1024, 2048, 4096)

#: Rows of an image that are in memory at a time.
STRIP = 256

#: Of a JPEG.
QUALITY = 88

#: What the four pictures of a CTF show, as classic names them.
GRAPHS = ("spectrum and fit", "fit in one dimension", "spectrum as the program wrote it",
          "rotational average as the program wrote it")  # fmt: skip


@dataclass(frozen=True)
class Micrograph:
    """An image of a session and its file."""

    image_id: int
    name: str
    path: str


def isFileName(name: str) -> bool:
    """Whether a name from a database is one of a file, and no way to another folder."""
    return bool(name) and name not in (".", "..") and not any(sign in name for sign in "/\\\0")


def findMicrograph(session: Session, image_id: int) -> Micrograph | None:
    """Return an image if it is one of the session: one query."""
    rows = leginondata.AcquisitionImageData.objects.filter(def_id=image_id, session_id=session.def_id)
    found = rows.values_list("filename", "mrc_image").first()
    if found is None:
        return None
    file = found[1] or f"{found[0]}.mrc"
    if not isFileName(file):
        return None
    return Micrograph(image_id, found[0] or "", constructImagePath(session.image_path, session.name, file))


def chooseSide(text: str) -> int:
    """Return the longest side that comes nearest to the one that is asked for, not below it where there is one."""
    wanted = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 1024
    return next((side for side in SIDES if side >= wanted), SIDES[-1])


def calcKey(micrograph: Micrograph, side: int) -> str:
    """Return what tells this picture from all others, also from that of a file that is written anew.

    Raises:
        OSError: the file is not there.
    """
    state = os.stat(micrograph.path)
    return f"{micrograph.path} {state.st_size} {state.st_mtime_ns} {side}"


def drawMicrograph(micrograph: Micrograph, side: int) -> bytes:
    """Return a JPEG of an image file, averaged in blocks to no more than `side` pixels; no row is held twice.

    Raises:
        OSError, ValueError: it is not there, or no image.
    """
    with mrcfile.open(micrograph.path, mode="r", permissive=True, header_only=True) as mrc:
        shape, kind = data_shape_from_header(mrc.header), data_dtype_from_header(mrc.header)
        start = mrc.header.nbytes + int(mrc.header.nsymbt)
    if kind.kind == "c" or len(shape) < 2 or not all(shape):
        raise ValueError(f"{micrograph.path} is no image: {kind}, {shape}")
    rows, columns = shape[-2:]
    factor = max(1, -(-max(rows, columns) // side))
    step = max(factor, STRIP // factor * factor)
    last = max(1, rows // factor) * factor
    strips = []
    for first in range(0, min(last, rows), step):
        size = min(step, rows - first), columns
        # Each is mapped on its own: what was mapped counts as memory until it is let go.
        strip = np.memmap(micrograph.path, kind, "r", start + first * columns * kind.itemsize, size)
        strips.append(averageBlocks(strip, factor))
    small = np.concatenate([strip for strip in strips if strip.shape[1] == strips[0].shape[1]])  # but for a rest
    del strips
    file = io.BytesIO()
    Image.fromarray(calcGreyLevels(np.nan_to_num(small, copy=False))).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def findThumbnail(run: Run, name: str) -> Path | None:
    """Return the small picture of an exposure in the folder of a motion run, if it is there."""
    return findFile(run, thumbnailPath(run.folder, name), name)


def findDriftPlot(run: Run, name: str) -> Path | None:
    """Return the plot of an exposure's drift in the folder of a motion run, if it is there."""
    return findFile(run, driftPlotPath(run.folder, name), name)


def findFile(run: Run, path: Path, name: str) -> Path | None:
    """Return a path in a run folder that was made of a name, if the name is one and the file is there."""
    return path if run.folder and isFileName(name) and os.path.isfile(path) else None


def findGraph(run: Run, micrographs: list[int], number: int) -> Path | None:
    """Return the picture of that number (from 0) of the newest CTF of any of these images: one query."""
    rows = appiondata.ApCtfData.objects.using(run.alias).filter(acerun_id=run.def_id, image_id__in=micrographs)
    name = rows.order_by("-def_id").values_list(f"graph{number + 1}", flat=True).first() or ""
    return findFile(run, Path(run.folder) / "opimages" / name, name)
