"""What is remembered of an exposure that failed, and the lines in which that is written down.

A line is a JSON object: a whole attempt, what of an earlier one's fate has changed since, or the id alone of an image
whose failures are forgotten. The last word on an image counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

#: Characters of a program's output that are kept, its end.
TAIL = 1500

#: What of an attempt changes without another failure.
FATE = ("kind", "count", "next_try")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is remembered of an exposure that failed, also over a restart. Times are Unix times.

    Attributes:
        kind: class of the last failure.
        count: failures held against the image; infrastructure: workers lost while others got through.
        next_try: when it is tried again; None: set aside.
    """

    image_id: int
    filename: str
    kind: str
    count: int
    infrastructure: int
    reason: str
    remedy: str
    command: str
    host: str
    log_tail: str
    last: float
    next_try: float | None


def decodeAttempt(record: dict[str, Any]) -> Attempt:
    """An Attempt from what :func:`encodeAttempt` made of it; raises TypeError or KeyError for anything else."""
    return Attempt(**{field.name: record[field.name] for field in fields(Attempt)})


def encodeAttempt(attempt: Attempt) -> dict[str, Any]:
    """As a JSON-able dictionary."""
    return {field.name: getattr(attempt, field.name) for field in fields(Attempt)}


def parseAttemptLine(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for nothing, and for one that was cut off when its writer or the host died.

    Raises:
        ValueError: this is no line of the file of attempts.
    """
    text = line.strip(b"\0\r\n ")  # a host that lost power may leave zeros
    if not text:
        return None
    try:
        record = json.loads(text)
    except ValueError:
        if text.startswith(b"{"):
            return None
        raise
    if not isinstance(record, dict) or not isinstance(record.get("image_id"), int):
        raise ValueError(f"no failure of an image: {text[:80]!r}")
    return record


def applyAttemptLine(before: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any] | None:
    """The whole of what is known of an image after a line, given what was known before; None: nothing."""
    if len(record) == 1:
        return None
    if record.keys() <= {"image_id", *FATE}:
        return before and before | record
    return record


def formatAttemptLine(record: dict[str, Any]) -> str:
    """A line."""
    return json.dumps(record, separators=(",", ":")) + "\n"
