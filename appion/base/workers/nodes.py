"""Which nodes are sick, by what comes back from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass
class Nodes:
    """Which nodes fail again and again while others do not; times are monotonic seconds.

    A node is excluded after `limit` failures in a row. A second one only if meanwhile another node got something done:
    when everything fails everywhere, it is not the nodes. After `term` seconds a node gets another chance, and a single
    failure then suffices.
    """

    limit: int
    term: float
    excluded: dict[str, float] = field(default_factory=dict)  # node -> until when
    reasons: dict[str, str] = field(default_factory=dict)
    _rows: dict[str, list[float]] = field(default_factory=dict)  # times of failures since the last success
    _successes: dict[str, float] = field(default_factory=dict)  # when a node last got something done

    def succeed(self, node: str, now: float) -> None:
        """Something was computed on a node."""
        self._rows.pop(node, None)
        self._successes[node] = now

    def fail(self, node: str, reason: str, now: float) -> bool:
        """Something failed on a node and it is not the image's fault; returns whether the node is excluded by this."""
        if not node or self.limit <= 0 or node in self.excluded:
            return False
        row = self._rows.setdefault(node, [])
        row.append(now)
        del row[: -self.limit]
        if len(row) < self.limit:
            return False
        well = any(when >= row[0] for other, when in self._successes.items() if other != node)
        alone = not self.excluded and not any(other != node for other in self._rows)
        if not (well or alone):
            return False
        self.excluded[node], self.reasons[node] = now + self.term, reason
        return True

    def expire(self, now: float) -> list[str]:
        """Nodes whose term is over, which may be used again."""
        over = [node for node, until in self.excluded.items() if until <= now]
        for node in over:
            del self.excluded[node]
            self._rows[node] = [-math.inf] * (self.limit - 1)
        return over
