"""Writing the journal: one JSON file per computed result, kept until it is stored (for good without commit)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from appion.base.records.belonging import checkExpected
from appion.base.records.runfolder import journalPath
from appion.base.store.files import writeAtomically


def saveResult(rundir: Path | str, image_id: int, record: dict[str, Any]) -> None:
    """Write (or replace) the record of one image; from then on its result is never computed again.

    Raises:
        OSError: disk full and the like; nothing half-written is left.
        InfrastructureFailure: this is a worker that was told of a run folder which is away: nothing is made then.
    """
    checkExpected(rundir)
    path = journalPath(rundir, image_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    writeAtomically(path, json.dumps(record, separators=(",", ":")))


def removeResult(rundir: Path | str, image_id: int) -> None:
    """Forget the record of one image; it need not be there. What a killed worker left half-written goes with it."""
    path = journalPath(rundir, image_id)
    for half in path.parent.glob(f".{path.name}.*.tmp"):
        half.unlink(missing_ok=True)
    path.unlink(missing_ok=True)  # last: while it is there, all of this can be repeated


def setResultAside(rundir: Path | str, image_id: int) -> Path:
    """Rename an unusable record to ``<id>.json.bad``, so that the image is computed again."""
    path = journalPath(rundir, image_id)
    bad = path.with_name(path.name + ".bad")
    path.replace(bad)
    return bad
