"""`appion status` without a folder: every run that is known here, one line each, worst first."""

from __future__ import annotations

import queue
import shlex
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sinedon
from appion.base.calc.plain import formatJson, makePlain
from appion.base.cli.patience import callWithin
from appion.base.cli.screen import show
from appion.base.config import checkSettings
from appion.base.failures import ConfigurationFailure, InfrastructureFailure
from appion.base.records.keeping import Keeping
from appion.base.retrieve.held import listHeld
from appion.base.retrieve.keeping import describeKeeper, readKeeper
from appion.base.retrieve.overview import TROUBLE, Place, Row, collectPlaces, joinRows, judgePlace
from appion.base.retrieve.runs import Run, listAlive, readSessions
from sinedon.config import listConfigPaths

#: Seconds for the databases, and for all run folders together: one is on a file server that does not answer.
DATABASES, FOLDERS = 30.0, 10.0

#: Of so many runs in trouble it is said how to ask for more, and so many sessions are listed that are not started.
MORE, SKIPPED = 5, 20

#: Columns of the verdict and, at most, of session and run; of the whole line at least.
VERDICT, NAMES, NARROW = 9, 32, 40


@dataclass(frozen=True)
class Overview:
    """All that is known: the rows, worst first, the keeper, what could not be read, and when it was (seconds)."""

    rows: Sequence[Row]
    keeping: Keeping | None
    problems: Sequence[str]
    time: float

    @property
    def exit_code(self) -> int:
        """0: all is well, 1: there is trouble."""
        died = self.keeping is not None and describeKeeper(self.keeping)[0]
        return int(bool(self.problems) or died or any(row.verdict == TROUBLE for row in self.rows))


def showOverview(as_json: bool, compact: bool = False) -> int:
    """Print how all runs are; exit code 0 well, 1 trouble.

    Raises:
        ConfigurationFailure: a setting is wrong, or nothing at all is known here.
    """
    checkSettings()
    overview = readOverview()
    if as_json:
        print(formatJson(constructAnswer(overview), indent=None if compact else 1), flush=True)
    else:
        show(*describeOverview(overview, calcWidth()))
        sys.stdout.flush()
    return overview.exit_code


def readOverview() -> Overview:
    """Read what databases, locks and the keeper know, and look into every run folder.

    Raises:
        ConfigurationFailure: none of them knows anything.
    """
    keeping, problem = readKeeper()
    problems = [problem] if problem else []
    held, runs, sessions = listHeld(), list[Run](), dict[int, tuple[str, str]]()
    configured = any(path.is_file() for path in listConfigPaths())
    if configured:
        try:
            runs, sessions, refused = callWithin(DATABASES, "the database", readDatabases)
            problems += refused
        except (sinedon.errors.SinedonError, InfrastructureFailure) as error:
            problems.append(f"the databases cannot be read: {error}")
        except Exception as error:
            if not sinedon.isDatabaseAway(error) and not sinedon.findRefusal(error):
                raise
            problems.append(f"the databases cannot be read: {sinedon.findRefusal(error) or error}")
    if keeping is None and not held and not runs and (problems or not configured):
        why = "; ".join(problems) or "there is no sinedon.cfg, no keeper has worked, and no daemon runs on this host"
        raise ConfigurationFailure(f"no run is known here: {why}", "give a run folder: appion status RUNDIR")
    rows = joinRows(judgeAll(collectPlaces(runs, sessions, held, keeping)))
    return Overview(rows, keeping, problems, time.time())


def readDatabases() -> tuple[list[Run], dict[int, tuple[str, str]], list[str]]:
    """Return the runs that may be alive, the sessions by id, and which databases cannot be read."""
    sinedon.setup()
    runs, problems = listAlive()
    return runs, readSessions({run.session_id for run in runs}), problems


def judgeAll(places: Sequence[Place]) -> list[Row]:
    """Look into all run folders at once; one that does not answer in time keeps nobody waiting, and is in trouble."""
    answers: queue.SimpleQueue[tuple[Place, Row | BaseException | None]] = queue.SimpleQueue()

    def judge(place: Place) -> None:
        try:
            answers.put((place, judgePlace(place)))
        except BaseException as error:
            answers.put((place, error))

    for place in places:
        threading.Thread(target=judge, args=(place,), daemon=True).start()
    open_places, rows, end = set(places), [], time.monotonic() + FOLDERS
    while open_places:
        try:
            place, answer = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, BaseException):
            raise answer
        open_places.remove(place)
        rows += [answer] if answer else []
    why = f"the run folder does not answer within {FOLDERS:g} s"
    return [*rows, *(Row(place, TROUBLE, why, (why,)) for place in open_places)]


def describeOverview(overview: Overview, width: float) -> list[str]:
    """Return the lines: a run each, worst first; what is not started and why; the keeper; how to ask for more."""
    names = [nameRow(row) for row in overview.rows]
    column = min(NAMES, max(map(measure, names), default=0))
    lines = [f"problem: {problem}" for problem in overview.problems]
    for name, row in zip(names, overview.rows, strict=True):
        lines.append(cut(f"{pad(row.verdict, VERDICT)}{pad(cut(name, column), column)}  {makePlain(row.words)}", width))
    if not overview.rows:
        lines.append("No run is alive, and none was within a day.")
    if keeping := overview.keeping:
        skipped = sorted(keeping.skipped, key=lambda one: (-one.since, one.session, one.profile))
        for one in skipped[:SKIPPED]:
            lines.append(cut(makePlain(f"not started: {one.session} ({one.profile}): {one.reason}"), width))
        lines += [f"not started: {len(skipped) - SKIPPED} more, --json has them"] if len(skipped) > SKIPPED else []
        dead, words = describeKeeper(keeping)
        lines.append(f"keeper: {'TROUBLE: ' if dead else ''}{words}")
    troubled = [row.place.rundir for row in overview.rows if row.verdict == TROUBLE]
    lines += [f"More: appion status {shlex.quote(rundir)}" for rundir in troubled[:MORE]]
    return lines


def nameRow(row: Row) -> str:
    """Return session and run, or the end of the run folder's path where these are not known."""
    if row.place.session:
        return makePlain(f"{row.place.session} {row.place.run}".strip())
    path = makePlain(row.place.rundir)
    return path if len(path) <= NAMES else f"...{path[3 - NAMES:]}"


def constructAnswer(overview: Overview) -> dict[str, Any]:
    """Return what is known, for programs."""
    keeping = overview.keeping
    keeper = None
    if keeping is not None:
        dead, words = describeKeeper(keeping)
        keeper = {name: getattr(keeping, name) for name in ("host", "pid", "started", "heartbeat", "ended")}
        keeper |= {"trouble": dead, "words": words}
    runs = [
        {"rundir": row.place.rundir, "session": row.place.session, "run": row.place.run, "verdict": row.verdict,
         "words": row.words, "trouble": list(row.trouble), "running": row.running, "heartbeat": row.heartbeat,
         "held": row.place.held, "kept": asdict(row.place.kept) if row.place.kept else None}
        for row in overview.rows
    ]  # fmt: skip
    return {"time": overview.time, "exit_code": overview.exit_code, "runs": runs, "keeper": keeper,
            "not_started": [asdict(one) for one in keeping.skipped] if keeping else [],
            "problems": list(overview.problems)}  # fmt: skip


def calcWidth() -> float:
    """Return how many columns there are; without a terminal there is no end to a line."""
    if not sys.stdout.isatty():
        return float("inf")
    return max(NARROW, shutil.get_terminal_size((80, 24)).columns)


def measure(text: str) -> int:
    """Return how many columns a text takes on a screen."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else not unicodedata.combining(letter)
               for letter in text)  # fmt: skip


def cut(text: str, width: float) -> str:
    """Return a text that takes no more columns than that; what is left out shows as ``...``."""
    if measure(text) <= width:
        return text
    while measure(text) > width - 3:
        text = text[:-1]
    return f"{text.rstrip()}..."


def pad(text: str, width: int) -> str:
    """Return a text with blanks up to a width."""
    return text + " " * (width - measure(text))
