"""`appion status`: for a tired person at three in the morning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appion.base.calc.numbers import LAST, Line, calcMedians, calcSummary, describeMedians
from appion.base.calc.pace import formatDuration
from appion.base.calc.plain import formatJson
from appion.base.cli.screen import show
from appion.base.controller.report import splitRunning
from appion.base.records.program import Program
from appion.base.retrieve.series import readSeries
from appion.base.retrieve.status import Condition, judgeRun
from appion.base.retrieve.verdict import describeVerdict, describeWorkers, formatTime


def showStatus(rundir: Path, as_json: bool) -> int:
    """Print how a run is doing; exit code 0 well, 1 trouble, 2 not running."""
    condition = judgeRun(rundir)
    lines = list(readSeries(rundir).lines.values())
    if as_json:
        extra = {"running": condition.running, "trouble": list(condition.trouble), "exit_code": condition.exit_code}
        numbers = {"numbers": calcSummary(lines) | {"all": calcMedians(lines)}}
        print(formatJson(condition.status | extra | numbers, indent=1))
    else:
        show(*describeCondition(rundir, condition, lines))
    return condition.exit_code


def describeCondition(rundir: Path, condition: Condition, numbers: Sequence[Line] = ()) -> list[str]:
    """The verdict first, then the numbers, then what to do; `numbers` are the lines of the series, oldest first."""
    status = condition.status
    if not status:
        return describeVerdict(condition)
    counts = status["counts"]
    lines = [*describeVerdict(condition), f"  {describeWhere(status)}"]
    lines += [f"  program: {describeExternal(status['external'])}"] if status.get("external") else []
    lines += [f"  {describeCounts(status)}"]
    if condition.running:
        lines.append(f"  {describePace(status)}")
        lines.append(f"  {describeWorkers(status['workers'])}")
    found = describeMedians(calcMedians(numbers[-LAST:]))
    lines += [f"  last {min(len(numbers), LAST)}: {found}"] if found else []
    for group in status["waiting_for"]:
        lines.append(f"  waiting: {group['count']} x {group['reason']} (e.g. image {group['image']})")
    for group in status["failures"]:
        lines.append(f"  failed: {group['count']} x {group['reason']} [{group['class']}]")
        lines += [f"    -> {group['remedy']}"] if group["remedy"] else []
    several = [kind for kind in status.get("warned", ()) if kind["count"] > 1]
    lines += [f"  warned of: {kind['count']} x {kind['text']}" for kind in several]
    lines += [f"  warning: {line}" for line in status.get("warnings", ())]
    if counts["set aside"] or counts["backing off"]:
        lines.append(f"More: appion failures {rundir}    Try again: appion retry {rundir}")
    return lines


def describeWhere(status: dict[str, Any]) -> str:
    """What, where, since when."""
    commit = "" if status["commit"] else ", results are not stored (--no-commit)"
    return (
        f"{status['program']} {status['version']} on {status['host']}, process {status['pid']}, started "
        f"{formatTime(status['started'])}, last sign of life {formatTime(status['heartbeat'])}{commit}"
    )


def describeExternal(external: dict[str, str]) -> str:
    """The program that computes, its version and its path."""
    return str(Program(**external))


def describeCounts(status: dict[str, Any]) -> str:
    """All exposures by what they are doing; phases without any are left out."""
    running, next_on_worker = splitRunning(status)
    counts = status["counts"] | {"running": running}
    others = [f"{number} {phase}" for phase, number in counts.items() if number and phase != "done"]
    others += [f"{next_on_worker} next on their workers"] if next_on_worker else []
    return ", ".join([f"{counts['done']} of {status['total']} exposures done", *others])


def describePace(status: dict[str, Any]) -> str:
    """Rates and how far behind."""
    words = []
    for key, text in (("rate_per_hour", "done"), ("arriving_per_hour", "new")):
        if status[key]:
            words.append(f"{status[key]:.0f} {text} per hour")
    if status["seconds_per_exposure"]:
        parts = [f"{part} {spent['quantiles']['0.5']:.1f} s" for part, spent in status.get("seconds", {}).items()
                 if isinstance(spent, dict) and spent.get("count")]  # fmt: skip
        words.append(f"{status['seconds_per_exposure']:.1f} s each" + (f" ({', '.join(parts)})" if parts else ""))
    behind = status["behind"]
    if not behind["count"]:
        return ", ".join([*words, "nothing behind"])
    words.append(f"behind by {behind['count']} (the oldest for {formatDuration(60 * behind['minutes'])})")
    left = status["time_left"]
    return ", ".join([*words, "time left unknown" if left is None else f"{formatDuration(left)} left"])
