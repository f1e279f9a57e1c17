"""The line in which exposures stand: newest first with a share for the oldest, or plainly newest, oldest, at random."""

from __future__ import annotations

import itertools
import random
from array import array
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush

from appion.base.failures import ConfigurationFailure

ORDERS = ("live", "newest", "oldest", "shuffle")

#: So many that come together are sorted into the stock instead of the heaps.
MANY = 1000


class Line:
    """Ids in a heap or two, those that came in great numbers in a sorted stock that is taken from either end.

    An id that left by another door stays inside until it comes up and is then skipped.
    """

    def __init__(self, order: str = "live", backlog_share: float = 0.2, seed: int | None = None):
        if order not in ORDERS:
            raise ConfigurationFailure(f"unknown order {order!r}", f"one of {', '.join(ORDERS)}")
        self.order = order
        self.share = backlog_share if order == "live" else 1.0 if order == "oldest" else 0.0
        self._credit = 0.0
        self._random = random.Random(seed)
        self._newest: list[int] = []  # heap of negative ids
        self._oldest: list[int] = []  # heap
        self._stock = array("q")  # of which those from `_start` on, before `_end`, are left
        self._start = self._end = 0
        self._bag = array("q")  # in no order
        self._tidied = 0  # entries left by the last tidying

    def push(self, image_id: int) -> None:
        """Let an id stand in line; one that stands there already may be pushed again."""
        if self.order == "shuffle":
            self._bag.append(image_id)
            return
        if self.share < 1:
            heappush(self._newest, -image_id)
        if self.share:
            heappush(self._oldest, image_id)

    def extend(self, ids: Iterable[int]) -> None:
        """Let several stand in line, many of them in eight bytes each."""
        many = array("q", ids)
        if len(many) < MANY or self.order == "shuffle":
            for image_id in many:
                self.push(image_id)
            return
        many.extend(self._stock[self._start : self._end])
        self._stock = array("q", sorted(many))
        self._start, self._end = 0, len(self._stock)

    def pop(self, number: int, isValid: Callable[[int], bool]) -> list[int]:
        """At most `number` different ids that are still valid, in their order."""
        chosen: dict[int, None] = {}
        while len(chosen) < number:
            self._credit += self.share
            oldest = self._credit >= 1
            while (one := self._takeNext(oldest)) is not None and (one in chosen or not isValid(one)):
                pass
            if one is None:
                self._credit = 0.0
                self._newest.clear()
                self._oldest.clear()
                break
            if oldest:
                self._credit -= 1
            chosen[one] = None
        self._tidy(chosen, isValid)
        return list(chosen)

    def findLast(self, isValid: Callable[[int], bool]) -> int | None:
        """The valid id that would come last, which keeps its place; None if there is none. Looks at all of them."""
        best = max if self.order == "oldest" else min
        heaped = (abs(one) for one in itertools.chain(self._newest, self._oldest, self._bag))
        stocked = range(self._start, self._end) if best is min else range(self._end - 1, self._start - 1, -1)
        ends = filter(isValid, (self._stock[index] for index in stocked))
        return best(itertools.chain(filter(isValid, heaped), itertools.islice(ends, 1)), default=None)

    def _takeNext(self, oldest: bool) -> int | None:
        """Take out the first id, from the older or the newer end; None if there is none."""
        if self.order == "shuffle":
            return self._takeAny()
        stocked = self._start < self._end
        if oldest:
            if stocked and not (self._oldest and self._oldest[0] < self._stock[self._start]):
                self._start += 1
                return self._stock[self._start - 1]
            return heappop(self._oldest) if self._oldest else None
        if stocked and not (self._newest and -self._newest[0] > self._stock[self._end - 1]):
            self._end -= 1
            return self._stock[self._end]
        return -heappop(self._newest) if self._newest else None

    def _takeAny(self) -> int | None:
        if not self._bag:
            return None
        index = self._random.randrange(len(self._bag))
        self._bag[index], self._bag[-1] = self._bag[-1], self._bag[index]
        return self._bag.pop()

    def _tidy(self, chosen: dict[int, None], isValid: Callable[[int], bool]) -> None:
        """Drop those who left by another door, whenever the heaps have grown to twice what was in them last time."""
        if len(self._newest) + len(self._oldest) <= 2 * self._tidied + 1000:
            return
        self._newest = [item for item in self._newest if -item not in chosen and isValid(-item)]
        self._oldest = [item for item in self._oldest if item not in chosen and isValid(item)]
        heapify(self._newest)
        heapify(self._oldest)
        self._tidied = len(self._newest) + len(self._oldest)
