"""How a run is doing, as seen from outside: well, in trouble, or not running."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.runfolder import lockPath, statusPath
from appion.base.retrieve.disk import describeFull
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.memory import readMemory
from appion.base.retrieve.neighbours import NO_FOLDER

#: Seconds without a sign of life after which a daemon is taken to hang (or, on another host, to be gone).
PATIENCE = 120.0

#: Seconds after which a daemon has written its first status.
START = 60.0

#: So many exposures that wait for their input, so many minutes, with nothing else to do, are more than a late movie.
MANY_WAIT, LONG_WAIT = 5, 10.0


@dataclass(frozen=True)
class Condition:
    """The judgement: `running`, what is the `trouble` (one line each), and the status it was judged by.

    `holder`: who holds the run if that status is not of it, but of one before, or if there is none (an empty one).
    `full`: the trouble with the disk, which is said first.
    """

    running: bool
    trouble: tuple[str, ...]
    status: dict[str, Any]
    holder: dict[str, Any] | None = None
    full: str = ""

    @property
    def exit_code(self) -> int:
        """0 well, 1 trouble, 2 not running."""
        return 2 if not self.running else 1 if self.trouble else 0


def readStatus(rundir: Path | str) -> dict[str, Any]:
    """What the daemon last wrote.

    Raises:
        ConfigurationFailure: there is no such run folder, or no daemon ever worked in it.
    """
    try:
        return json.loads(statusPath(rundir).read_bytes())
    except FileNotFoundError:
        what = "is not a folder" if not Path(rundir).is_dir() else "has no .appion/status.json: nothing ran there yet"
        if lockPath(rundir).exists():
            what = "has no .appion/status.json: what began there could not write it, or has just begun"
        remedy = "give the run folder (--rundir of the program); is its file system mounted?"
        raise ConfigurationFailure(f"{rundir} {what}", remedy) from None
    except ValueError as error:
        raise ConfigurationFailure(f"{statusPath(rundir)} cannot be read: {error}", "is the disk full?") from error


def judgeRun(rundir: Path | str) -> Condition:
    """Judge a run by its lock, its status and its disk. Not to be called by the daemon itself.

    Raises:
        ConfigurationFailure: see :func:`readStatus`; no daemon works there either.
    """
    full = describeFull(rundir)
    holder = readLockHolder(rundir)
    try:
        status = readStatus(rundir)
    except ConfigurationFailure as failure:
        if not holder:
            failure.remedy = f"{failure.remedy}; {full}" if full else failure.remedy
            raise
        return Condition(True, tuple(filter(None, (full, describeSilence(holder)))), {}, holder, full)
    age = time.time() - status["heartbeat"]
    running = isRunning(rundir, status, holder)
    trouble = findTrouble(status) if running or status["state"] != "ended" else ()
    if running and age > PATIENCE:
        trouble = (f"no sign of life for {age / 60:.0f} min: it hangs, or cannot write to the run folder", *trouble)
    trouble = (*trouble, *(describeAlarms(rundir) if running else ()))
    silent = holder if holder and isEarlier(status, holder) else None
    trouble = tuple(filter(None, (full, describeSilence(silent) if silent else "", *trouble)))
    return Condition(running, trouble, status, silent, full)


def isEarlier(status: dict[str, Any], holder: dict[str, Any]) -> bool:
    """Whether a status is of another daemon than the one that holds the run, and older than that."""
    others = any(status.get(key) != holder.get(key, status.get(key)) for key in ("pid", "host"))
    return others and status["heartbeat"] < holder.get("since", 0.0)


def describeSilence(holder: dict[str, Any]) -> str:
    """That the daemon which holds the run has written no status yet, if that takes too long; else empty."""
    since = holder.get("since", 0.0)
    return "" if time.time() - since < START else f"{describeHolder(holder)}, and has not been able to write a status"


def describeHolder(holder: dict[str, Any]) -> str:
    """Who holds a run, and since when."""
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return f"{who} holds the run{formatSince(holder.get('since'))}"


def isRunning(rundir: Path | str, status: dict[str, Any], holder: dict[str, Any] | None = None) -> bool:
    """Whether a daemon works on the run: by the lock; from another host, where it may not be seen, by signs of life."""
    if readLockHolder(rundir) if holder is None else holder:  # empty: somebody has it who is none
        return True
    elsewhere = status["host"] != os.uname().nodename
    return elsewhere and status["state"] != "ended" and time.time() - status["heartbeat"] < PATIENCE


def findTrouble(status: dict[str, Any]) -> tuple[str, ...]:
    """What a person should look at, one line each; empty if all is well."""
    counts, workers = status["counts"], status["workers"]
    lines = []
    if counts["set aside"]:
        lines.append(f"{describeCount(counts['set aside'])} failed for good, set aside")
    if counts["backing off"]:
        lines.append(f"{describeCount(counts['backing off'])} failed, tried again later")
    for key, text in (
        ("database", "the database does not answer"),
        ("polling", "listing the exposures fails"),
        ("storing", "results cannot be stored (they are kept)"),
        ("paused", "nothing is handed out for now"),
        ("stalled", "nothing was stored"),
    ):
        if status.get(key):
            lines.append(f"{text}{formatSince(status[key]['since'])}: {status[key]['reason']}")
    if status.get("unwritable"):
        lines.append(f"the run folder cannot be written: {status['unwritable']}")
    if status.get("workers_started") and not workers["in_sight"] and workers["cluster"] == "local":
        lines.append(f"none of {workers['planned']} workers is there")
    lines += workers.get("trouble", [])
    lines += findWaiting(status)
    if status["falling_behind"]:
        lines.append(
            f"falling behind: {status['arriving_per_hour']:.0f} exposures an hour come, "
            f"{status['rate_per_hour']:.0f} get done"
        )
    return tuple(lines)


def describeCount(number: int) -> str:
    """So many exposures, in words."""
    return f"{number} exposure{'' if number == 1 else 's'}"


def findWaiting(status: dict[str, Any]) -> list[str]:
    """One line if exposures wait for their input, nothing else is to be done, and that is no matter of time."""
    counts, minutes = status["counts"], status["behind"]["minutes"]
    if not counts["waiting"] or any(counts[phase] for phase in ("queued", "running", "storing")):
        return []
    long = minutes > LONG_WAIT and (counts["waiting"] >= MANY_WAIT or not counts["done"])
    if not long and not isFolderMissing(status["waiting_for"], counts["waiting"]):
        return []
    since, reason = formatSince(status["heartbeat"] - 60 * minutes), status["waiting_for"][0]["reason"]
    return [f"{counts['waiting']} exposures wait for their input{since} and nothing runs: {reason}"]


def isFolderMissing(groups: Sequence[dict[str, Any]], waiting: int) -> bool:
    """Whether all that wait, a number, wait for files in folders that are not there, by the groups of reasons."""
    return waiting > 0 and sum(group["count"] for group in groups if NO_FOLDER in group["reason"]) == waiting


def describeAlarms(rundir: Path | str) -> tuple[str, ...]:
    """Return the alarms of a run that there are, and who could not be told of any, one line each."""
    memory = readMemory(rundir)
    lines = [f"alarm {name}{formatSince(state.since)}: {state.text}"
             for name, state in memory.states.items() if state.active and state.well_since is None]  # fmt: skip
    due = {name for letter in memory.letters for name in letter.waiting}
    refused = [f"alarms cannot be told to {name}, trying again: {refusal.why}"
               for name, refusal in memory.refusals.items() if name in due]  # fmt: skip
    return (*lines, *refused)


def formatSince(since: float | None) -> str:
    """The words "since HH:MM:SS" after a blank, with the date where it is not of today; empty for None."""
    if not since:
        return ""
    then, form = time.localtime(since), "%H:%M:%S"
    return time.strftime(f" since {form if then[:3] == time.localtime()[:3] else f'%Y-%m-%d {form}'}", then)
