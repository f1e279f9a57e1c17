"""Which image has which short name, in sixteen bytes for each."""

from __future__ import annotations

from array import array
from bisect import bisect_left

import numpy

#: So many new ones, or a quarter of the others, are sorted in at a time.
MANY = 10_000


class Owners:
    """The first image of each short name.

    Of a name a number of 64 bits is kept. Where two of a million names have the same, which is less likely than a
    broken disk, the files of one get its id into their name, as those of two images of one name do.
    """

    def __init__(self) -> None:
        self._numbers, self._ids = array("q"), array("q")
        self._new: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ids) + len(self._new)

    def get(self, name: str, default: int) -> int:
        """The id of the image that has a short name, or the default."""
        number = hash(name)
        index = bisect_left(self._numbers, number)
        if index < len(self._numbers) and self._numbers[index] == number:
            return self._ids[index]
        return self._new.get(number, default)

    def add(self, name: str, image_id: int) -> None:
        """An image has this short name, unless another had it before."""
        if self.get(name, -1) == -1:
            self._new[hash(name)] = image_id
            if len(self._new) > max(MANY, len(self._ids) // 4):
                self._sort()

    def _sort(self) -> None:
        numbers = numpy.concatenate([numpy.array(self._numbers, dtype="i8"), numpy.fromiter(self._new, dtype="i8")])
        ids = numpy.concatenate([numpy.array(self._ids, dtype="i8"), numpy.fromiter(self._new.values(), dtype="i8")])
        order = numpy.argsort(numbers)
        self._numbers, self._ids = array("q"), array("q")
        self._numbers.frombytes(numbers[order].tobytes())
        self._ids.frombytes(ids[order].tobytes())
        self._new.clear()
