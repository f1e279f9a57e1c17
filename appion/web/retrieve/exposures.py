"""The exposures of a session page, from Leginon's rows: read once, and what is new added."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from appion.base.retrieve.images import OVERLAP, Selection, constructImageQuery
from appion.base.retrieve.session import Session
from appion.base.retrieve.taken import calcTime
from sinedon.models import leginondata

#: Ids in one query: no session has so many.
CHUNK = 20_000

#: What is known of an exposure before any result, in the words of the series where it has them.
COLUMNS = (
    "id", "name", "exposed", "preset", "target", "grid", "stage_x", "stage_y", "stage_z", "stage_tilt",
    "image_shift_x", "image_shift_y", "defocus_nominal",
)  # fmt: skip

FIELDS = (
    "def_id", "filename", "def_timestamp", "preset__name", "target_id", "grid_id", "scope__stage_position_x",
    "scope__stage_position_y", "scope__stage_position_z", "scope__stage_position_a", "scope__image_shift_x",
    "scope__image_shift_y", "scope__defocus", "target__image_id", "target__delta_column", "target__delta_row",
)  # fmt: skip

#: What Leginon knows of an exposure: values of :data:`COLUMNS`, and its spot: the picture that it is a target on (None
#: if there is none), and where on it, in pixels from its centre.
Spot = tuple[int | None, float, float]
Found = tuple[tuple[Any, ...], Spot]

#: What a value of a row is multiplied with, from the stage's x on.
SCALES = (1e6, 1e6, 1e6, 180 / math.pi, 1e6, 1e6, 1e10)


def readExposures(session: Session, preset: str, after: int) -> Iterator[Found]:
    """Yield the exposures of a preset with ids above `after`, and some below that may have come late: one query."""
    query = constructImageQuery(Selection(session, preset=preset))
    rows = query.filter(def_id__gt=max(0, after - OVERLAP)).order_by("def_id")
    yield from map(convertRow, rows.values_list(*FIELDS))


def readImages(ids: Iterable[int]) -> Iterator[Found]:
    """Yield the same of images by id."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), CHUNK):
        query = leginondata.AcquisitionImageData.objects.filter(def_id__in=wanted[start : start + CHUNK])
        yield from map(convertRow, query.order_by("def_id").values_list(*FIELDS))


def convertRow(row: tuple[Any, ...]) -> Found:
    """Return a row in the units of the columns."""
    def_id, name, written, preset, target, grid, *numbers, parent, x, y = row
    values = [None if value is None else float(f"{value * scale:.6g}")
              for value, scale in zip(numbers, SCALES, strict=True)]  # fmt: skip
    if values[-1] is not None:
        values[-1] = abs(values[-1])
    exposed = calcTime(written)
    shown = None if exposed is None else round(exposed, 3)
    spot = (parent or None, x or 0.0, y or 0.0)
    return (def_id, name or "", shown, preset, target or None, grid or None, *values), spot
