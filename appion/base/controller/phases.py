"""In which phase each exposure is, and since when it has been known, in some twenty bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any


class Phase(StrEnum):
    """What an exposure is doing."""

    QUEUED = "queued"  # could be handed out now
    WAITING = "waiting"  # input not ready, looked at again and again
    RUNNING = "running"  # handed to a worker
    STORING = "storing"  # computed, its record is in the journal, rows and files not yet in place
    BACKING_OFF = "backing off"  # failed, tried again later
    SET_ASIDE = "set aside"  # failed for good, until somebody says retry
    REJECTED = "rejected"  # hidden, trashed, …
    DONE = "done"


FINISHED = frozenset({Phase.SET_ASIDE, Phase.REJECTED, Phase.DONE})

PHASES = tuple(Phase)
NUMBERS = {phase: number for number, phase in enumerate(PHASES)}
NEVER = float("-inf")


class Phases(Mapping[int, Phase]):
    """The phase of each exposure by id, to be read as a dictionary; how many there are of each is kept.

    Of those that are not finished it is also kept since when, of all of them the earliest. New ids are best set in
    ascending order.
    """

    def __init__(self) -> None:
        self.counts: Counter[Phase] = Counter()
        self._ids = array("q")
        self._numbers = bytearray()
        self._since = array("d")  # NEVER: finished
        self._times: dict[float, int] = {}  # how many unfinished ones are known since then
        self._earliest: list[float] = []  # heap of these times; one of which none is left stays until it comes up

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)

    def __getitem__(self, image_id: int) -> Phase:
        index = self._find(image_id)
        if index is None:
            raise KeyError(image_id)
        return PHASES[self._numbers[index]]

    def get(self, image_id: int, default: Any = None) -> Any:
        """The phase of an exposure, or the default if it is not known."""
        index = self._find(image_id)
        return default if index is None else PHASES[self._numbers[index]]

    def set(self, image_id: int, phase: Phase, now: float) -> Phase | None:
        """Put an exposure into a phase and return the one before."""
        index, before = self._find(image_id), None
        if index is None:
            index = bisect_left(self._ids, image_id) if self._ids and image_id < self._ids[-1] else len(self._ids)
            self._ids.insert(index, image_id)
            self._numbers.insert(index, NUMBERS[phase])
            self._since.insert(index, NEVER)
        else:
            before = PHASES[self._numbers[index]]
            self.counts[before] -= 1
            self._numbers[index] = NUMBERS[phase]
        self.counts[phase] += 1
        since = self._since[index]
        if phase not in FINISHED and since == NEVER:
            self._since[index] = now
            if now not in self._times:
                heappush(self._earliest, now)
            self._times[now] = self._times.get(now, 0) + 1
        elif phase in FINISHED and since != NEVER:
            self._since[index] = NEVER
            self._times[since] -= 1
            if not self._times[since]:
                del self._times[since]
        return before

    def findEarliest(self) -> float | None:
        """Since when the unfinished one that was known first has been known; None if all are finished."""
        while self._earliest and self._earliest[0] not in self._times:
            heappop(self._earliest)
        return self._earliest[0] if self._earliest else None

    def listUnfinished(self) -> dict[int, float]:
        """Since when each unfinished one is known; looks at all."""
        return {image_id: since for image_id, since in zip(self._ids, self._since, strict=True) if since != NEVER}

    def _find(self, image_id: int) -> int | None:
        index = bisect_left(self._ids, image_id)
        return index if index < len(self._ids) and self._ids[index] == image_id else None
