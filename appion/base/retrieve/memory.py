"""Which alarms of a run there are, for whoever only looks."""

from __future__ import annotations

from pathlib import Path

from appion.base.records.alarm import Memory, decodeMemory
from appion.base.records.runfolder import alarmsPath


def readMemory(rundir: Path | str) -> Memory:
    """Return what is remembered of the alarms of a run; nothing if it has none or that cannot be read."""
    try:
        return decodeMemory(alarmsPath(rundir).read_bytes())
    except (OSError, ValueError):
        return Memory()
