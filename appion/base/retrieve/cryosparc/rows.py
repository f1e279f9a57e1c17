"""One exposure's values by their names ``slot/field``, whether they come from tables of a job or from a session."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RawExposure:
    """What a folder tells of one exposure.

    Attributes:
        uid: its number. read: its value of a name ``slot/field``, None where there is none.
        original: the path that it was imported from, or empty.
        refused, no_motion, no_fit: as in :class:`appion.base.records.cryosparc.CryosparcExposure`.
        distance: length of its motion, pixels.
    """

    uid: int
    read: Callable[[str], Any]
    original: str = ""
    refused: str = ""
    no_motion: str = ""
    no_fit: str = ""
    distance: float | None = None

    def readText(self, name: str) -> str:
        """Return a text, empty where there is none."""
        value = self.read(name)
        if isinstance(value, bytes):
            value = value.rstrip(b"\0").decode(errors="replace")
        return value if isinstance(value, str) else ""

    def readNumber(self, name: str) -> float | None:
        """Return a number; None where there is none, or one that is not finite."""
        value = self.read(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)

    def readCount(self, name: str) -> int | None:
        """Return a whole number that is not negative, None where there is none."""
        number = self.readNumber(name)
        return int(number) if number is not None and number >= 0 and number == int(number) else None

    def readCounts(self, name: str) -> tuple[int, ...]:
        """Return several whole numbers, such as a shape; nothing where there are none."""
        value = self.read(name)
        if not isinstance(value, list) or not all(isinstance(one, int) and 0 <= one < 1 << 31 for one in value):
            return ()
        return tuple(value)


@dataclass
class Tables:
    """Tables of one output, joined by uid: the columns of all, each from the first table that has it."""

    columns: dict[str, tuple[NDArray, dict[int, int]]] = field(default_factory=dict)
    uids: dict[int, None] = field(default_factory=dict)

    def add(self, table: NDArray) -> None:
        """Add a table, whose uids are each in it once."""
        places = {uid: place for place, uid in enumerate(table["uid"].tolist())}
        self.uids |= dict.fromkeys(places)
        for name in table.dtype.names or ():
            self.columns.setdefault(name, (table[name], places))

    def read(self, uid: int, name: str) -> Any:
        """Return a value as plain Python has it, None where the exposure has none."""
        column, places = self.columns.get(name, (None, {}))
        place = places.get(uid)
        if column is None or place is None:
            return None
        value = column[place]
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def readNested(document: Mapping[str, Any], name: str) -> Any:
    """Return a value of a session's document by its name ``slot/field``; a list of one stands for what is in it."""
    value: Any = document
    for key in name.split("/"):
        value = unwrap(value)
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return unwrap(value)


def unwrap(value: Any) -> Any:
    """Return what is in a list of one."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def listDuplicates(values: Iterable[Any]) -> set[Any]:
    """Return the values that come more than once."""
    seen: set[Any] = set()
    return {value for value in values if value in seen or seen.add(value)}  # type: ignore[func-returns-value]
