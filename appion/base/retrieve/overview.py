"""Every run that is known here: of the databases, of the locks that are held on this host, of the keeper."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from appion.base.calc.pace import formatDuration
from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import Keeping, KeptRun
from appion.base.retrieve.keeping import COMING, TROUBLED, describeKept
from appion.base.retrieve.runs import SHOWN, Run
from appion.base.retrieve.status import Condition, describeCount, describeHolder, judgeRun
from appion.base.retrieve.verdict import formatTime

#: How a run is, worst first. UNKNOWN: no daemon of this package is or was at work there.
TROUBLE, WAITING, WELL, UNKNOWN, ENDED = VERDICTS = ("TROUBLE", "WAITING", "WELL", "UNKNOWN", "ENDED")


@dataclass(frozen=True)
class Place:
    """A run folder, and what is known of it without a look into it.

    Attributes:
        rundir: as it is known. session, run: names; empty where only a look can tell.
        kept: what the keeper says of it. held: whether its lock was held on this host.
    """

    rundir: str
    session: str = ""
    run: str = ""
    kept: KeptRun | None = None
    held: bool = False


@dataclass(frozen=True)
class Row:
    """How a run is.

    Attributes:
        place: where. verdict: one of VERDICTS; words: the verdict in a line. trouble: each of it.
        running: whether a daemon works on it; None where that is not known. heartbeat: its last sign of life, seconds
            since the epoch.
        real: the run folder without links, by which one that has several names is known.
    """

    place: Place
    verdict: str
    words: str
    trouble: tuple[str, ...] = ()
    running: bool | None = None
    heartbeat: float | None = None
    real: str = ""


def collectPlaces(
    runs: Iterable[Run], sessions: Mapping[int, tuple[str, str]], held: Iterable[str], keeping: Keeping | None
) -> list[Place]:
    """Return every run folder once, as far as that shows by its name.

    Args:
        runs: of the databases. sessions: names and microscopes by id. held: see :func:`listHeld`.
    """
    places: dict[str, Place] = {}
    for run in runs:
        if run.folder:
            name = sessions.get(run.session_id, ("", ""))[0]
            places.setdefault(os.path.normpath(run.folder), Place(run.folder, name, run.name))
    for folder in held:
        key = os.path.normpath(folder)
        places[key] = replace(places.get(key, Place(folder)), held=True)
    for kept in keeping.runs if keeping else ():
        key = os.path.normpath(kept.rundir)
        before = places.get(key, Place(kept.rundir))
        places[key] = replace(before, session=kept.session, run=kept.runname, kept=kept)
    return list(places.values())


def judgePlace(place: Place) -> Row | None:
    """Look at a run folder; None if what ran there ended too long ago to be shown."""
    try:
        condition = judgeRun(place.rundir)
        real = os.path.realpath(place.rundir)
        return judgeCondition(completePlace(place, condition), condition, real)
    except ConfigurationFailure as failure:
        if place.kept is not None:
            return judgeKept(place, place.kept)
        return Row(place, UNKNOWN, f"no daemon of this package is at work here: {failure.reason}", running=False)
    except (OSError, KeyError, TypeError, ValueError) as error:
        why = getattr(error, "strerror", None) or f"it is not what a daemon writes ({type(error).__name__})"
        return Row(place, TROUBLE, f"cannot be read: {why}", (f"{place.rundir} cannot be read: {why}",))


def completePlace(place: Place, condition: Condition) -> Place:
    """Return the place with the names that its status has."""
    return replace(place, session=place.session or str(condition.status.get("session") or ""),
                   run=place.run or os.path.basename(os.path.normpath(place.rundir)))  # fmt: skip


def judgeCondition(place: Place, condition: Condition, real: str) -> Row | None:
    """Return how a run is by what its daemon wrote, and by what the keeper says of it."""
    status, kept, running = condition.status, place.kept, condition.running
    heartbeat = status.get("heartbeat", 0.0)  # whoever has written no status holds the run
    if not running and kept is not None and kept.state in (*TROUBLED, *COMING):
        return replace(judgeKept(place, kept), heartbeat=heartbeat, real=real, running=False)
    if not running and kept is None and time.time() - heartbeat > 3600 * SHOWN:
        return None
    if running and condition.trouble:
        verdict, words = TROUBLE, "; ".join(condition.trouble)
    elif running:
        verdict, words = WELL, describeWork(condition)
    elif status["state"] != "ended":
        verdict, words = TROUBLE, f"no daemon, and it said no goodbye; last sign of life {formatTime(heartbeat)}"
    else:
        verdict = TROUBLE if status.get("broken") or condition.full else ENDED
        also = f"; {condition.full}" if condition.full else ""
        words = f"{formatDuration(max(0.0, time.time() - heartbeat))} ago: {status['ended']}{also}"
    trouble = condition.trouble if running else (words,) if verdict == TROUBLE else ()
    return Row(place, verdict, words, trouble, running, heartbeat or None, real)


def judgeKept(place: Place, kept: KeptRun) -> Row:
    """Return how a run is by what the keeper says of it."""
    words = describeKept(kept) or kept.state
    words += ", but it has written no status so far" if kept.state in ("running", "alien") else ""
    verdict = TROUBLE if kept.state in TROUBLED else ENDED if kept.state == "ended" else WAITING
    return Row(place, verdict, words, (words,) if verdict == TROUBLE else ())


def describeWork(condition: Condition) -> str:
    """Return what a daemon does that is well."""
    status = condition.status
    if not status or condition.holder is not None:
        return f"starting: {describeHolder(condition.holder or {})}"
    behind = status["behind"]["count"]
    words = [f"{status['counts']['done']} of {status['total']} done"]
    words += [f"{status['rate_per_hour']:.0f} per hour"] if status["rate_per_hour"] else []
    words.append(f"behind by {describeCount(behind)}" if behind else "nothing behind")
    return ", ".join(words) if status["state"] == "running" else f"{status['state']}: {', '.join(words)}"


def joinRows(rows: Iterable[Row]) -> list[Row]:
    """Return the rows, worst first, those of one folder that has two names as one."""
    found: dict[str, Row] = {}
    for row in rows:
        key = row.real or row.place.rundir
        if key not in found or row.place.kept is not None:
            found[key] = row
    return sorted(found.values(), key=sortRow)


def sortRow(row: Row) -> tuple[Any, ...]:
    """By what the rows are sorted: worst first, then by name."""
    return VERDICTS.index(row.verdict), row.place.session, row.place.run, row.place.rundir
