"""Every run of a facility that is alive or was within a day, from all Appion databases and run folders."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from django.db.utils import Error as DatabaseError

import sinedon
from appion.base.config import setting
from appion.base.records import series
from appion.base.records.series import COLUMNS
from appion.base.retrieve.keeping import COMING, TROUBLED, describeKeeper, describeReason, readKeeper
from appion.base.retrieve.runs import CTF, MOTION, SHOWN, WORDS, Run, listAlive, readSessions
from appion.base.retrieve.verdict import describeWorkers
from appion.web.calc.words import countGood
from appion.web.retrieve.condition import VERDICTS, State, readState
from appion.web.retrieve.results import Results

logger = logging.getLogger(__name__)

#: Seconds for which a list of runs does, and for which the rows of the page do.
LISTED, FRESH = 15.0, 2.0

#: The trend: so many medians of so many seconds each, the last one up to now.
STEPS, STEP = 12, 300

#: What the trend is of.
TREND = {MOTION: "drift", CTF: "ctf_resolution", **{step.name: step.columns[0].name for step in series.STEPS}}


@dataclass
class Known:
    """What was read last.

    Attributes:
        runs: that may be alive. sessions: name and microscope by id. problems: databases that cannot be read.
        listed, answered: when (monotonic seconds). rows: the answer. good: by run, for how many results, what.
        results: of the runs, no more of them than the page shows.
    """

    runs: list[Run] = field(default_factory=list)
    sessions: dict[int, tuple[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    listed: float = float("-inf")
    answered: float = float("-inf")
    answer: dict[str, Any] | None = None
    good: dict[Run, tuple[int, tuple[int, int]]] = field(default_factory=dict)
    results: dict[Run, Results] = field(default_factory=dict)


_known = Known()
_lock = threading.Lock()


def readFacility() -> dict[str, Any]:
    """Return the rows of the page, and what could not be read. While somebody else is looking, the last answer does."""
    if not _lock.acquire(blocking=_known.answer is None):
        return _known.answer or {}
    try:
        now = time.monotonic()
        if _known.answer is None or now - _known.answered >= FRESH:
            if now - _known.listed >= LISTED:
                listRuns()
            problems = list(_known.problems)
            rows = [row for row in (tryRun(run, problems) for run in _known.runs) if row]
            rows.sort(key=lambda row: (VERDICTS.index(row["verdict"]) == 2, row["session"], row["kind"] != MOTION))
            keeper = readKept(problems)
            _known.answer = {"rows": rows, "problems": problems, "keeper": keeper, "time": round(time.time(), 1)}
            _known.answered = time.monotonic()
        return _known.answer
    finally:
        _lock.release()


def forgetFacility() -> None:
    """Forget all that was read: the databases are others now."""
    global _known
    with _lock:
        _known = Known()


def listRuns() -> None:
    """Read which runs may be alive."""
    _known.runs, _known.problems = listAlive()
    _known.listed = time.monotonic()
    _known.results = {run: results for run, results in _known.results.items() if run in _known.runs}
    _known.good = {run: good for run, good in _known.good.items() if run in _known.runs}
    _known.sessions = readSessions({run.session_id for run in _known.runs})


def tryRun(run: Run, problems: list[str]) -> dict[str, Any] | None:
    """Return the row of a run; of one that cannot be told of say so among the problems: the others are shown."""
    try:
        return describeRun(run)
    except (DatabaseError, OSError, ValueError, KeyError, TypeError) as error:
        if sinedon.isDatabaseAway(error):
            raise
        logger.warning("%s %s in %s: %r", run.kind, run.name, run.folder, error)
        problems.append(f"run {run.name} in {run.folder} cannot be told of; the log says why")
        return None


def describeRun(run: Run) -> dict[str, Any] | None:
    """Return the row of a run; None if it ended too long ago."""
    state = readState(run.folder)
    status = state.status or {}
    if not state.running and time.time() - status.get("heartbeat", 0.0) > 3600 * SHOWN:
        return None
    results = _known.results.setdefault(run, Results(run, {"stored", *TREND.values(), *setting("web.limits")}))
    results.update()
    counts = status.get("counts", {})
    done = counts.get("done", len(results.index))
    good, known = countGoodOnce(run, results)
    name, microscope = _known.sessions.get(run.session_id, ("", ""))
    return {
        "verdict": state.verdict, "words": state.words, "trouble": list(state.trouble), "session": name,
        "microscope": microscope, "kind": run.kind, "kind_words": WORDS[run.kind], "run": run.name, "id": run.def_id,
        "taken": status.get("total"), "corrected": done if run.kind == MOTION else None,
        "ctf": done if run.kind == CTF else None, "set_aside": counts.get("set aside"),
        "behind_minutes": round(status["behind"]["minutes"], 1) if state.running and status.get("behind") else None,
        "per_hour": status.get("rate_per_hour") if state.running else None,
        "good": round(100 * good / known) if known else None,
        "trend": calcTrend(results, TREND[run.kind]), "trend_of": TREND[run.kind],
        "trend_words": COLUMNS[TREND[run.kind]].words, "trend_unit": COLUMNS[TREND[run.kind]].unit,
        "disk": describeDisk(run.folder), "workers": describeWorkers(status["workers"]).partition(": ")[2]
        if state.running and "workers" in status else "", "waits": describeWaits(state),
        "heartbeat": status.get("heartbeat"),
    }  # fmt: skip


def readKept(problems: list[str]) -> dict[str, Any] | None:
    """Return how the keeper is, and what it has not started and why, worst first; None if there is no keeper.

    One that cannot be told of or shows no sign of life is among the problems.
    """
    keeping, problem = readKeeper()
    if problem:
        problems.append(problem)
    if keeping is None:
        return None
    dead, words = describeKeeper(keeping)
    if dead:
        problems.append(f"TROUBLE: the keeper shows {words}")
    waiting = [
        {"verdict": "trouble" if run.state in TROUBLED else "waiting", "state": run.state, "session": run.session,
         "run": f"{run.command}, {run.runname}", "profile": run.profile, "why": describeReason(run),
         "since": run.since or None}
        for run in keeping.runs if run.state in (*TROUBLED, *COMING)
    ]  # fmt: skip
    waiting.sort(key=lambda row: (row["verdict"] != "trouble", row["session"], row["run"]))
    waiting += [{"verdict": "skipped", "state": "not started", "session": one.session, "run": "", "why": one.reason,
                 "profile": one.profile, "since": one.since or None}
                for one in sorted(keeping.skipped, key=lambda one: (-one.since, one.session, one.profile))]  # fmt: skip
    return {"words": words, "trouble": dead, "waiting": waiting}


def countGoodOnce(run: Run, results: Results) -> tuple[int, int]:
    """Return how many results are good and how many there are; counted anew when there are others."""
    before, counted = _known.good.get(run, (-1, (0, 0)))
    if before != len(results.news):
        counted = countGood(results.columns, setting("web.limits"))
        _known.good[run] = len(results.news), counted
    return counted


def calcTrend(results: Results, name: str) -> list[float | None]:
    """Return the medians of a number over the last hour, oldest first; None where nothing was stored."""
    steps: list[list[float]] = [[] for _ in range(STEPS)]
    stored, values, now = results.columns["stored"], results.columns[name], time.time()
    for row in range(len(stored) - 1, -1, -1):
        if stored[row] is None or now - stored[row] >= STEPS * STEP:
            break
        if values[row] is not None:
            steps[max(0, STEPS - 1 - int((now - stored[row]) // STEP))].append(values[row])
    digits = COLUMNS[name].digits or 0
    return [round(median(found), digits) if found else None for found in steps]


def describeDisk(folder: str) -> str:
    """Return how much room the disk of a run folder has."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return error.strerror or "does not answer"
    return f"{usage.free / 1e9:.0f} of {usage.total / 1e9:.0f} GB free"


def describeWaits(state: State) -> str:
    """Return why exposures wait, the most frequent reason first."""
    if not state.status or not state.running:
        return ""
    return "; ".join(f"{group['count']} x {group['reason']}" for group in state.status.get("waiting_for", ())[:2])
