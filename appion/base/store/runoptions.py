"""Keeping the options and the program with which the results of a run are made."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.records.program import Program
from appion.base.records.runfolder import runOptionsPath
from appion.base.store.files import writeAtomically


def saveRunOptions(
    rundir: Path | str,
    program: str,
    options: Mapping[str, Any],
    external: Program | None = None,
    earlier: Sequence[Program] = (),
) -> None:
    """Write down what results of the command `program` are made with from now on: its options, the external program.

    `earlier` are the external programs, or versions of it, that earlier results of the run were made with.
    """
    record: dict[str, Any] = {"program": program, "options": dict(options)}
    if external is not None:
        record["external"] = dataclasses.asdict(external)
        record["earlier"] = [dataclasses.asdict(one) for one in earlier]
    writeAtomically(runOptionsPath(rundir), json.dumps(record, indent=1))
