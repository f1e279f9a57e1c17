"""Writing the status of a run: small, whole, every few seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appion.base.calc.plain import formatJson
from appion.base.records.runfolder import statusPath
from appion.base.store.files import writeAtomically


def saveStatus(rundir: Path | str, status: dict[str, Any]) -> None:
    """Replace the status of a run."""
    writeAtomically(statusPath(rundir), formatJson(status, indent=1))
