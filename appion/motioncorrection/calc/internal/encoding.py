"""Result records to and from the plain dictionaries of the journal."""

from __future__ import annotations

import dataclasses
from typing import Any

from appion.base.records.encoding import decodeRecord
from appion.motioncorrection.records import MotionCorrectionResult


def encodeResult(result: MotionCorrectionResult) -> dict[str, Any]:
    """Return a result as a dictionary that JSON can hold."""
    return dataclasses.asdict(result)


def decodeResult(record: dict[str, Any]) -> MotionCorrectionResult:
    """Return the result that `encodeResult` made the dictionary from; fields that are not there get their default.

    Raises:
        ValueError: the dictionary is not the record of a result.
    """
    return decodeRecord(MotionCorrectionResult, record)
