"""What is remembered of an exposure that failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
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
    return asdict(attempt)
