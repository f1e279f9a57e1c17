"""What was computed in a run folder and is not stored: whether it is what is asked for now."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from appion.base.retrieve.journal import UnreadableRecord, readResults


def retrieveOtherResults(
    rundir: Path | str, decodeOptions: Callable[[dict[str, Any]], Any], options: Any, ignored: Collection[str] = ()
) -> dict[int, str]:
    """Return the images whose result in the journal was computed with other options, and what these were.

    A record that cannot be read is left to the one who stores it.

    Args:
        decodeOptions: returns the options of a record.
        options: what is asked for now.
        ignored: names of options that make no difference to a result.
    """
    others = {}
    for image_id, record in readResults(rundir):
        if isinstance(record, UnreadableRecord):
            continue
        try:
            difference = describeDifference(decodeOptions(record), options, ignored)
        except ValueError:
            continue
        if difference:
            others[image_id] = difference
    return others


def describeDifference(before: Any, now: Any, ignored: Collection[str] = ()) -> str:
    """Return the options in which `before` differs from `now`, as they were; empty if they give the same result."""
    names = [field.name for field in dataclasses.fields(before) if field.name not in ignored]
    return ", ".join(
        f"{name}={getattr(before, name)}" for name in names if getattr(before, name) != getattr(now, name)
    )
