"""What was computed in a run folder and is not stored: whether it is what is asked for now."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from appion.base.records.encoding import decodeRecord
from appion.base.records.program import Program, isSameVersion
from appion.base.retrieve.journal import UnreadableRecord, readResults


def retrieveOtherResults(
    rundir: Path | str,
    decodeOptions: Callable[[dict[str, Any]], Any],
    options: Any,
    ignored: Collection[str] = (),
    program: Program | None = None,
    strict: bool = False,
) -> dict[int, str]:
    """Return the images whose result in the journal was computed otherwise: with which options, or which program.

    A record that cannot be read is left to the one who stores it.

    Args:
        decodeOptions: returns the options of a record.
        options: what is asked for now.
        ignored: names of options that make no difference to a result.
        program: that is to be used now; None: any will do. strict: whether its version has to be the same, too.
    """
    others = {}
    for image_id, record in readResults(rundir):
        if isinstance(record, UnreadableRecord):
            continue
        try:
            difference = describeDifference(decodeOptions(record), options, ignored)
            difference = difference or describeOtherProgram(readProgram(record), program, strict)
        except ValueError:
            continue
        if difference:
            others[image_id] = difference
    return others


def readProgram(record: dict[str, Any]) -> Program | None:
    """Return the external program of a journal record; None if it does not tell. Raises ValueError: it is none."""
    params = record.get("result", record).get("params", {})
    return decodeRecord(Program, params["program"]) if params.get("program") else None


def describeOtherProgram(before: Program | None, now: Program | None, strict: bool) -> str:
    """Return the program that a result was computed with if its results may not stand beside those of another."""
    if before is None or now is None or isSameVersion(before, now) or (before.kind == now.kind and not strict):
        return ""
    return f"program {before.label}"


def describeDifference(before: Any, now: Any, ignored: Collection[str] = ()) -> str:
    """Return the options in which `before` differs from `now`, as they were; empty if they give the same result."""
    names = [field.name for field in dataclasses.fields(before) if field.name not in ignored]
    return ", ".join(
        f"{name}={getattr(before, name)}" for name in names if getattr(before, name) != getattr(now, name)
    )
