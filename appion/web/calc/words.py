"""What the numbers of a session say, in sentences, and how many exposures are good."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appion.base.calc.numbers import LAST, formatNumber
from appion.base.records.series import BETTER, COLUMNS, HEADLINE, STEPS
from appion.base.records.steps import HIGH, LOW, Column

#: By how much the last have to differ from all before it is worth a word.
RATIO = 1.5

#: So many exposures tell how a session is, besides the last ones.
ENOUGH = 10

Columns = Mapping[str, Sequence[Any]]


#: What pages show beside the columns of the series.
FURTHER = (
    Column("id", "image"),
    Column("ctf_stored", "time of CTF", "s", 0),
    Column("defocus_nominal", "defocus asked for", "Å", 0),
    Column("square", "square"),
    Column("hole", "hole"),
    Column("thumb", "small picture"),
    Column("hidden", "hidden"),
)


def describeColumns(limits: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return name, words, unit, digits, what is better, and the limit to begin with, of every column of a page.

    `step` is the name of the step of another package that a column is of, else None.
    """
    owners = {column.name: step.name for step in STEPS for column in step.columns}
    shown = [*(column for name, column in COLUMNS.items() if name != "image"), *FURTHER]
    return [
        {"name": column.name, "words": column.words, "unit": column.unit, "digits": column.digits,
         "better": BETTER.get(column.name), "threshold": limits.get(column.name),
         "step": owners.get(column.name)}
        for column in shown
    ]  # fmt: skip


def countGood(columns: Columns, limits: Mapping[str, float]) -> tuple[int, int]:
    """Return how many rows are within all limits, and how many there are with a number to judge by."""
    judged = [(name, toArray(columns[name]), limit) for name, limit in limits.items()
              if name in columns and name in BETTER]  # fmt: skip
    if not judged:
        return 0, 0
    known = np.any([~np.isnan(values) for _, values, _ in judged], axis=0)
    bad = np.any([values < limit if BETTER[name] == HIGH else values > limit for name, values, limit in judged], axis=0)
    return int(np.count_nonzero(known & ~bad)), int(np.count_nonzero(known))


def toArray(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return values as numbers, NaN for None."""
    return np.array(values, np.float64)


def describeTrend(columns: Columns) -> list[str]:
    """Return a sentence for each number of which the last exposures differ from the session's, worst first.

    Args:
        columns: values in the order of the exposures.
    """
    found = []
    for name in HEADLINE:
        values = toArray(columns.get(name, ()))
        values = values[~np.isnan(values)]
        if len(values) < LAST + ENOUGH or name not in BETTER:
            continue
        last, usual = float(np.median(values[-LAST:])), float(np.median(values))
        if usual <= 0 or last <= 0:
            continue
        ratio = last / usual
        worse = math.log(ratio if BETTER[name] == LOW else 1 / ratio)
        if abs(worse) >= math.log(RATIO):
            found.append((worse, describeChange(name, last, usual, ratio)))
    return [sentence for _, sentence in sorted(found, reverse=True)]


def describeChange(name: str, last: float, usual: float, ratio: float) -> str:
    """Return in words how the median of the last exposures compares with that of all.

    >>> describeChange("drift", 21.0, 10.0, 2.1)
    "drift of the last 20 is 2.1 times the session's (21.0 Å, 10.0 Å)"
    """
    words = COLUMNS[name].words
    shown = [formatNumber(name, value).removeprefix(words).strip() for value in (last, usual)]
    return f"{words} of the last {LAST} is {ratio:.1f} times the session's ({', '.join(shown)})"


def describeGood(columns: Columns, limits: Mapping[str, float]) -> str | None:
    """Return in a sentence how many are good, by which limits; None where there is nothing to judge by."""
    good, known = countGood(columns, limits)
    if not known:
        return None
    parts = []
    for name, limit in limits.items():
        if name in columns and name in BETTER and any(value is not None for value in columns[name]):
            column, side = COLUMNS[name], "at least" if BETTER[name] == HIGH else "at most"
            parts.append(f"{column.words} {side} {limit:g} {column.unit}".strip())
    return f"{good} of {known} are good ({100 * good / known:.0f} %): {', '.join(parts)}"
