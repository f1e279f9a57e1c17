"""`appion report`: a session as one HTML file that needs nothing else, to send to its user at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from django.template import Context, Engine
from django.utils.safestring import mark_safe

from appion.base.calc.numbers import LAST, Line, calcMedians
from appion.base.calc.pace import calcReasonGroup
from appion.base.calc.plain import makePlain
from appion.base.failures import ConfigurationFailure
from appion.base.records.attempt import Attempt
from appion.base.records.series import COLUMNS
from appion.base.records.stamp import readVersion
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.runoptions import readRunPrograms
from appion.base.retrieve.status import readStatus
from appion.export.options import readOptionTexts
from appion.export.pictures import chooseExtremes, constructCard
from appion.export.plots import describeColumn, drawHistograms, drawTrends, readLibrary
from appion.export.runs import WORDS, Run, isOurs
from appion.export.session import Exposure

#: Numbers that stand in large print above all, as far as there are any.
CARDS = ("drift", "ctf_resolution", "defocus", "astigmatism", "confidence", "ice_ring", "dose", "seconds_to_result")

#: What the numbers are, for those who cite them; the rest is said by their names.
MEANINGS = {
    "drift": "length of the path of the whole frames, from frame to frame; patches have no part in it",
    "drift_early": "the part of the drift up to a dose of 4 e/Å², as RELION divides it",
    "drift_late": "the rest of the drift",
    "drift_jump": "the longest step from one frame to the next",
    "dose": "on the specimen, of the frames that were summed",
    "counts": "mean of the sum divided by its frames",
    "defocus": "mean of both, positive for underfocus",
    "defocus_error": "mean defocus minus what the microscope was set to",
    "astigmatism": "the larger defocus minus the smaller one",
    "ctf_resolution": "up to where the program says that its fit holds",
    "resolution_80": "up to where the spectrum's correlation with the model is above 0.8; 100: nowhere",
    "resolution_50": "the same for 0.5",
    "confidence": "the best correlation of spectrum and model, 0 to 1",
    "score": "as the program gives it",
    "ice_ring": "power from 0.25 to 0.28 1/Å as RELION 5 defines it; compares exposures of one session only",
    "seconds_to_result": "from the exposure to the stored result",
}

#: What was done, of runs of this package's own kinds.
METHODS = {"motion": "Movies were corrected for motion", "CTF": "The CTF was estimated"}

#: Images named in one group of failures.
NAMED = 8


def constructReport(exposures: Sequence[Exposure], runs: Sequence[Run], where: str = "", title: str = "") -> str:
    """Return the HTML text of a report."""
    lines = [one.line for one in exposures]
    criterion, best, worst = chooseExtremes(exposures)
    context = {
        "title": title or nameSession(exposures, runs),
        "when": describeTime(lines),
        "where": where,
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "version": readVersion(),
        "counts": constructCounts(exposures, runs),
        "cards": constructCards(lines),
        "numbers": constructNumbers(lines),
        "last": LAST,
        "trends": mark_safe(drawTrends(lines)),  # of Plotly, with everything in it escaped
        "histograms": [one | {"plot": mark_safe(one["plot"])} for one in drawHistograms(lines)],
        "criterion": describeColumn(criterion) if criterion else "",
        "best": [constructCard(one) for one in best],
        "worst": [constructCard(one) for one in worst],
        "runs": [constructRun(run) for run in runs],
        "methods": describeMethods(lines, runs),
        "library": mark_safe(readLibrary()),
    }
    engine = Engine(dirs=[str(Path(__file__).parent)])
    return engine.get_template("report.html").render(Context(plainTexts(context)))


def plainTexts(value: Any) -> Any:
    """Return a value in which no text steers a terminal or hides what it says; what is HTML already stays."""
    if isinstance(value, dict):
        return {key: plainTexts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plainTexts(one) for one in value]
    return makePlain(value) if type(value) is str else value


def nameSession(exposures: Sequence[Exposure], runs: Sequence[Run]) -> str:
    """Return the name of the session by a run's status, else by the folder that classic names after it."""
    for run in runs:
        if isOurs(run.rundir) and (name := loadStatus(run).get("session")):
            return str(name)
    return runs[0].rundir.absolute().parents[1].name if exposures else "Session"


def loadStatus(run: Run) -> dict[str, Any]:
    """Return the status of a run; empty where it has none that can be read."""
    try:
        return readStatus(run.rundir) if isOurs(run.rundir) else {}
    except ConfigurationFailure:
        return {}


def describeTime(lines: Sequence[Line]) -> str:
    """Return from when to when the exposures were taken."""
    times = [line["exposed"] for line in lines if "exposed" in line]
    if not times:
        return ""
    first, last = (time.strftime("%Y-%m-%d %H:%M", time.localtime(one)) for one in (min(times), max(times)))
    return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def constructCounts(exposures: Sequence[Exposure], runs: Sequence[Run]) -> list[tuple[str, int]]:
    """Return how many exposures there are, by what is known of them."""
    counts = [("exposures", len(exposures))]
    if any(one.motion for one in exposures):
        counts.append(("motion corrected", sum(one.motion is not None for one in exposures)))
    if any(one.ctfrun for one in exposures):
        counts.append(("with a CTF", sum(one.ctfrun is not None for one in exposures)))
    aside = sum(one.next_try is None for run in runs for one in loadAttempts(run))
    return [*counts, ("set aside", aside)]


def constructCards(lines: Sequence[Line]) -> list[dict[str, str]]:
    """Return name, median, and unit of the numbers that matter most."""
    medians = calcMedians(lines)
    return [{"words": COLUMNS[name].words, "value": formatValue(name, medians[name]), "unit": COLUMNS[name].unit}
            for name in CARDS if name in medians]  # fmt: skip


def constructNumbers(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return for each number its median, what the middle half lies between, the last exposures' median, its meaning."""
    medians, last = calcMedians(lines), calcMedians(lines[-LAST:])
    rows = []
    for name, value in medians.items():
        values = [line[name] for line in lines if isinstance(line.get(name), (int, float))]
        ends = quantiles(values, n=4)[::2] if len(values) > 1 else values * 2
        rows.append({
            "words": COLUMNS[name].words, "unit": COLUMNS[name].unit, "median": formatValue(name, value),
            "low": formatValue(name, ends[0]), "high": formatValue(name, ends[1]),
            "last": formatValue(name, last[name]) if name in last else "", "count": len(values),
            "meaning": MEANINGS.get(name, ""),
        })  # fmt: skip
    return rows


def formatValue(name: str, value: float) -> str:
    return f"{value:,.{COLUMNS[name].digits or 0}f}".replace(",", "\u202f")


def constructRun(run: Run) -> dict[str, Any]:
    """Return where a run is, with which programs and options its results were made, and what failed."""
    status = loadStatus(run)
    programs = [program.label for program in readRunPrograms(run.rundir)] if isOurs(run.rundir) else []
    began, ended = status.get("started"), status.get("heartbeat")
    return {
        "kind": WORDS[run.kind],
        "name": run.name,
        "folder": str(run.rundir.absolute()),
        "programs": programs or ["not known"],
        "version": status.get("version", ""),
        "host": status.get("host", ""),
        "began": time.strftime("%Y-%m-%d %H:%M", time.localtime(began)) if began else "",
        "ended": time.strftime("%Y-%m-%d %H:%M", time.localtime(ended)) if ended else "",
        "state": status.get("ended") or status.get("state", ""),
        "options": readOptionTexts(run.rundir, run.name, run.kind),
        "failures": groupFailures(loadAttempts(run)),
        "waiting": [{"count": group["count"], "reason": group["reason"]} for group in status.get("waiting_for", ())],
    }  # fmt: skip


def loadAttempts(run: Run) -> list[Attempt]:
    """Return what failed and did not succeed since."""
    return list(readAttempts(run.rundir).values()) if isOurs(run.rundir) else []


def groupFailures(attempts: Sequence[Attempt]) -> list[dict[str, Any]]:
    """Return failures by their reason, the most frequent first."""
    groups: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        groups.setdefault(calcReasonGroup(attempt.reason, attempt.filename), []).append(attempt)
    found = []
    for group in sorted(groups.values(), key=len, reverse=True):
        last = max(group, key=lambda attempt: attempt.last)
        names = [attempt.filename for attempt in group[:NAMED]]
        found.append({
            "count": len(group), "reason": last.reason, "remedy": last.remedy, "names": names,
            "more": len(group) - len(names), "aside": sum(attempt.next_try is None for attempt in group),
        })  # fmt: skip
    return found


def describeMethods(lines: Sequence[Line], runs: Sequence[Run]) -> str:
    """Return the sentences of a methods section that follow from the runs."""
    medians: Mapping[str, float] = calcMedians(lines)
    said = []
    for run in runs:
        made = " and ".join(program.label for program in readRunPrograms(run.rundir)) if isOurs(run.rundir) else ""
        what = METHODS.get(run.kind) or f"{WORDS[run.kind].capitalize()}: measured"
        version = loadStatus(run).get("version", "")
        said.append(f"{what} with {made or 'a program that is not recorded'}, run by Appion {version}".rstrip())
    facts = [f"{COLUMNS[name].words} {formatValue(name, medians[name])} {COLUMNS[name].unit}".rstrip()
             for name in ("dose", "drift", "defocus", "ctf_resolution") if name in medians]  # fmt: skip
    return ". ".join([*said, f"Medians of {len(lines)} exposures: {', '.join(facts)}"]) + "."
