"""What the loop says about itself: events, status.json, a live line on a terminal, numbers in the log now and then."""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from appion.base.calc.numbers import LAST, calcSummary
from appion.base.calc.pace import (
    calcQuantile,
    calcRate,
    calcReasonGroup,
    calcTimeLeft,
    formatDuration,
    isFallingBehind,
)
from appion.base.calc.plain import makePlain
from appion.base.config import setting
from appion.base.controller.rarely import Rarely
from appion.base.controller.state import FINISHED, Exposures, Phase
from appion.base.failures import InfrastructureFailure
from appion.base.records.program import Program
from appion.base.records.stamp import readVersion
from appion.base.store.events import saveEvents
from appion.base.store.metrics import constructMetrics, saveMetrics
from appion.base.store.status import saveStatus

logger = logging.getLogger(__name__)


#: Kinds of warnings that are counted.
MANY_KINDS = 200

#: Groups of reasons that are told of, and exposures that are named in one.
GROUPS, NAMED = 10, 8


#: What the time of an exposure goes into: its movie is read ahead, it is computed on its worker, it is stored.
PARTS = ("reading", "computing", "storing")


@dataclass
class Spent:
    """Seconds that exposures took: their sum, how many there were, and the latest ones."""

    total: float = 0.0
    count: int = 0
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=50))

    def add(self, seconds: float) -> None:
        self.total, self.count = self.total + seconds, self.count + 1
        self.latest.append(seconds)

    def describe(self) -> dict[str, Any]:
        """For the status."""
        quantiles = {str(share): calcQuantile(self.latest, share) for share in (0.5, 0.95)}
        return {"sum": self.total, "count": self.count, "quantiles": quantiles}


class Reporter:
    """Keeps totals and the last few hundred times, nothing else; what it cannot write is said once and not fatal."""

    def __init__(
        self, rundir: Path, program: str, commit: bool, stream: TextIO | None = None, session: str = "",
        external: Program | None = None, check: Callable[[], None] = lambda: None,
    ):  # fmt: skip
        self.rundir, self.stream = rundir, sys.stderr if stream is None else stream
        self.live = self.stream.isatty()
        self.finished: deque[float] = deque(maxlen=500)  # when results were stored
        self.arrived: deque[float] = deque(maxlen=500)  # when new exposures were seen
        self.parts = {part: Spent() for part in PARTS}
        self.results: deque[dict[str, Any]] = deque(maxlen=LAST)  # lines of the series, the latest last
        self.happened: Counter[str] = Counter()  # events since the start
        self.failed: Counter[str] = Counter()  # failed attempts since the start, by class
        self.warnings: deque[str] = deque(maxlen=5)  # the latest of results
        self.warned: dict[str, list[Any]] = {}  # how often since the start: group -> text of the first, number
        self.still_since: float | None = None  # when last stored, or since when there is something to do (Unix time)
        self.metrics = ""  # as they were last written
        self.status: dict[str, Any] = {}  # the same; never changed once it is here
        self._unsaved: deque[dict[str, Any]] = deque(maxlen=10_000)  # events that could not be written so far
        self._last_status = self._last_log = float("-inf")
        self._last_line = ""
        self._check = check  # raises OSError or InfrastructureFailure while the run folder is away
        self._unwritable: dict[str, str] = {}  # what, why
        self.rarely = Rarely()
        self._about = {
            "program": program,
            "external": None if external is None else dataclasses.asdict(external),
            "session": session,
            "version": readVersion(),
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "rundir": str(rundir),
            "commit": commit,
            "started": time.time(),
        }

    def event(self, what: str, **fields: Any) -> None:
        """Append one event."""
        self.events([{"what": what, **fields}])

    def events(self, events: Iterable[dict[str, Any]]) -> None:
        """Append several at once; while that is not possible they wait for the next status."""
        stamped = [{"time": round(time.time(), 3), **event} for event in events]
        self.happened.update(event["what"] for event in stamped)
        self.failed.update(event["class"] for event in stamped if "class" in event)
        waiting = bool(self._unsaved)
        self._unsaved.extend(stamped)
        if not waiting:
            self._saveEvents()

    def _saveEvents(self) -> None:
        if self._unsaved and self.write("events", lambda: saveEvents(self.rundir, self._unsaved)):
            self._unsaved.clear()

    @property
    def seconds(self) -> deque[float]:
        """What the latest exposures took on their workers."""
        return self.parts["computing"].latest

    def warn(self, name: str, texts: Iterable[str]) -> None:
        """Note what the result of an exposure warns of: the latest in words, and how many of each kind there were."""
        for text in texts:
            self.warnings.append(f"{name}: {text}")
            group = calcReasonGroup(text, name)
            if group in self.warned or len(self.warned) < MANY_KINDS:
                self.warned.setdefault(group, [text, 0])[1] += 1

    def write(self, what: str, write: Callable[[], Any]) -> bool:
        """Write something of the run folder if that is there and takes it; what does not work is said and not fatal."""
        try:
            self._check()
            write()
        except (OSError, InfrastructureFailure) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            self._unwritable[what] = reason
            if self.rarely.isNews("writing", reason):
                logger.error("cannot write %s of %s: %s; trying again", what, self.rundir, error)
            return False
        self._unwritable.pop(what, None)
        if not self._unwritable and self.rarely.clear("writing"):
            logger.info("%s can be written again", self.rundir)
        return True

    def update(
        self, exposures: Exposures, force: bool = False, interval: float | None = None, **facts: Any
    ) -> None:
        """Rewrite the status and the live line, every `interval` seconds, and log the numbers when it is time to."""
        now = time.monotonic()
        if not force and now - self._last_status < (setting("status_interval") if interval is None else interval):
            return
        self._last_status = now
        self._saveEvents()
        status = self.calcStatus(exposures, now) | facts
        if self._unwritable:
            status["unwritable"] = next(iter(self._unwritable.values()))
        self.status, self.metrics = status, constructMetrics(status)
        self.write("status.json", lambda: saveStatus(self.rundir, status))
        self.write("metrics.prom", lambda: saveMetrics(self.rundir, self.metrics))
        line = makePlain(formatNumbers(status))
        if self.live:
            self.stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
            self.stream.flush()
        interval = setting("log_interval") * (10 if self.live else 1)
        if line != self._last_line and (force or now - self._last_log >= interval):
            self._last_log, self._last_line = now, line
            logger.info("%s", line)

    def endLine(self) -> None:
        """Leave the live line standing and go on below it."""
        if self.live:
            self.stream.write("\n")
            self.stream.flush()

    def calcStatus(self, exposures: Exposures, now: float) -> dict[str, Any]:
        """Everything status.json holds that follows from the exposures."""
        left = {phase: exposures.counts[phase] for phase in Phase if phase not in FINISHED}
        rate, arriving = calcRate(list(self.finished), now), calcRate(list(self.arrived), now)
        oldest = exposures.phase.findEarliest()
        behind = sum(left.values())
        to_do = any(left[phase] for phase in (Phase.QUEUED, Phase.RUNNING, Phase.STORING))
        stored = time.time() - now + self.finished[-1] if self.finished else 0.0
        self.still_since = max(self.still_since or time.time(), stored) if to_do else None
        return {
            **self._about,
            "heartbeat": time.time(),
            "total": len(exposures.phase),
            "counts": {phase.value: exposures.counts[phase] for phase in Phase},
            "rate_per_hour": rate,
            "arriving_per_hour": arriving,
            "seconds_per_exposure": sum(self.seconds) / len(self.seconds) if self.seconds else None,
            "seconds": {part: spent.describe() for part, spent in self.parts.items()},
            "numbers": calcSummary(self.results),
            "events": dict(self.happened),
            "failed_attempts": dict(self.failed),
            "behind": {"count": behind, "minutes": (now - oldest) / 60 if oldest is not None else 0.0},
            "time_left": calcTimeLeft(behind, rate, arriving),
            "falling_behind": isFallingBehind(behind, rate, arriving),
            "waiting_for": summarizeWaits(exposures),
            "failures": summarizeFailures(exposures),
            "warnings": list(self.warnings),
            "warned": [{"text": text, "count": count}
                       for text, count in sorted(self.warned.values(), key=lambda pair: -pair[1])[:10]],
        }  # fmt: skip


def summarizeWaits(exposures: Exposures) -> list[dict[str, Any]]:
    """Why exposures wait, grouped, at most ten groups; of each the newest images by id and name, and its reason."""
    waits, summary = exposures.waits, []
    for group in waits.tally.listLargest(GROUPS):
        newest = waits.tally.listNewest(group, NAMED)
        images = [[image_id, exposures.names.get(image_id)] for image_id in newest]
        summary.append({"reason": waits[newest[-1]].reason, "count": group.count, "image": newest[-1],
                        "images": images})  # fmt: skip
    return summary


def summarizeFailures(exposures: Exposures) -> list[dict[str, Any]]:
    """What fails, grouped by class and reason, at most ten groups; rejected ones are left out."""
    attempts, summary = exposures.attempts, []
    for group in attempts.tally.listLargest(GROUPS):
        newest = attempts[attempts.tally.listNewest(group, 1)[0]]
        summary.append({"reason": newest.reason, "class": newest.kind, "remedy": newest.remedy,
                        "count": group.count, "set_aside": group.marked})  # fmt: skip
    return summary


def formatNumbers(status: dict[str, Any]) -> str:
    """The numbers of a status on one line."""
    counts = status["counts"]
    failing = counts[Phase.BACKING_OFF] + counts[Phase.SET_ASIDE]
    rate = status["rate_per_hour"]
    words = [
        f"{counts[Phase.DONE]} of {status['total']} done",
        f"{splitRunning(status)[0]} running",
        f"{failing} failed",
        f"{counts[Phase.WAITING]} waiting",
        f"{rate:.0f}/h" if rate else "no rate yet",
        f"behind by {status['behind']['count']} ({status['behind']['minutes']:.0f} min)",
    ]
    if status["time_left"] is not None:
        words.append(f"{formatDuration(status['time_left'])} left")
    for key, text in (("database", "database away"), ("paused", "paused"), ("polling", "polling fails")):
        if status.get(key):
            words.append(f"{text}: {status[key]['reason']}")
    return ", ".join(words)


def splitRunning(status: dict[str, Any]) -> tuple[int, int]:
    """How many exposures that were handed out are being computed, and how many are next on a worker."""
    handed_out = status["counts"][Phase.RUNNING]
    running = min(handed_out, status.get("workers", {}).get("busy", handed_out))
    return running, handed_out - running


def describeProgram(program: Program | None) -> dict[str, str]:
    """What an event tells of an external program; nothing if none is run."""
    return {} if program is None else {"program": program.kind, "program_version": program.version}
