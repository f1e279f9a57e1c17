"""Following references between rows that were read in bulk."""

from __future__ import annotations

from typing import Any

import sinedon
from appion.base.failures import ImageFailure


def getRow(table: dict[int, Any], row: Any, key: str) -> Any:
    """Return the row that `row` refers to. Raises ImageFailure if there is none."""
    number = sinedon.refId(row, key)
    found = table.get(number or 0)
    if found is None:
        what = f"refers to {key} row {number}, which does not exist" if number else f"has no {key}"
        raise ImageFailure(f"{type(row).__name__} {row.def_id} {what}")
    return found


def readPair(camera: Any, key: str) -> tuple[int, int]:
    x, y = getattr(camera, f"{key}_x"), getattr(camera, f"{key}_y")
    if not x or not y:
        raise ImageFailure(f"camera row {camera.def_id} has {key} {x} x {y}")
    return int(x), int(y)
