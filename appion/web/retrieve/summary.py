"""How a session is doing, in words and numbers."""

from __future__ import annotations

from typing import Any

from appion.base.config import setting
from appion.base.records.series import HEADLINE
from appion.base.retrieve.runs import WORDS, Run
from appion.web.calc.words import describeGood, describeTrend
from appion.web.retrieve.condition import State, readState
from appion.web.retrieve.table import Table

#: Of several runs' verdicts the first of these is the session's.
WORST = ("trouble", "ok", "stopped")


def summarize(table: Table) -> dict[str, Any]:
    """Return verdict, sentences, counts, how far behind and how fast, and what is the trouble."""
    runs = table.view.shown
    states = [readState(run.folder) for run in runs]
    limits = setting("web.limits")
    columns = table.pickResults({*HEADLINE, *limits})
    rates = [state.status["rate_per_hour"] for state in states if state.running and state.status]
    told = list(zip(map(describeRun, runs), states, strict=True))
    return {
        "verdict": min((state.verdict for state in states), key=WORST.index, default="stopped"),
        "sentences": describeTrend(columns),
        "good": describeGood(columns, limits),
        "counts": table.count(),
        "behind_minutes": max(map(calcBehind, states), default=0.0),
        "per_hour": min(filter(None, rates), default=None),
        "trouble": [*(f"{name}: {line}" for name, state in told for line in state.trouble), *table.listProblems()],
        "runs": [f"{name}: {state.words}" for name, state in told],
    }


def calcBehind(state: State) -> float:
    """Return for how many minutes the oldest exposure that is not done has waited."""
    return round(state.status["behind"]["minutes"], 1) if state.status and state.running else 0.0


def describeRun(run: Run) -> str:
    return f"{WORDS[run.kind]} ({run.name})"
