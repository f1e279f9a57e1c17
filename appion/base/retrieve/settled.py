"""Whether a file has stopped changing."""

from __future__ import annotations

import os
import time

from appion.base.failures import NotReady, classifyException
from appion.base.retrieve.neighbours import describeMissing

#: Files whose time of change lies in the future: what they looked like, and since when (monotonic seconds).
_future: dict[str, tuple[tuple[int, int], float]] = {}


def checkSettled(path: str, settle: float) -> float:
    """Return for how long (seconds) a file has not changed.

    Raises:
        NotReady: it is not there, empty, or changed less than `settle` seconds ago.
        InfrastructureFailure: the disk does not answer.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotReady(describeMissing(path), "still to be copied, or packed or renamed by somebody?") from None
    except OSError as error:
        raise classifyException(error) from error
    age = _calcAge(path, status)
    if status.st_size == 0:
        raise NotReady(f"{path} is there, but empty (0 bytes), since {age:.0f} s", "did its transfer break off?")
    if age < settle:
        raise NotReady(f"{path} changed {age:.1f} s ago", f"a file is complete after {settle:g} s without a change")
    return age


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
