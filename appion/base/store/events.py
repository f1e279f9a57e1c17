"""The events of a run: one JSON line per transition of an exposure, appended and never rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from appion.base.calc.plain import formatJson
from appion.base.records.runfolder import eventsPath
from appion.base.store.files import appendLines


def saveEvents(rundir: Path | str, events: Iterable[Mapping[str, Any]]) -> None:
    """Append events; empty values are left out.

    Raises:
        OSError: disk full and the like; then none of them is there.
    """
    lines = [
        formatJson({key: value for key, value in event.items() if value not in (None, "")}) + "\n"
        for event in events
    ]
    if not lines:
        return
    appendLines(eventsPath(rundir), lines)
