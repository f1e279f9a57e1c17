"""The numbers of stored exposures: lines of a series, and what many of them say together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from appion.base.records.series import COLUMNS, HEADLINE, IMAGE, NAME
from appion.base.records.task import Computed, Origin

#: Significant digits of a number in a line.
DIGITS = 6

#: How many exposures are "the last".
LAST = 20

Line = Mapping[str, Any]


def calcOrigin(origin: Origin) -> dict[str, Any]:
    """Return which exposure it is and how it was taken as fields of a line; None for what is not known."""
    taken = origin.taken
    fields: dict[str, Any] = {
        NAME: origin.filename, "exposed": taken.time, "preset": taken.preset, "target": taken.target_id,
        "grid": taken.grid_id, "stage_tilt": taken.tilt,
    }  # fmt: skip
    fields |= {f"stage_{axis}": value for axis, value in zip("xyz", taken.stage, strict=True)}
    return fields | {f"image_shift_{axis}": value for axis, value in zip("xy", taken.image_shift, strict=True)}


def calcFields(measure: Callable[[Any], Line], computed: Computed[Any, Any]) -> dict[str, Any]:
    """Return all fields of a line that a stored result gives: of its origin, and what `measure` says of its result."""
    return {**calcOrigin(computed.origin), **measure(computed)}


def constructLine(image_id: int, name: str, fields: Line, stored: float) -> dict[str, Any]:
    """Return the line of an exposure whose result was stored at a Unix time.

    What is None, empty or no finite number is left out, and so is a time to the result where the clocks disagree.
    """
    line: dict[str, Any] = {IMAGE: image_id, NAME: name or fields.get(NAME, "")}
    line |= {key: cleanValue(key, value) for key, value in fields.items() if key != NAME and isKnown(value)}
    line["stored"] = round(stored, 3)
    if line.get("exposed", math.inf) <= stored:
        line["seconds_to_result"] = round(stored - line["exposed"], 1)
    return line


def isKnown(value: Any) -> bool:
    """Return whether a value is one: not None, not an empty text, no infinity and no NaN."""
    return value not in (None, "") and not (isinstance(value, float) and not math.isfinite(value))


def cleanValue(name: str, value: Any) -> Any:
    """Return a number without digits that mean nothing; times keep their milliseconds."""
    if not isinstance(value, float):
        return value
    return round(value, 3) if name in ("exposed", "stored") else float(f"{value:.{DIGITS}g}")


def calcMedians(lines: Iterable[Line]) -> dict[str, float]:
    """Return the median of each number that has one, over the lines that have it, in the order of the columns."""
    values: dict[str, list[float]] = {name: [] for name, column in COLUMNS.items() if column.median}
    for line in lines:
        for name, value in line.items():
            if name in values and isinstance(value, (int, float)):
                values[name].append(value)
    return {name: cleanValue(name, float(median(found))) for name, found in values.items() if found}


def calcSummary(lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """Return the last line, and the medians of the last :data:`LAST` of lines that are in their order."""
    last = {name: value for name, value in (lines[-1] if lines else {}).items() if name in COLUMNS}
    return {"last": last, f"last_{LAST}": calcMedians(list(lines)[-LAST:])}


def describeMedians(medians: Mapping[str, float]) -> str:
    """Return the numbers that matter first in words with their units; an empty text if there are none.

    >>> describeMedians({"drift": 12.3456, "confidence": 0.9})
    'drift 12.3 Å, confidence 0.90'
    """
    return ", ".join(formatNumber(name, medians[name]) for name in HEADLINE if name in medians)


def formatNumber(name: str, value: float) -> str:
    """Return a number of a line in words: what it is, as many digits as say something, its unit."""
    return f"{COLUMNS[name].words} {formatValue(name, value)}"


def formatValue(name: str, value: float) -> str:
    """Return a number of a line with as many digits as say something, and its unit."""
    return f"{value:.{COLUMNS[name].digits or 0}f} {COLUMNS[name].unit}".rstrip()
