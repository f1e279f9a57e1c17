"""What may be asked of the Dask worker that something runs on, whoever started it."""

from __future__ import annotations

import sys
from typing import Any

#: States, in Dask's words, of a task that a worker has begun.
BEGUN = frozenset({"executing", "long-running", "memory", "error", "cancelled", "resumed", "rescheduled"})


def findWorker() -> Any:
    """The Dask worker that this runs on; None elsewhere."""
    try:
        return sys.modules["distributed"].get_worker()
    except (KeyError, ValueError):
        return None


def listBegun(worker: Any) -> list[str]:
    """Return the keys of the tasks that a worker has begun."""
    return [key for key, task in worker.state.tasks.items() if task.state in BEGUN]


def holdBack(dask_worker: Any) -> list[str]:
    """Begin nothing more; returns the keys of tasks that were begun. Dask calls it where it begins tasks, too."""
    pauseWorker(dask_worker)
    return listBegun(dask_worker)


def pauseWorker(worker: Any) -> None:
    """Have it begin nothing more."""
    worker.status = sys.modules["distributed"].core.Status.paused
