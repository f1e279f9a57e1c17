"""How a run is doing, in words: for `appion status` and for pages."""

from __future__ import annotations

import time
from typing import Any

from appion.base.calc.pace import formatDuration
from appion.base.retrieve.status import Condition, describeHolder

#: The first line where all is well, by the state of the daemon.
WELL = {"starting": "WELL: starting", "stopping": "WELL: stopping, waiting for what runs"}


def describeVerdict(condition: Condition) -> list[str]:
    """One line, which says it if the disk is full, one more for each other trouble, and who really holds the run."""
    status, holder, full = condition.status, condition.holder, condition.full
    if not condition.running:
        also = f" Also, {full}." if full else ""
        if status["state"] == "ended":
            return [f"NOT RUNNING: ended {formatTime(status['heartbeat'])}: {status['ended']}{also}"]
        return [
            f"NOT RUNNING: no daemon holds the run, and it said no goodbye; last sign of life "
            f"{formatTime(status['heartbeat'])}. Start the same command again: it goes on where it was.{also}"
        ]
    lines = [f"TROUBLE: {full}".rstrip(), *(f"  ! {line}" for line in condition.trouble if line != full)]
    if not condition.trouble:
        state = "starting" if not status or (holder and status["state"] == "ended") else status["state"]
        lines = [WELL.get(state, "WELL: running")]
    if holder is not None:
        what = "what follows is of the one before" if status else "it has written no status so far"
        lines.append(f"  {describeHolder(holder)}; {what}")
    return lines


def describeWorkers(workers: dict[str, Any]) -> str:
    """How many there are, and why jobs wait, as Slurm says it."""
    pending = workers.get("pending", [])
    reasons = ", ".join(f"{number} x {reason}" for reason, number in pending)
    waiting = f"; {sum(number for _, number in pending)} jobs wait: {reasons}" if pending else ""
    if workers.get("resting"):
        return f"workers: none until something comes ({workers['cluster']})"
    return f"workers: {workers['in_sight']} of {workers['planned']} there ({workers['cluster']}){waiting}"


def formatTime(seconds: float) -> str:
    """A Unix time as local date and time, and how long ago that is."""
    ago = max(0.0, time.time() - seconds)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))} ({formatDuration(ago)} ago)"
