"""How fast a run was, from its events: seconds by phase, exposures per hour of each worker, how far behind."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from appion.base.retrieve.events import readEvents
from appion.doctor.size import calcWorkersNeeded, describeSize

#: Phases of an exposure, and what is counted in them.
PHASES = {
    "waiting": "seen, not handed out: its input is not complete, or no worker is free",
    "queued": "handed out, and on its way: Slurm, or what its worker does before",
    "computing": "on its worker: reading the movie, the program, checks",
    "storing": "come back, until the last row is written",
}


@dataclass
class Pace:
    """Of one run.

    Attributes:
        phases: seconds of each exposure that was stored, by phase.
        workers: (exposures, seconds of work) by worker, "name on host".
        work: when each exposure's work began and ended, seconds since 1970.
        seen, stored: seconds since 1970 at which each exposure was first seen and stored, by image id.
    """

    phases: dict[str, list[float]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    workers: dict[str, tuple[int, float]] = field(default_factory=dict)
    work: list[tuple[float, float]] = field(default_factory=list)
    seen: dict[int, float] = field(default_factory=dict)
    stored: dict[int, float] = field(default_factory=dict)

    @property
    def per_hour(self) -> float:
        """Exposures stored per hour, from the first one seen to the last one stored; nan without any."""
        if not self.stored:
            return float("nan")
        span = max(self.stored.values()) - min(self.seen[image] for image in self.stored)
        return 3600 * len(self.stored) / span if span > 0 else float("nan")

    def calcMostBehind(self) -> tuple[int, float]:
        """Return how many exposures at most had been seen and not stored at a time, and the longest for one (s)."""
        spans = [(self.seen[image], when) for image, when in self.stored.items()]
        return countMost(spans), max((end - start for start, end in spans), default=0.0)


def countMost(spans: Iterable[tuple[float, float]]) -> int:
    """Return how many of the spans of time, (start, end), there are at most at one time."""
    steps = sorted(step for start, end in spans for step in ((start, 1), (end, -1)))
    return max(itertools.accumulate((step for _, step in steps), initial=0))


def calcPace(events: Iterable[dict[str, Any]]) -> Pace:
    """Return how fast a run was; what failed or was handed back counts from when it was handed out for good."""
    pace = Pace()
    handed: dict[int, float] = {}
    computed: dict[int, tuple[float, float]] = {}
    work: dict[str, list[float]] = defaultdict(list)
    for event in events:
        what, image, when = event.get("what"), event.get("image"), event.get("time")
        if not isinstance(image, int) or not isinstance(when, int | float):
            continue
        pace.seen.setdefault(image, when)
        if what == "submitted":
            handed[image] = when
        elif what == "computed":
            seconds = float(event.get("seconds") or 0.0)
            computed[image] = when, seconds
            work[f"{event.get('worker')} on {event.get('host')}"].append(seconds)
            pace.work.append((when - seconds, when))
        elif what == "stored" and image in handed and image in computed and image not in pace.stored:
            pace.stored[image] = when
            back, seconds = computed[image]
            spans = (handed[image] - pace.seen[image], back - handed[image] - seconds, seconds, when - back)
            for phase, span in zip(PHASES, spans, strict=True):
                pace.phases[phase].append(max(0.0, span))
    pace.workers = {name: (len(seconds), sum(seconds)) for name, seconds in sorted(work.items())}
    return pace


def describePace(title: str, rundir: Path, arriving: float) -> list[str]:
    """Return lines on how fast the run in `rundir` was, beside `arriving` exposures per hour."""
    pace = calcPace(readEvents(rundir))
    if not pace.stored:
        return [f"{title}: nothing was stored"]
    lines = [f"{title}: {len(pace.stored)} exposures stored, {pace.per_hour:.0f} per hour ({arriving:.0f} came)",
             f"  {'seconds':<12}{'median':>9}{'mean':>9}{'95 %':>9}{'longest':>9}"]  # fmt: skip
    for phase, spans in pace.phases.items():
        numbers = (np.median(spans), np.mean(spans), np.quantile(spans, 0.95), max(spans))
        lines.append(f"  {phase:<12}" + "".join(f"{number:>9.1f}" for number in numbers))
    for name, (count, seconds) in pace.workers.items():
        rate = f"{3600 * count / seconds:.0f} per hour while it works" if seconds else "too fast to tell"
        lines.append(f"  worker {name}: {count} exposures of {seconds / count:.1f} s, {rate}")
    most, longest = pace.calcMostBehind()
    lines.append(f"  at most {most} behind; the longest took {longest:.0f} s from when it was seen to its last row")
    if not 0 < arriving < math.inf or not pace.work:
        return lines
    each = sum(end - start for start, end in pace.work) / len(pace.work)
    needed, there = calcWorkersNeeded(arriving, each), min(len(pace.workers), countMost(pace.work))
    lines += [f"  doctor --size: {line}" for line in describeSize(round(arriving, 1), each, None)]
    enough = "enough" if there >= needed else "too few for that" if pace.per_hour < arriving else "which was enough"
    lines.append(f"  at most {there} worked at a time: {enough}")
    return lines
