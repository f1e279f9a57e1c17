"""Classic commands as a person starts them, with a real program beneath; it is skipped only where that is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import sinedon
from appion.base.programs.find import findProgram
from appion.base.programs.searches import SEARCHES
from appion.base.records.program import Program

ROOT = Path(__file__).parents[2]

#: Seconds for a command; programs on a busy machine may take their time.
TIMEOUT = 1800


def requireProgram(variable: str, wanted: str) -> Program:
    """Return the program that the variable names. Without it the test is skipped; a wrong name is an error."""
    path = os.environ.get(variable)
    if not path:
        title = SEARCHES[wanted].title
        pytest.skip(f"no real {title} is named: {variable}=/path/of/it python -m pytest tests/real")
    return findProgram(wanted, path)


@dataclass(frozen=True)
class Bench:
    """A place to run commands: `setting` is the one that names the program."""

    folder: Path
    program: Program
    setting: str

    def start(self, command: str, *words: str, **settings: object) -> subprocess.CompletedProcess[str]:
        """Run a command of this checkout to its end."""
        values = {
            "workers": 1, "poll": 0.5, "recheck": 0.2, "nowait_patience": 2, "attempts": 1, "free_space": 0,
            "motioncorrection__settle": 0, "ctfestimation__settle": 0,
            self.setting.replace(".", "__"): self.program.path, **settings,
        }  # fmt: skip
        environment = {f"DASK_APPION__{key.upper()}": str(value) for key, value in values.items()}
        done = subprocess.run(
            [sys.executable, str(ROOT / "bin" / command), *words], env=os.environ | environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT,
        )  # fmt: skip
        sinedon.setup(1)
        return done


def readRecords(rundir: Path) -> list[dict[str, Any]]:
    """Return the results in the journal of a run, as it keeps them with ``--no-commit``."""
    records = [json.loads(path.read_bytes()) for path in sorted((rundir / ".appion" / "journal").glob("*.json"))]
    return [record.get("result", record) for record in records]


def readEvents(rundir: Path, what: str) -> list[dict[str, Any]]:
    """Return the events of a run that are called `what`."""
    lines = (rundir / ".appion" / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["what"] == what]
