"""Whether a file has stopped changing."""

from __future__ import annotations

import os
import time

from appion.base.failures import Failure, NotReady
from appion.base.retrieve.access import MISSING, askFolder, judgeAccess, recallAway
from appion.base.retrieve.neighbours import NO_FOLDER, describeMissing

#: Files whose time of change lies in the future: what they looked like, and since when (monotonic seconds).
_future: dict[str, tuple[tuple[int, int], float]] = {}


def checkSettled(path: str, settle: float) -> float:
    """Return for how long (seconds) a file has not changed. One in a folder that was away a moment ago is not asked.

    Raises:
        NotReady: it is not there, its folder is not, it is empty, or it changed less than `settle` seconds ago.
        InfrastructureFailure: the disk does not answer.
    """
    away = recallAway(os.path.dirname(path) or ".")
    if away is not None:
        raise _explainMissing(path, away)
    try:
        status = os.stat(path)
    except OSError as error:
        raise _explainMissing(path, error) from error
    age = _calcAge(path, status)
    if status.st_size == 0:
        raise NotReady(f"{path} is there, but empty (0 bytes), since {age:.0f} s", "did its transfer break off?")
    if age < settle:
        raise NotReady(f"{path} changed {age:.1f} s ago", f"a file is complete after {settle:g} s without a change")
    return age


def _explainMissing(path: str, error: OSError) -> Failure:
    """Return the failure of a file that cannot be looked at: it waits for a folder that is not there as for itself."""
    away = askFolder(os.path.dirname(path) or ".")
    if away is not None and away.errno in MISSING:
        return NotReady(f"{path} {NO_FOLDER}", "is it mounted here?")
    failure = judgeAccess(path, error)
    if isinstance(failure, NotReady):
        return NotReady(describeMissing(path), "still to be copied, or packed or renamed by somebody?")
    return failure


def _calcAge(movie: str, status: os.stat_result) -> float:
    """Return for how long (s) a file has not changed: as observed here if its time lies in the future (other clock)."""
    age = time.time() - status.st_mtime
    if age >= 0:
        return age
    look = status.st_size, status.st_mtime_ns
    seen, since = _future.get(movie, (None, 0.0))
    if seen != look:
        since = time.monotonic()
        _future[movie] = (look, since)
    return time.monotonic() - since


def forgetFile(path: str) -> None:
    """Forget what was observed of a file: it is complete and needs no further look."""
    _future.pop(path, None)
