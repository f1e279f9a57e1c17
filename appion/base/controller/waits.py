"""Exposures whose input is not ready: why each waits, when it is due for another look, and how many looks there may be.

However many wait, the looks at them are so many a second and no more, once the first thousands were made: where many
wait, each waits longer for its next look, and when one of a crowd turns out to be ready the others are due at once.
"""

from __future__ import annotations

import pickle
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appion.base.calc.allowance import Allowance
from appion.base.calc.pace import calcBackoff, calcReasonGroup
from appion.base.controller.limits import Limits
from appion.base.controller.line import Line
from appion.base.controller.tally import Tally

#: Looks in vain a second that a run may go on with, and how many may be saved up: a look takes some 0.1 ms.
LOOKS, SAVED = 50.0, 10_000

#: So many more looks are allowed for each that was not in vain.
REWARD = 10

#: So many that wait are a crowd, whose members come up for another look together, so many seconds apart.
CROWD, TOGETHER = 100, 1.0

#: So many times its patience after it began to wait, one is given up though nobody got round to looking at it again.
OVERDUE = 5


class Shelf:
    """Parameters that are not needed for a while, in a hundred bytes each: they differ little from the first ones."""

    def __init__(self) -> None:
        self._first = b""

    def pack(self, params: Any) -> Any:
        """Parameters in few bytes, or as they are if they are none or cannot be pickled."""
        if params is None:
            return None
        try:
            data = pickle.dumps(params, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError):
            return params
        self._first = self._first or data
        packer = zlib.compressobj(1, zdict=self._first)
        return Packed(packer.compress(data) + packer.flush())

    def unpack(self, packed: Any) -> Any:
        """What was packed."""
        if not isinstance(packed, Packed):
            return packed
        return pickle.loads(zlib.decompressobj(zdict=self._first).decompress(packed))


class Packed(bytes):
    """What is on the shelf."""


@dataclass(slots=True)
class Wait:
    """Why an exposure waits: `since` is when the reason last changed, `checks` how often it was looked at since.

    `group` is what the reason has in common with others; `looked` is when it was last looked at, as only what was found
    unchanged then is known to be so; `due` is when it may be looked at again. `params` may be packed.
    """

    reason: str
    group: str
    since: float
    params: Any
    checks: int = 0
    looked: float = 0.0
    due: float = 0.0


class Waits(dict[int, Wait]):
    """Those that wait, by id. Times are of `clock`."""

    def __init__(self, line: Line, limits: Limits, clock: Callable[[], float]):
        super().__init__()
        self.limits, self.clock = limits, clock
        self.tally = Tally()
        rate, most = (LOOKS, SAVED) if limits.patient else (0.0, float("inf"))
        self.allowance = Allowance(rate, most, clock)
        self._due = line
        self._shelf = Shelf()
        self._hastened = float("-inf")
        self._watched: OrderedDict[int, None] | None = None  # those that are not given up, once somebody asks

    def note(self, image_id: int, name: str, reason: str, params: Any) -> tuple[float, bool]:
        """It is not ready: returns in how many seconds it is due again, and whether the kind of reason is a new one."""
        wait, now = self.get(image_id), self.clock()
        before = wait.group if wait else None
        if wait is None or wait.reason != reason:
            group = calcReasonGroup(reason, name)
            kept = self._shelf.pack(params) if len(self) > CROWD else params
            wait = self[image_id] = Wait(reason, group if group != before else str(before), now, kept)
            self.tally.put(image_id, group)
            if self._watched is not None:
                self._watched[image_id] = None
        wait.checks, wait.looked = wait.checks + 1, now
        longest = self.limits.recheck_max
        if self.limits.patient:
            longest = max(longest, len(self) / LOOKS)
        delay = calcBackoff(wait.checks, self.limits.recheck, longest)
        wait.due = now + delay
        return delay, wait.group != before

    def readParams(self, image_id: int) -> Any:
        """The parameters of one that waits; None if they have to be asked for anew."""
        return self._shelf.unpack(self[image_id].params)

    def drop(self, image_id: int) -> None:
        """It does not wait any more."""
        if self.pop(image_id, None) is not None:
            self.tally.drop(image_id)
            if self._watched is not None:
                self._watched.pop(image_id, None)

    def isCrowd(self) -> bool:
        """Whether so many wait that they come up for another look together."""
        return self.limits.patient and len(self) > CROWD

    def isDue(self, image_id: int) -> bool:
        """Whether it may be looked at again."""
        wait = self.get(image_id)
        return wait is not None and wait.due <= self.clock()

    def push(self, image_id: int) -> None:
        """It is due, or was chosen and not looked at after all."""
        self._due.push(image_id)

    def choose(self, number: int) -> list[int]:
        """At most `number` of those that are due, as far as looks are allowed."""
        chosen = self._due.pop(min(number, self.allowance.calcLeft()), self.isDue)
        self.allowance.use(len(chosen))
        return chosen

    def reward(self, image_id: int) -> None:
        """A look was not in vain: more are allowed, and if it waited for long all that wait for the same are due."""
        self.allowance.use(-1 - REWARD)
        wait, now = self[image_id], self.clock()
        if not self.isCrowd() or max(wait.since, self._hastened) > now - self.limits.recheck_max:
            return
        self._hastened = now
        others = [one for one, other in self.items() if other.group == wait.group and other.due > now]
        for one in others:
            self[one].due = now
        self._due.extend(others)

    def isAnyWatched(self, patience: float) -> bool:
        """Whether one may still become ready: not found unchanged after `patience` seconds, nor waited for much longer.

        Each is looked at until it is given up, and not again before its reason changes.
        """
        now = self.clock()
        if self._watched is None:
            self._watched = OrderedDict.fromkeys(self)
        while self._watched:
            image_id = next(iter(self._watched))
            wait = self[image_id]
            if wait.looked - wait.since < patience and now - wait.since < OVERDUE * patience:
                return True
            del self._watched[image_id]
        return False
