"""What was computed in a run folder and is not stored: whether it is what is asked for now."""

from __future__ import annotations

import dataclasses

from appion.base.retrieve.journal import UnreadableRecord, readResults
from appion.motioncorrection.calc.internal.encoding import decodeResult
from appion.motioncorrection.records import MotionCorrectionOptions


def retrieveOtherResults(rundir: str, options: MotionCorrectionOptions) -> dict[int, str]:
    """Return the images whose result in the journal was computed with other options, and what these were.

    The GPUs make no difference. A record that cannot be read is left to the one who stores it.
    """
    others = {}
    for image_id, record in readResults(rundir):
        if isinstance(record, UnreadableRecord):
            continue
        try:
            difference = describeDifference(decodeResult(record).params.options, options)
        except ValueError:
            continue
        if difference:
            others[image_id] = difference
    return others


def describeDifference(before: MotionCorrectionOptions, now: MotionCorrectionOptions) -> str:
    """Return the options in which `before` differs from `now`, as they were; empty if they give the same result."""
    names = [field.name for field in dataclasses.fields(before) if field.name != "gpuids"]
    return ", ".join(
        f"{name}={getattr(before, name)}" for name in names if getattr(before, name) != getattr(now, name)
    )
