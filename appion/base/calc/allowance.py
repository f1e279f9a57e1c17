"""How much may be done at a time: so much a second on average, and what was not used for a while at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Allowance:
    """`rate` a second, of which `most` are saved up at most; there is as much at the beginning."""

    rate: float
    most: float
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _left: float = field(default=float("inf"), repr=False)
    _at: float = field(default=float("inf"), repr=False)

    def calcLeft(self) -> int:
        """How much may be done now."""
        now = self.clock()
        self._left = min(self.most, self._left + self.rate * max(0.0, now - self._at))
        self._at = now
        return int(min(self._left, 1e9))

    def use(self, number: float) -> None:
        """So much was done; a negative number gives back."""
        self._left -= number
