"""Where exposures lie: the pictures of hole and square that they are targets on, read level by level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from appion.web.retrieve.exposures import CHUNK, Spot
from sinedon.models import leginondata

#: From the exposure: hole, square, grid, and one more.
LEVELS = 4

FIELDS = (
    "def_id", "filename", "label", "preset__name", "camera__dimension_x", "camera__dimension_y", "target__image_id",
    "target__delta_column", "target__delta_row",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """A picture that others lie on.

    Attributes:
        kind: its label, or the name of its preset, in lower case. width, height: pixels.
        parent: the picture that it is a target on, None if there is none. x, y: pixels from the centre of that.
    """

    image_id: int
    name: str
    kind: str
    width: int
    height: int
    parent: int | None
    x: float
    y: float


class Places:
    """Pictures by id, and what they are to an exposure."""

    def __init__(self) -> None:
        self.found: dict[int, Place] = {}
        self._missing: set[int] = set()

    def read(self, images: Iterable[int | None]) -> None:
        """Read these pictures, what they lie on, and so on: one query a level, none for what is known."""
        wanted = {image for image in images if image}
        for _ in range(LEVELS):
            wanted -= self.found.keys() | self._missing
            if not wanted:
                return
            level = self._readLevel(sorted(wanted))
            self._missing |= wanted - level.keys()
            self.found |= level
            wanted = {place.parent for place in level.values() if place.parent}

    def _readLevel(self, ids: list[int]) -> dict[int, Place]:
        level = {}
        for start in range(0, len(ids), CHUNK):
            rows = leginondata.AcquisitionImageData.objects.filter(def_id__in=ids[start : start + CHUNK])
            for def_id, name, label, preset, width, height, parent, x, y in rows.values_list(*FIELDS):
                kind = f"{label or ''} {preset or ''}".lower()
                level[def_id] = Place(def_id, name or "", kind, width or 0, height or 0, parent or None, x or 0, y or 0)
        return level

    def listAncestors(self, parent: int | None) -> list[Place]:
        """Return the pictures from a parent upwards."""
        chain: list[Place] = []
        while parent in self.found and len(chain) < LEVELS:
            chain.append(self.found[parent])
            parent = chain[-1].parent
        return chain

    def findPlace(self, parent: int | None) -> tuple[Place | None, Place | None]:
        """Return the pictures of square and hole above an exposure's parent, None for what there is not.

        The picture of the whole grid is no square. Where there is one picture alone, its words tell what it is.
        """
        chain = [place for place in self.listAncestors(parent) if not isGrid(place)]
        if len(chain) > 1:
            return chain[1], chain[0]
        if not chain:
            return None, None
        return (None, chain[0]) if isHole(chain[0]) else (chain[0], None)


def isGrid(place: Place) -> bool:
    """Whether a picture is one of the whole grid, by its label or preset."""
    words = place.kind.split()
    return "grid" in place.kind or "atlas" in place.kind or any(word == "gr" for word in words)


def isHole(place: Place) -> bool:
    """Whether a picture is one of a hole or a group of them, by its label or preset."""
    return "hole" in place.kind or any(word.startswith("hl") for word in place.kind.split())


def listSquares(places: Places, spots: Mapping[int, Spot]) -> list[dict[str, Any]]:
    """Return the squares by id: name, size in pixels, and the holes on each with their exposures.

    A hole is a picture of one, or a place on the square's own picture where that is what exposures are targets on; `x`
    and `y` are shares of the square's width and height, from the left and from above.

    Args:
        spots: by exposure.
    """
    squares: dict[int, dict[Any, list[int]]] = {}
    where: dict[Any, tuple[float, float]] = {}
    for exposure, (parent, x, y) in spots.items():
        square, hole = places.findPlace(parent)
        if square is None or not square.width or not square.height:
            continue
        key = hole.image_id if hole else (round(x), round(y))
        squares.setdefault(square.image_id, {}).setdefault(key, []).append(exposure)
        where[square.image_id, key] = (hole.x, hole.y) if hole else (x, y)
    return [describeSquare(places.found[image_id], holes, where) for image_id, holes in sorted(squares.items())]


def describeSquare(square: Place, holes: Mapping[Any, list[int]], where: Mapping[Any, tuple[float, float]],
                   ) -> dict[str, Any]:
    """Return a square with its holes as pages want it."""
    found = []
    for key, exposures in holes.items():
        x, y = where[square.image_id, key]
        found.append({"id": key if isinstance(key, int) else None, "exposures": exposures,
                      "x": round(0.5 + x / square.width, 5), "y": round(0.5 + y / square.height, 5)})  # fmt: skip
    return {"id": square.image_id, "name": square.name, "width": square.width, "height": square.height, "holes": found}
