"""When nothing comes: for how long that has been so, whether the run rests, and how often it asks then."""

from __future__ import annotations

import itertools
import logging
import time

from appion.base.config import setting
from appion.base.controller.run import Run
from appion.base.controller.state import Phase
from appion.base.store.systemd import calcLongestPause

logger = logging.getLogger(__name__)

#: What somebody works on, or is about to.
BUSY = (Phase.QUEUED, Phase.RUNNING, Phase.STORING)

#: How many pauses between new exposures tell what is usual, and the longest rest that they put off, in seconds.
PAUSES, LONGEST = 20, 600.0

#: A rest of so many seconds puts off the next question by one.
SLOWNESS = 60.0

#: Seconds between two signs of life of a run that rests. Whoever watches is patient for 120.
SIGN = 20.0


def noteWork(run: Run) -> None:
    """Take in whether there is anything to do now; if so, the database is asked as often as ever."""
    if run.to_store or run.pool.flights or any(run.exposures.counts[phase] for phase in BUSY):
        run.busy_at = time.monotonic()
        run.next_poll = min(run.next_poll, run.busy_at + setting("poll"))


def isResting(run: Run) -> bool:
    """Whether there was nothing to do for so long that nothing is expected soon; not while anything is out of order."""
    after = setting("rest_after")
    if not after or run.stopping or not run.polled or run.low_space:
        return False
    if any(outage.began is not None for outage in run.outages):
        return False
    quiet = time.monotonic() - run.busy_at
    return quiet > after and quiet > calcUsualPause(run)


def calcUsualPause(run: Run) -> float:
    """Twice the longest time between two of the newest exposures to come; 0 if none came."""
    times = list(itertools.islice(reversed(run.reporter.arrived), PAUSES + 1))
    return min(LONGEST, 2 * max((later - earlier for later, earlier in itertools.pairwise(times)), default=0.0))


def calcPollInterval(run: Run) -> float:
    """Seconds between two questions to the database: while the run rests a share of the time that nothing came."""
    if not isResting(run):
        return setting("poll")
    return max(setting("poll"), min(setting("poll_max"), (time.monotonic() - run.busy_at) / SLOWNESS))


def calcStatusInterval(run: Run) -> float:
    """Seconds between two signs of life."""
    return max(setting("status_interval"), SIGN) if isResting(run) else setting("status_interval")


def calcPatience(run: Run) -> float:
    """Seconds until something is due, unless a worker answers first."""
    now = time.monotonic()
    wakeup = run.exposures.nextWakeup()
    due = [now + calcStatusInterval(run), max(run.next_poll, run.polling.until, run.database.until)]
    due += [wakeup] if wakeup is not None else []
    due += [outage.until for outage in run.outages if outage.isPaused()]
    return min(5.0, calcLongestPause(), max(0.01, min(due) - now))


def restWorkers(run: Run) -> None:
    """Let go of the workers while the run rests."""
    if isResting(run) and run.pool.rest():
        logger.info("nothing to do: the workers are let go until something comes")
