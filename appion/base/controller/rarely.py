"""Saying a thing when it begins, when it changes, and else rarely."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appion.base.calc.pace import calcReasonGroup

#: Seconds after which something is said again: that goes on unchanged, and that comes and goes.
RARELY, FLAPPING = 1800.0, 60.0


@dataclass
class Said:
    """What was said of a trouble, when (monotonic), and whether that was since it last began."""

    group: str
    when: float
    now: bool = True


@dataclass
class Rarely:
    """What was said of each trouble, by name."""

    clock: Callable[[], float] = time.monotonic
    said: dict[str, Said] = field(default_factory=dict)

    def isNews(self, what: str, reason: str) -> bool:
        """Whether trouble with `what` is to be said: new, for another reason (numbers apart), or not for long."""
        group, now = calcReasonGroup(reason), self.clock()
        before = self.said.get(what)
        if before and before.group == group and now - before.when < (RARELY if before.now else FLAPPING):
            return False
        self.said[what] = Said(group, now)
        return True

    def clear(self, what: str) -> bool:
        """It works; returns whether that is to be said, as the trouble was."""
        before = self.said.get(what)
        news = before is not None and before.now
        if before:
            before.now = False
        return news
