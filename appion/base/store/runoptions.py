"""Keeping the options with which the results of a run are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import runOptionsPath
from appion.base.store.files import writeAtomically


def saveRunOptions(rundir: Path | str, program: str, options: Mapping[str, Any]) -> None:
    """Write down the options that results of `program` are stored with from now on."""
    writeAtomically(runOptionsPath(rundir), json.dumps({"program": program, "options": dict(options)}, indent=1))
