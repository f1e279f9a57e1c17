"""Whether a failure is the image's own, or one that all meet: the same on one image after the other, none succeeding.

A program that crashes on everything, a licence that ran out or an option that it does not know is nothing that an image
could help. Once that is recognised nothing is held against the images, those set aside come back, and one is tried now
and then until one succeeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appion.base.calc.outage import Outage
from appion.base.calc.pace import calcAlike
from appion.base.records.attempt import Attempt

#: Kinds of failures that are told apart, and tries of one that are made in vain before a run that does not wait ends.
MANY_KINDS, TRIES = 100, 4


@dataclass
class Kind:
    """One failure since the last success: what was held `before` against each image that met it, and whom it `counts`.

    An image that had failed so before others succeeded has a fault of its own, and is no evidence.
    """

    before: dict[int, int] = field(default_factory=dict)
    counts: set[int] = field(default_factory=set)


@dataclass
class Alike:
    """The failures since the last success by kind, and the pause that begins when `needed` images met one kind."""

    needed: int
    outage: Outage
    wall: Callable[[], float] = time.time
    kinds: dict[tuple[str, str], Kind] = field(default_factory=dict)  # by stage and group of reasons
    recognised: dict[tuple[str, str], str] = field(default_factory=dict)  # with the reason in words
    succeeded: float = 0.0  # when one last did, as a Unix time
    own: dict[int, tuple[str, str]] = field(default_factory=dict)  # who failed so before others succeeded, and again

    def fail(self, image_id: int, name: str, reason: str, old: Attempt | None, stage: str = "",
             needed: int | None = None) -> dict[int, int]:
        """Take in a failure that is to be held against an image, whose file name this is, and the one before it.

        `needed` images are enough for this one if that is less than usual.

        Returns:
            Those that are to be excused, with the number of failures that are to be held against each.
        """
        key = stage, calcAlike(reason, name)
        kind = self.kinds.setdefault(key, Kind())
        if old is not None and old.last < self.succeeded and calcAlike(old.reason, old.filename) == key[1]:
            self.own[image_id] = key
        kind.before[image_id] = kind.before.pop(image_id, old.count if old else 0)  # the latest is tried last
        if self.own.get(image_id) != key:
            kind.counts.add(image_id)
        if len(self.kinds) > MANY_KINDS:
            del self.kinds[next(one for one in self.kinds if one != key)]
        known = key in self.recognised
        if not known and len(kind.counts) >= min(self.needed, needed or self.needed):
            self.recognised[key] = reason
        if self.recognised:
            self.outage.fail(self.describe())
        if key not in self.recognised:
            return {}
        return {image_id: kind.before[image_id]} if known else dict(kind.before)

    def succeed(self, stage: str = "") -> list[int] | None:
        """One got through this stage; returns the ids that were excused if there was a pause that is over now."""
        self.succeeded = self.wall()
        excused = [one for key in self.recognised if key[0] == stage for one in self.kinds.get(key, Kind()).before]
        self.kinds = {key: kind for key, kind in self.kinds.items() if key[0] != stage}
        self.recognised = {key: reason for key, reason in self.recognised.items() if key[0] != stage}
        return excused if not self.recognised and self.outage.clear() else None

    def listExcused(self) -> list[int]:
        """Those that a recognised failure was met by, the one whose last try was longest ago first."""
        return [one for key in self.recognised for one in self.kinds.get(key, Kind()).before]

    def describe(self) -> str:
        """What is wrong with all, in words; empty if nothing is."""
        if not self.recognised:
            return ""
        key, reason = next(iter(self.recognised.items()))
        number = len(self.kinds[key].before) if key in self.kinds else self.needed
        return f"{number} exposures failed alike and none succeeded: {reason}"

    def isActive(self) -> bool:
        """Whether all fail alike, as far as is known."""
        return self.outage.began is not None

    def isTurned(self) -> bool:
        """Whether one at the other end of the line is to be tried next: it may be that only the first are bad."""
        return self.isActive() and self.outage.failures % 2 == 1

    def isHopeless(self, patience: float) -> bool:
        """Whether that was so for `patience` seconds, and tried again meanwhile."""
        began = self.outage.began
        return began is not None and self.outage.failures > TRIES and self.wall() - began >= patience
