"""Ids of very many exposures, and their names, in a few bytes each: Python's own sets take ten times as much."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Set

import numpy

#: A dead name takes room until so many bytes of them, and more than of the others, have come together.
SPARE = 2**16

END = b"\0"


class Ids(Set[int]):
    """A set of ids that does not change, eight bytes each, in ascending order."""

    __slots__ = ("_array",)

    def __init__(self, ids: Iterable[int] = ()):
        self._array: array[int] = array("q")
        if isinstance(ids, Ids):
            self._array = ids._array
            return
        given = ids if isinstance(ids, numpy.ndarray) else numpy.frombuffer(array("q", ids), dtype=numpy.int64)
        self._array.frombytes(numpy.unique(given.astype(numpy.int64, copy=False)).tobytes())

    @classmethod
    def fromAscending(cls, ids: array[int]) -> Ids:
        """A copy of ids that are in ascending order, each once."""
        copy = cls()
        copy._array = array("q", ids)
        return copy

    @property
    def numbers(self) -> numpy.ndarray:
        """The ids as an array of 64 bits each, ascending; not to be written to."""
        return numpy.frombuffer(self._array, dtype=numpy.int64)

    def __contains__(self, image_id: object) -> bool:
        if not isinstance(image_id, int):
            return False
        index = bisect_left(self._array, image_id)
        return index < len(self._array) and self._array[index] == image_id

    def __iter__(self) -> Iterator[int]:
        return iter(self._array)

    def __len__(self) -> int:
        return len(self._array)

    def __or__(self, other: Iterable[int]) -> Ids:  # type: ignore[override]
        return Ids(numpy.concatenate([self.numbers, Ids(other).numbers])) if other else self

    def __and__(self, other: Iterable[int]) -> Ids:
        return Ids(numpy.intersect1d(self.numbers, Ids(other).numbers, assume_unique=True))

    def __sub__(self, other: Iterable[int]) -> Ids:
        return Ids(numpy.setdiff1d(self.numbers, Ids(other).numbers, assume_unique=True))

    def __xor__(self, other: Iterable[int]) -> Ids:  # type: ignore[override]
        return Ids(numpy.setxor1d(self.numbers, Ids(other).numbers, assume_unique=True))

    def __repr__(self) -> str:
        return f"Ids({list(self._array[:8])}{' …' if len(self) > 8 else ''})"


class Names:
    """Names by id: what a name takes, and sixteen bytes. New ids are best given in ascending order."""

    def __init__(self) -> None:
        self.ids = array("q")
        self._starts = array("q")  # in the text; -1: it has been dropped
        self._text = bytearray()
        self._dropped = self._dead = 0  # names and bytes

    def __len__(self) -> int:
        return len(self.ids) - self._dropped

    def __contains__(self, image_id: int) -> bool:
        return self._find(image_id) is not None

    def __iter__(self) -> Iterator[int]:
        return (image_id for image_id, start in zip(self.ids, self._starts, strict=True) if start >= 0)

    def get(self, image_id: int, default: str = "") -> str:
        """The name of an id, or the default."""
        index = self._find(image_id)
        return default if index is None else self._read(index)

    def put(self, image_id: int, name: str) -> None:
        """Note a name, unless the id has one."""
        index = bisect_left(self.ids, image_id) if self.ids and image_id <= self.ids[-1] else len(self.ids)
        known = index < len(self.ids) and self.ids[index] == image_id
        if known and self._starts[index] >= 0:
            return
        start = len(self._text)
        self._text += name.encode("utf-8", "surrogatepass").replace(END, b"?") + END
        if known:
            self._starts[index] = start
            self._dropped -= 1
        else:
            self.ids.insert(index, image_id)
            self._starts.insert(index, start)

    def drop(self, image_id: int) -> None:
        """Forget a name, if there is one."""
        index = self._find(image_id)
        if index is None:
            return
        start = self._starts[index]
        self._dead += self._text.index(END, start) + 1 - start
        self._starts[index] = -1
        self._dropped += 1
        if self._dead > SPARE and 2 * self._dead > len(self._text):
            self._tidy()

    def copyIds(self) -> Ids:
        """The ids of all names that there are."""
        return Ids(self) if self._dropped else Ids.fromAscending(self.ids)

    def listBetween(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        """Yield ids above `first` up to `last` with their names, ascending. Nothing may be put in meanwhile."""
        for index in range(bisect_left(self.ids, first + 1), bisect_left(self.ids, last + 1)):
            if self._starts[index] >= 0:
                yield self.ids[index], self._read(index)

    def _find(self, image_id: int) -> int | None:
        index = bisect_left(self.ids, image_id)
        there = index < len(self.ids) and self.ids[index] == image_id and self._starts[index] >= 0
        return index if there else None

    def _read(self, index: int) -> str:
        start = self._starts[index]
        return self._text[start : self._text.index(END, start)].decode("utf-8", "surrogatepass")

    def _tidy(self) -> None:
        old = self._text
        kept = [index for index, start in enumerate(self._starts) if start >= 0]
        self._text = bytearray()
        starts = array("q")
        for index in kept:
            start = self._starts[index]
            starts.append(len(self._text))
            self._text += old[start : old.index(END, start) + 1]
        self.ids, self._starts = array("q", (self.ids[index] for index in kept)), starts
        self._dropped = self._dead = 0
