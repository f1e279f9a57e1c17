"""The line in which exposures stand: newest first with a share for the oldest, or plainly newest, oldest, at random."""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heapify, heappop, heappush

from appion.base.failures import ConfigurationFailure

ORDERS = ("live", "newest", "oldest", "shuffle")


class Line:
    """Ids in a heap or two. An id that left by another door stays inside until it comes up and is then skipped."""

    def __init__(self, order: str = "live", backlog_share: float = 0.2, seed: int | None = None):
        if order not in ORDERS:
            raise ConfigurationFailure(f"unknown order {order!r}", f"one of {', '.join(ORDERS)}")
        self.order = order
        self.share = backlog_share if order == "live" else 0.0
        self._credit = 0.0
        self._random = random.Random(seed)
        self._first: list[tuple[float, int]] = []
        self._oldest: list[tuple[float, int]] = []
        self._tidied = 0  # entries left by the last tidying

    def push(self, image_id: int) -> None:
        """Let an id stand in line; one that stands there already may be pushed again."""
        key: float = -image_id
        if self.order == "oldest":
            key = image_id
        elif self.order == "shuffle":
            key = self._random.random()
        heappush(self._first, (key, image_id))
        if self.share:
            heappush(self._oldest, (image_id, image_id))

    def pop(self, number: int, isValid: Callable[[int], bool]) -> list[int]:
        """At most `number` different ids that are still valid, in their order."""
        chosen: dict[int, None] = {}
        while len(chosen) < number:
            self._credit += self.share
            heap = self._oldest if self._credit >= 1 else self._first
            while heap and (heap[0][1] in chosen or not isValid(heap[0][1])):
                heappop(heap)
            if not heap:
                self._credit = 0.0
                self._first.clear()
                self._oldest.clear()
                break
            if heap is self._oldest:
                self._credit -= 1
            chosen[heappop(heap)[1]] = None
        self._tidy(chosen, isValid)
        return list(chosen)

    def _tidy(self, chosen: dict[int, None], isValid: Callable[[int], bool]) -> None:
        """Drop those who left by another door, whenever the heaps have grown to twice what was in them last time."""
        if len(self._first) + len(self._oldest) <= 2 * self._tidied + 1000:
            return
        for heap in (self._first, self._oldest):
            heap[:] = [item for item in heap if item[1] not in chosen and isValid(item[1])]
            heapify(heap)
        self._tidied = len(self._first) + len(self._oldest)
