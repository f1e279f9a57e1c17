"""The events of a run: one JSON line per transition of an exposure, appended and never rewritten."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from appion.base.calc.plain import formatJson
from appion.base.records.runfolder import eventsPath


def saveEvents(rundir: Path | str, events: Iterable[Mapping[str, Any]]) -> None:
    """Append events; empty values are left out.

    A line that a killed daemon left unfinished is ended first, so that it spoils no other.

    Raises:
        OSError: disk full and the like; then none of them is there.
    """
    lines = [
        formatJson({key: value for key, value in event.items() if value not in (None, "")}) + "\n"
        for event in events
    ]
    if not lines:
        return
    with open(eventsPath(rundir), "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        torn = False
        if end:
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
        try:
            file.write((("\n" if torn else "") + "".join(lines)).encode())
            file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), end)
            file.raw.close()  # what is buffered shall not be written after all
            raise
