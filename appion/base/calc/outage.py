"""Something that does not answer for a while: when it began, why, and when to try again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from appion.base.calc.pace import calcBackoff


@dataclass
class Outage:
    """Pauses that grow from `first` to `longest` seconds as long as failures follow each other.

    `tolerance` failures in a row are let pass before the first pause. Times are monotonic; `began` is a Unix time.
    """

    first: float
    longest: float
    tolerance: int = 0
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    failures: int = 0
    began: float | None = None
    until: float = 0.0
    reason: str = ""

    def fail(self, reason: str) -> bool:
        """Count a failure (not the stragglers during a pause); returns whether it is the one that starts a pause."""
        if self.isPaused():
            return False
        self.failures += 1
        self.reason = reason
        if self.failures <= self.tolerance:
            return False
        news = self.began is None
        self.began = self.began or time.time()
        self.until = self.clock() + calcBackoff(self.failures - self.tolerance, self.first, self.longest)
        return news

    def clear(self) -> bool:
        """It works again; returns whether there was an outage."""
        was = self.began is not None
        self.failures, self.began, self.until, self.reason = 0, None, 0.0, ""
        return was

    def isPaused(self) -> bool:
        """Whether it is too early to try."""
        return self.clock() < self.until

    def describe(self) -> dict[str, Any] | None:
        """For the status: since when, why, seconds until the next try; None without an outage."""
        if self.began is None:
            return None
        return {"since": self.began, "reason": self.reason, "next_try": max(0.0, self.until - self.clock())}
