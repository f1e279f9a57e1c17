"""Waiting for what is about to come about, and for processes to be gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def waitFor(condition: Callable[[], Any], timeout: float = 600) -> Any:
    """Wait until a condition holds, and return what it says."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"it did not come about within {timeout:g} s"
        time.sleep(0.02)
    return answer


def isRunning(pid: int) -> bool:
    """Whether there is a process of this number that has not ended, waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
