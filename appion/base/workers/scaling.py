"""Pure arithmetic of how many workers there should be; nothing here knows Slurm or Dask."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """What there is to do.

    Attributes:
        backlog: exposures that could be computed now or are being computed.
        seconds: what one takes on a worker; None: not known yet.
        needed: seconds that a worker must have left to take one more.
        quiet: seconds since a new exposure was last seen; infinite if there was none.
    """

    backlog: int = 0
    seconds: float | None = None
    needed: float = 0.0
    quiet: float = math.inf


@dataclass(frozen=True)
class Bounds:
    """The settings that the number of workers follows from; times in seconds (see appion.yaml)."""

    minimum: int = 0
    maximum: int = 8
    latency: float = 300.0
    hold: float = 300.0
    warm: float = 0.0
    assumed: float = 60.0


@dataclass(frozen=True)
class Change:
    """How many jobs to submit, idle workers to retire, and jobs to cancel that wait for their turn."""

    submit: int = 0
    retire: int = 0
    cancel: int = 0


def calcNeed(demand: Demand, bounds: Bounds) -> int:
    """How many workers the demand of this moment asks for.

    So many that the backlog is done within the latency goal, never more than there are exposures. Under steady
    arrivals this settles by itself: with W workers the backlog grows until W of them are just enough.

    >>> calcNeed(Demand(backlog=200, seconds=60.0), Bounds(maximum=50, latency=600.0))
    20
    """
    seconds = bounds.assumed if demand.seconds is None else demand.seconds
    wanted = math.ceil(demand.backlog * seconds / bounds.latency - 1e-9)
    need = min(demand.backlog, max(wanted, 1))
    floor = max(bounds.minimum, 1 if demand.quiet < bounds.warm else 0)
    return min(bounds.maximum, max(need, floor))


def calcNeededTime(longest: float | None, timeout: float | None, margin: float) -> float:
    """Seconds that a worker must have left to take one more exposure.

    Half as much again as the `longest` of late took, at most the program's `timeout`; that, if nothing is known yet.
    """
    limit = math.inf if timeout is None else timeout
    expected = 1.5 * longest if longest is not None else timeout or 0.0
    return margin + min(expected, limit)


class Hold:
    """The largest need of the last `seconds`: growth is followed at once, less is needed only after a while."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._peaks: deque[tuple[float, int]] = deque()  # falling needs, each with when it was last seen

    def update(self, now: float, need: int) -> int:
        """Take in the need of the moment `now`, which never goes back; returns what to keep."""
        while self._peaks and self._peaks[-1][1] <= need:
            self._peaks.pop()
        self._peaks.append((now, need))
        while now - self._peaks[0][0] >= self.seconds and len(self._peaks) > 1:
            self._peaks.popleft()
        return self._peaks[0][1]


def calcChange(target: int, there: int, idle: int, waiting: int, burst: int, dormant: bool) -> Change:
    """What to do about a target.

    Args:
        target: number of workers there should be.
        there: jobs there are, of which `idle` have a worker without work and `waiting` none yet.
        burst: jobs that may be submitted in one go.
        dormant: nothing was needed for the whole hold time. Only then are jobs cancelled that wait for their turn: one
            that starts late and finds nothing to do costs less than losing a place in the queue again and again.
    """
    if target > there:
        return Change(submit=min(burst, target - there))
    surplus = there - target
    retire = min(surplus, idle)
    return Change(retire=retire, cancel=min(surplus - retire, waiting) if dormant else 0)
