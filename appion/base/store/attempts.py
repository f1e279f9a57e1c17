"""Keeping the failures of a run over restarts, and requests to forget them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path

from appion.base.records.attempt import Attempt, encodeAttempt
from appion.base.records.runfolder import attemptsPath, retryFolder
from appion.base.store.files import writeAtomically


def saveAttempts(rundir: Path | str, attempts: Iterable[Attempt]) -> None:
    """Replace the failures of a run."""
    records = {str(attempt.image_id): encodeAttempt(attempt) for attempt in attempts}
    writeAtomically(attemptsPath(rundir), json.dumps(records, indent=1))


def saveRetryRequest(rundir: Path | str, ids: Iterable[int] | None) -> Path:
    """Ask a running daemon to try these images again, or all that failed (None). It takes note at its next poll."""
    folder = retryFolder(rundir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.time_ns()}.json"
    writeAtomically(path, json.dumps({"ids": None if ids is None else sorted(ids)}))
    return path
