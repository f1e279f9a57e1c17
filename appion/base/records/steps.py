"""What a step of another package says of itself, and which of them are installed.

A package names its steps by entry points of the group :data:`GROUP`, which whoever may install packages writes; nothing
else is loaded. What is loaded must import nothing of Appion but this module.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any

GROUP = "appion.steps"

#: What a better number is, of those that have a better.
LOW, HIGH = "low", "high"

#: What steps and columns may be called, and what else would be taken for a step of this name.
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
TAKEN = ("motion", "ctf", "project", "motioncorrection", "ctfestimation")


@dataclass(frozen=True)
class Column:
    """One field of a line of a series.

    Attributes:
        name: by which it stands in the line. words: what a person calls it.
        unit: as it is printed; empty for a number without one.
        digits: decimals that are worth printing; None: it is no number, or one that only counts or names something.
        median: whether a median of it says something: not of places, times and directions.
        better: LOW or HIGH; empty: it has no better and worse, so that no limit makes an exposure good.
        headline: of a step of another package: whether a person wants to hear of it first.
    """

    name: str
    words: str
    unit: str = ""
    digits: int | None = None
    median: bool = True
    better: str = ""
    headline: bool = False


@dataclass(frozen=True)
class RegisteredStep:
    """A step that is not part of this package.

    Attributes:
        name: of its settings, its jobs, its run folders by default, and its runs in addresses of pages.
        words: what a person calls it.
        columns: of its series; the first one is its trend on the page of all runs.
    """

    name: str
    words: str
    columns: tuple[Column, ...]


def loadSteps(taken: Collection[str]) -> tuple[tuple[RegisteredStep, ...], tuple[str, ...]]:
    """Return the steps that are installed, by name, and for each that is of no use why, in words.

    Args:
        taken: names of the columns that there are already.
    """
    steps: list[RegisteredStep] = []
    problems = []
    known, names = set(taken), set(TAKEN)
    for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            step = point.load()
            wrong = next(findMistakes(step, known, names), "")
        except Exception as error:  # whatever it is, the other steps work
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            package = point.dist.name if point.dist else "?"
            problems.append(f"step {point.name} of package {package} ({point.value}) is left out: {wrong}")
            continue
        steps.append(step)
        names.add(step.name)
        known |= {column.name for column in step.columns}
    return tuple(steps), tuple(problems)


def findMistakes(step: Any, known: Collection[str], names: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a step, given the names of columns and of steps that there are."""
    if not isinstance(step, RegisteredStep) or not all(isinstance(column, Column) for column in step.columns):
        yield f"it is no {RegisteredStep.__name__}"
        return
    if not NAME.fullmatch(step.name) or step.name in names:
        yield f"its name {step.name!r} is taken or none: small letters, digits and _"
    if not step.columns:
        yield "it has no column"
    for column in step.columns:
        if not NAME.fullmatch(column.name) or column.name in known:
            yield f"the name of its column {column.name!r} is taken or none: small letters, digits and _"
        if column.digits is None or not column.words or column.better not in ("", LOW, HIGH):
            yield f"its column {column.name} needs words and digits, and is better {LOW}, {HIGH} or neither"
