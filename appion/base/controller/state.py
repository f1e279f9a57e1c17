"""Where every exposure stands. No files, no database, no Dask: the loop tells it what happened and asks what is next.

Each exposure is in exactly one phase at any time, because there is one entry for it in one mapping. Nothing here looks
at all of them: what the status tells is kept as they change.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from heapq import heappop, heappush
from typing import Any

from appion.base.calc.pace import calcBackoff
from appion.base.controller.attempts import Attempts
from appion.base.controller.limits import Limits
from appion.base.controller.line import Line
from appion.base.controller.phases import FINISHED, Phase, Phases
from appion.base.controller.waits import TOGETHER, Waits
from appion.base.failures import Failure
from appion.base.records.attempt import TAIL, Attempt
from appion.base.records.ids import Ids, Names
from appion.base.step import Candidate

__all__ = ["ALL_ALIKE", "FINISHED", "Exposures", "Limits", "Phase"]

#: Class of what was held against an image and turned out to be wrong with all.
ALL_ALIKE = "infrastructure"

#: Those that are not handed out and can be taken back.
REVOCABLE = frozenset({Phase.QUEUED, Phase.WAITING, Phase.BACKING_OFF, Phase.SET_ASIDE})


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
        self.phase = Phases()
        self.names = Names()  # of those not done
        self.waits = Waits(line(), self.limits, clock)
        self.attempts = Attempts()
        self.successes = 0
        self.highest = 0  # id that was listed
        self._done_before = Ids()
        self._rejected = Ids()
        self._fresh = line()
        self._wakeups: list[tuple[float, int]] = []  # heap: when a waiting or failed one may be looked at again
        self._gathering = float("-inf")  # until when those that wake up are gathered
        self._marks: dict[int, int] = {}  # successes at the last infrastructure failure

    @property
    def counts(self) -> Counter[Phase]:
        """How many exposures are in each phase."""
        return self.phase.counts

    def recall(self, done: Iterable[int], attempts: Iterable[Attempt] = ()) -> None:
        """Take over what is done and what an earlier daemon noted; what was not the image's fault gets a new chance."""
        self._done_before |= Ids(done)
        for attempt in attempts:
            if attempt.image_id in self._done_before or (attempt.kind != "image" and not attempt.count):
                self.attempts.forget(attempt.image_id)
                continue
            if attempt.kind != "image":
                attempt = replace(attempt, next_try=self.wall())
            self.attempts.recall(attempt)

    # -- what the database says ------------------------------------------------------------------------------------

    def add(self, candidates: Iterable[Candidate]) -> array[int]:
        """Take up candidates that were not known; returns the new ids that are to be done."""
        new, queued, now = array("q"), array("q"), self.clock()
        for candidate in candidates:
            image_id = candidate.image_id
            self.highest = max(self.highest, image_id)
            phase = self.phase.get(image_id)
            if phase is not None:
                if phase is Phase.STORING:  # computed before it was listed
                    self.names.put(image_id, candidate.filename)
                continue
            if image_id in self._done_before:
                self.phase.set(image_id, Phase.DONE, now)
                continue
            self.names.put(image_id, candidate.filename)
            new.append(image_id)
            if image_id in self.attempts or image_id in self._rejected:
                self._enter(image_id)
            else:
                self.phase.set(image_id, Phase.QUEUED, now)
                queued.append(image_id)
        self._fresh.extend(queued)
        return new

    def updateRejected(self, rejected: Iterable[int]) -> tuple[list[int], list[int]]:
        """Take in all ids rejected now; returns those that became rejected and those that came back."""
        before, self._rejected = self._rejected, Ids(rejected)
        gone, back = [], []
        for image_id in before ^ self._rejected:
            phase = self.phase.get(image_id)
            if phase in REVOCABLE and image_id in self._rejected:
                self._move(image_id, Phase.REJECTED)
                gone.append(image_id)
            elif phase is Phase.REJECTED and image_id not in self._rejected:
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
        """Bring forward those whose time has come; of a crowd many at a time."""
        now = self.clock()
        if now < self._gathering:
            return
        while self._wakeups and self._wakeups[0][0] <= now:
            _, image_id = heappop(self._wakeups)
            if self.phase[image_id] is Phase.BACKING_OFF:
                self._queue(image_id)
            elif self.waits.isDue(image_id):
                self.waits.push(image_id)
        self._gathering = now + TOGETHER if self.waits.isCrowd() else now

    def nextWakeup(self) -> float | None:
        """When :meth:`wake` has something to do, by the clock."""
        return max(self._gathering, self._wakeups[0][0]) if self._wakeups else None

    def chooseFresh(self, number: int, only: Container[int] | None = None, last: bool = False) -> list[int]:
        """At most `number` queued ids in the order of the run. Each must be moved on or given back by `putBack`.

        With `only`, ids that are not in it lose their place for good. With `last`, it is the one that would come last.
        """

        def isFresh(image_id: int) -> bool:
            return self.phase[image_id] is Phase.QUEUED and (only is None or image_id in only)

        if last:
            found = self._fresh.findLast(isFresh)
            return [] if found is None else [found]
        return self._fresh.pop(number, isFresh)

    def chooseDue(self, number: int) -> list[int]:
        """At most `number` waiting ids that are to be looked at again, and no more than looks are allowed."""
        return self.waits.choose(number)

    def putBack(self, ids: Iterable[int]) -> None:
        """Chosen ids that could not be dealt with after all."""
        for image_id in ids:
            if self.phase[image_id] is Phase.QUEUED:
                self._fresh.push(image_id)
            elif self.waits.isDue(image_id):
                self.waits.push(image_id)

    # -- what happened ---------------------------------------------------------------------------------------------

    def wait(self, image_id: int, reason: str, params: Any) -> bool:
        """Not ready: look again later. Returns whether it waits for another kind of thing than before."""
        delay, news = self.waits.note(image_id, self.names.get(image_id), reason, params)
        self._sleep(image_id, Phase.WAITING, delay)
        return news

    def ready(self, image_id: int) -> None:
        """A waiting one need not wait any more."""
        if image_id in self.waits:
            self.waits.reward(image_id)
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
        if image_id in self.attempts:
            self.attempts.forget(image_id)
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
            image_id, self.names.get(image_id), kind, count, lost, failure.reason, failure.remedy,
            failure.command, failure.host, failure.log_tail[-TAIL:], self.wall(),
            None if final else self.wall() + delay,
        )  # fmt: skip
        self.attempts.note(attempt)
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
        self.attempts.alter(image_id, kind=ALL_ALIKE, count=count, next_try=self.wall() + delay)
        if self.phase.get(image_id) in (Phase.SET_ASIDE, Phase.BACKING_OFF):
            self._sleep(image_id, Phase.BACKING_OFF, delay)
        else:
            self._countFailure(image_id)

    def hasten(self, ids: Iterable[int]) -> list[int]:
        """Try those that failed at once instead of later; returns which they are."""
        chosen = [image_id for image_id in ids if self.phase.get(image_id) is Phase.BACKING_OFF]
        for image_id in chosen:
            self._queue(image_id)
        return chosen

    def retry(self, ids: Iterable[int] | None = None) -> list[int]:
        """Forget the failures of these images (None: of all), have them tried at once; returns whose were forgotten."""
        chosen = self.attempts.listKnown(ids)
        for image_id in chosen:
            self.attempts.forget(image_id)
            self._marks.pop(image_id, None)
            if self.phase.get(image_id) in (Phase.SET_ASIDE, Phase.BACKING_OFF):
                self._queue(image_id)
        return chosen

    # -- inside ----------------------------------------------------------------------------------------------------

    def _queue(self, image_id: int) -> None:
        self._move(image_id, Phase.QUEUED)
        self._fresh.push(image_id)

    def _sleep(self, image_id: int, phase: Phase, delay: float) -> None:
        self._move(image_id, phase)
        heappush(self._wakeups, (self.clock() + delay, image_id))

    def _move(self, image_id: int, phase: Phase) -> None:
        """Set a phase, and what follows from it."""
        if self.phase.get(image_id) is Phase.DONE:
            raise AssertionError(f"image {image_id} is done and cannot become {phase}")
        self.phase.set(image_id, phase, self.clock())
        if phase is not Phase.WAITING:
            self.waits.drop(image_id)
        if phase is Phase.DONE:
            self.names.drop(image_id)
        if image_id in self.attempts:
            self._countFailure(image_id)

    def _countFailure(self, image_id: int) -> None:
        self.attempts.count(image_id, self.phase.get(image_id) not in (None, Phase.REJECTED))
