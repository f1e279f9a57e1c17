"""Where every exposure stands. No files, no database, no Dask: the loop tells it what happened and asks what is next.

Each exposure is in exactly one phase at any time, because there is one entry for it in one dictionary.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any

from appion.base.calc.pace import calcBackoff
from appion.base.controller.line import Line
from appion.base.failures import Failure
from appion.base.records.attempt import Attempt
from appion.base.step import Candidate


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


#: Class of what was held against an image and turned out to be wrong with all.
ALL_ALIKE = "infrastructure"

FINISHED = frozenset({Phase.SET_ASIDE, Phase.REJECTED, Phase.DONE})


@dataclass(frozen=True)
class Limits:
    """The settings that the states depend on (see appion.yaml)."""

    attempts: int = 3
    backoff: float = 30.0
    backoff_max: float = 1800.0
    infrastructure_attempts: int = 10
    pause: float = 5.0
    pause_max: float = 300.0
    recheck: float = 1.0
    recheck_max: float = 30.0
    patient: bool = True  # an exposure whose worker is lost again and again may wait for better times


@dataclass
class Wait:
    """Why an exposure waits: `since` is when the reason last changed, `checks` how often it was looked at since.

    `looked` is when that was last; only what was found unchanged then is known to be so.
    """

    reason: str
    since: float
    checks: int
    params: Any
    looked: float = 0.0


class Exposures:
    """The exposures of a run by phase. Times are of `clock` (monotonic) except those kept in attempts (`wall`)."""

    def __init__(
        self,
        line: Callable[[], Line],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ):
        self.limits = limits or Limits()
        self.clock, self.wall = clock, wall
        self.phase: dict[int, Phase] = {}
        self.counts: Counter[Phase] = Counter()
        self.names: dict[int, str] = {}  # of those not done
        self.since: dict[int, float] = {}  # when an unfinished one was first seen
        self.waits: dict[int, Wait] = {}
        self.attempts: dict[int, Attempt] = {}
        self.attempts_changed = False
        self.successes = 0
        self._done_before: set[int] = set()
        self._rejected: set[int] = set()
        self._fresh, self._due = line(), line()
        self._wakeups: list[tuple[float, int]] = []  # heap: when a waiting or failed one may be looked at again
        self._marks: dict[int, int] = {}  # successes at the last infrastructure failure

    def recall(self, done: Iterable[int], attempts: Iterable[Attempt] = ()) -> None:
        """Take over what is done and what an earlier daemon noted; what was not the image's fault gets a new chance."""
        self._done_before.update(done)
        for attempt in attempts:
            if attempt.image_id in self._done_before or (attempt.kind != "image" and not attempt.count):
                self.attempts_changed = True
                continue
            if attempt.kind != "image":
                attempt = replace(attempt, next_try=self.wall())
            self.attempts[attempt.image_id] = attempt

    # -- what the database says ------------------------------------------------------------------------------------

    def add(self, candidates: Iterable[Candidate]) -> list[int]:
        """Take up candidates that were not known; returns the new ids that are to be done."""
        new = []
        for candidate in candidates:
            image_id = candidate.image_id
            if image_id in self.phase:
                if self.phase[image_id] is Phase.STORING:  # computed before it was listed
                    self.names.setdefault(image_id, candidate.filename)
                continue
            if image_id in self._done_before:
                self._move(image_id, Phase.DONE)
                continue
            self.names[image_id] = candidate.filename
            self._enter(image_id)
            new.append(image_id)
        return new

    def updateRejected(self, rejected: set[int]) -> tuple[list[int], list[int]]:
        """Take in all ids rejected now; returns those that became rejected and those that came back."""
        changed, self._rejected = self._rejected ^ rejected, set(rejected)
        gone, back = [], []
        for image_id in sorted(changed):
            phase = self.phase.get(image_id)
            if image_id in rejected and phase in (Phase.QUEUED, Phase.WAITING, Phase.BACKING_OFF, Phase.SET_ASIDE):
                self._move(image_id, Phase.REJECTED)
                gone.append(image_id)
            elif image_id not in rejected and phase is Phase.REJECTED:
                self._enter(image_id)
                back.append(image_id)
        return gone, back

    def _enter(self, image_id: int) -> None:
        """Put an exposure where it belongs by what is known of it: rejected, set aside, backing off or queued."""
        attempt = self.attempts.get(image_id)
        if image_id in self._rejected:
            self._move(image_id, Phase.REJECTED)
        elif attempt is None:
            self._queue(image_id)
        elif attempt.next_try is None:
            self._move(image_id, Phase.SET_ASIDE)
        else:  # the wall clock may have been set meanwhile: never wait longer than the longest back-off
            delay = min(max(0.0, attempt.next_try - self.wall()), self.limits.backoff_max)
            self._sleep(image_id, Phase.BACKING_OFF, delay)

    # -- what is next ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Bring forward those whose time has come."""
        now = self.clock()
        while self._wakeups and self._wakeups[0][0] <= now:
            _, image_id = heappop(self._wakeups)
            if self.phase[image_id] is Phase.BACKING_OFF:
                self._queue(image_id)
            elif self.phase[image_id] is Phase.WAITING:
                self._due.push(image_id)

    def nextWakeup(self) -> float | None:
        """When :meth:`wake` has something to do, by the clock."""
        return self._wakeups[0][0] if self._wakeups else None

    def chooseFresh(self, number: int, only: Container[int] | None = None) -> list[int]:
        """At most `number` queued ids in the order of the run. Each must be moved on or given back by `putBack`.

        With `only`, ids that are not in it lose their place for good.
        """
        return self._fresh.pop(
            number, lambda image_id: self.phase[image_id] is Phase.QUEUED and (only is None or image_id in only)
        )

    def chooseDue(self, number: int) -> list[int]:
        """At most `number` waiting ids that are to be looked at again."""
        return self._due.pop(number, lambda image_id: self.phase[image_id] is Phase.WAITING)

    def putBack(self, ids: Iterable[int]) -> None:
        """Chosen ids that could not be dealt with after all."""
        for image_id in ids:
            if self.phase[image_id] is Phase.QUEUED:
                self._fresh.push(image_id)
            elif self.phase[image_id] is Phase.WAITING:
                self._due.push(image_id)

    # -- what happened ---------------------------------------------------------------------------------------------

    def wait(self, image_id: int, reason: str, params: Any) -> bool:
        """Not ready: look again later. Returns whether the reason is a new one."""
        wait, now = self.waits.get(image_id), self.clock()
        news = wait is None or wait.reason != reason
        if wait is None or news:
            wait = Wait(reason, now, 0, params)
        wait.checks, wait.looked = wait.checks + 1, now
        delay = calcBackoff(wait.checks, self.limits.recheck, self.limits.recheck_max)
        self._sleep(image_id, Phase.WAITING, delay)
        self.waits[image_id] = wait
        return news

    def ready(self, image_id: int) -> None:
        """A waiting one need not wait any more."""
        self._queue(image_id)

    def handBack(self, image_id: int) -> None:
        """A worker did not take it: as if it had not been handed out."""
        self._enter(image_id)

    def submitted(self, image_id: int) -> None:
        """Handed to a worker."""
        self._move(image_id, Phase.RUNNING)

    def computed(self, image_id: int) -> None:
        """Its record is in the journal. An image may also be computed before it was ever a candidate of this run."""
        self._move(image_id, Phase.STORING)

    def finish(self, image_id: int) -> None:
        """Everything is stored (or, without commit, computed)."""
        self.successes += 1
        self._marks.pop(image_id, None)
        if self.attempts.pop(image_id, None):
            self.attempts_changed = True
        self._move(image_id, Phase.DONE)

    def fail(self, image_id: int, failure: Failure, excused: int | None = None) -> Attempt:
        """Note a failure and decide what becomes of the exposure.

        Args:
            excused: all fail alike: no more than so many failures are held against it, and there is time.
        """
        old = self.attempts.get(image_id)
        count, lost = (old.count, old.infrastructure) if old else (0, 0)
        if failure.kind == "infrastructure":
            # When nothing gets through for anyone, it is not this exposure: count only if others did in between.
            lost += self.successes > self._marks.get(image_id, -1) or not self.limits.patient
            self._marks[image_id] = self.successes
            delay = calcBackoff(lost, self.limits.pause, self.limits.pause_max)
            final = lost >= self.limits.infrastructure_attempts
        elif excused is not None:
            count, delay, final = excused, self.limits.backoff_max, False
        else:
            count += failure.kind == "image"
            delay = calcBackoff(count, self.limits.backoff, self.limits.backoff_max)
            final = failure.kind == "configuration" or count >= self.limits.attempts
        kind = failure.kind if excused is None else ALL_ALIKE
        attempt = Attempt(
            image_id, self.names.get(image_id, ""), kind, count, lost, failure.reason, failure.remedy,
            failure.command, failure.host, failure.log_tail[-4000:], self.wall(),
            None if final else self.wall() + delay,
        )  # fmt: skip
        self.attempts[image_id] = attempt
        self.attempts_changed = True
        if image_id in self._rejected:
            self._move(image_id, Phase.REJECTED)
        elif final:
            self._move(image_id, Phase.SET_ASIDE)
        else:
            self._sleep(image_id, Phase.BACKING_OFF, delay)
        return attempt

    def excuse(self, image_id: int, count: int) -> None:
        """Its last failure is that of all: hold no more than `count` against it; there is time to try it again."""
        delay = self.limits.backoff_max
        self.attempts[image_id] = replace(
            self.attempts[image_id], kind=ALL_ALIKE, count=count, next_try=self.wall() + delay
        )
        self.attempts_changed = True
        if self.phase.get(image_id) in (Phase.SET_ASIDE, Phase.BACKING_OFF):
            self._sleep(image_id, Phase.BACKING_OFF, delay)

    def hasten(self, ids: Iterable[int]) -> list[int]:
        """Try those that failed at once instead of later; returns which they are."""
        chosen = [image_id for image_id in ids if self.phase.get(image_id) is Phase.BACKING_OFF]
        for image_id in chosen:
            self._queue(image_id)
        return chosen

    def retry(self, ids: Iterable[int] | None = None) -> list[int]:
        """Forget the failures of these images (None: of all), have them tried at once; returns whose were forgotten."""
        chosen = sorted(self.attempts if ids is None else self.attempts.keys() & set(ids))
        for image_id in chosen:
            del self.attempts[image_id]
            self._marks.pop(image_id, None)
            if self.phase.get(image_id) in (Phase.SET_ASIDE, Phase.BACKING_OFF):
                self._queue(image_id)
        self.attempts_changed = self.attempts_changed or bool(chosen)
        return chosen

    # -- inside ----------------------------------------------------------------------------------------------------

    def _queue(self, image_id: int) -> None:
        self._move(image_id, Phase.QUEUED)
        self._fresh.push(image_id)

    def _sleep(self, image_id: int, phase: Phase, delay: float) -> None:
        self._move(image_id, phase)
        heappush(self._wakeups, (self.clock() + delay, image_id))

    def _move(self, image_id: int, phase: Phase) -> None:
        """The only place where a phase is set."""
        old = self.phase.get(image_id)
        if old is Phase.DONE:
            raise AssertionError(f"image {image_id} is done and cannot become {phase}")
        if old is not None:
            self.counts[old] -= 1
        self.counts[phase] += 1
        self.phase[image_id] = phase
        if phase is not Phase.WAITING:
            self.waits.pop(image_id, None)
        if phase is Phase.DONE:
            self.names.pop(image_id, None)
        if phase in FINISHED:
            self.since.pop(image_id, None)
        else:
            self.since.setdefault(image_id, self.clock())
