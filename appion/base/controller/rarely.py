"""Saying a thing when it begins, when it changes, and else rarely."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appion.base.calc.pace import calcReasonGroup

#: Seconds after which something that goes on unchanged is said again.
RARELY = 1800.0


@dataclass
class Rarely:
    """What was said of each trouble that there is, and when (monotonic)."""

    clock: Callable[[], float] = time.monotonic
    said: dict[str, tuple[str, float]] = field(default_factory=dict)

    def isNews(self, what: str, reason: str) -> bool:
        """Whether trouble with `what` is to be said: new, for another reason (numbers apart), or not for long."""
        group, now = calcReasonGroup(reason), self.clock()
        before, when = self.said.get(what, ("", 0.0))
        if before == group and now - when < RARELY:
            return False
        self.said[what] = group, now
        return True

    def clear(self, what: str) -> bool:
        """It works; returns whether there was trouble that was said."""
        return self.said.pop(what, None) is not None
