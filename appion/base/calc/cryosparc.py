"""CryoSPARC's names, signatures and coordinates in terms of Leginon's. Pure functions."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from itertools import pairwise

#: What CryoSPARC puts before the name of what it imports: a number of 21 digits.
PREFIX = re.compile(r"^\d{21}_")

#: What it puts behind the name of what it makes.
MADE = re.compile(r"_(?:patch|rigid)_aligned(?:_doseweighted)?$")
WEIGHTED = "_doseweighted"

#: Endings of movies and micrographs, each of which may follow another.
ENDINGS = (".mrc", ".mrcs", ".tif", ".tiff", ".eer", ".bz2")

#: What Leginon puts behind the name of a movie.
FRAMES = ".frames"

#: Relative difference up to which two lengths of one path are the same.
SAME_LENGTH = 0.01

Points = Sequence[tuple[float, float]]


def stripName(path: str) -> str:
    """Return the name of an exposure or micrograph as Leginon has it, of a path that CryoSPARC tells."""
    name = _stripEndings(PREFIX.sub("", path.rpartition("/")[2]))
    name = _stripEndings(MADE.sub("", name))
    return name.removesuffix(FRAMES)


def _stripEndings(name: str) -> str:
    while ending := next((one for one in ENDINGS if name.lower().endswith(one)), ""):
        name = name[: -len(ending)]
    return name


def isMade(path: str) -> bool:
    """Return whether a micrograph's name says that CryoSPARC made it from a movie."""
    return MADE.search(_stripEndings(path.rpartition("/")[2])) is not None


def isWeighted(path: str) -> bool:
    """Return whether a micrograph's name says that it is weighted by dose."""
    return _stripEndings(path.rpartition("/")[2]).endswith(WEIGHTED)


def calcSignature(path: str) -> int:
    """Return the signature by which CryoSPARC knows an imported file again, of its absolute path.

    Source: cryosparc-tools, cryosparc/tools.py, get_import_signatures: the first 8 bytes of SHA-1, low byte first.
    """
    digest = hashlib.sha1(path.encode(errors="surrogateescape"), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little")


def calcLength(points: Points) -> float:
    """Return the length of a path."""
    return math.fsum(math.dist(here, there) for here, there in pairwise(points))


def findUnit(points: Points, distance: float | None, pixelsize: float) -> float | None:
    """Return by what a trajectory has to be divided to be in pixels: 1, or the pixel size (Å) where it is in Å.

    It is in pixels unless the length of the path that the session tells, in pixels, says otherwise; None where that
    fits neither.
    """
    length = calcLength(points)
    if distance is None or not distance > 0 or not length > 0:
        return 1.0
    for unit in (1.0, pixelsize):
        if abs(length / unit - distance) <= SAME_LENGTH * distance:
            return unit
    return None


def calcFramePositions(points: Points, factor: float, upside_down: bool) -> list[tuple[float, float]]:
    """Return where the specimen was in each frame, pixels of the sum, relative to the middle frame (number N // 2).

    Args:
        points: CryoSPARC's trajectory, in pixels. factor: how much larger the pixels of the sum are.
        upside_down: whether CryoSPARC's rows run the other way than those of the frames; then y changes its sign.
    """
    if not points:
        return []
    middle_x, middle_y = points[len(points) // 2]
    sign = -1 if upside_down else 1
    return [((x - middle_x) / factor, sign * (y - middle_y) / factor) for x, y in points]
