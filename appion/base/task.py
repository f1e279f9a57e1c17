"""What runs on a worker around a step's calc. Neither Django nor the daemon is imported there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appion.base.failures import Failure, classifyException


@dataclass(frozen=True)
class Outcome:
    """What came back for one exposure: a result or a failure, where it was made and in how many seconds.

    Neither: the result is in the journal.
    """

    result: Any = None
    failure: Failure | None = None
    host: str = ""
    worker: str = ""
    seconds: float = 0.0
    address: str = ""  # of the worker, as Dask calls it


def runTask(calc: Callable[[Any], Any], params: Any, journal: str = "") -> Outcome:
    """Run `calc` and return its result or its failure, classified here where the traceback is at hand.

    Dask runs a task again if its worker is lost before the result was fetched. If there is a record at the path
    `journal` by then, nothing is computed and the result is None: it is in the record.
    """
    host, start = os.uname().nodename, time.monotonic()
    worker = os.environ.get("SLURM_JOB_ID") or os.environ.get("APPION_WORKER", "")
    result, failure = None, None
    if journal and os.path.exists(journal):
        return Outcome(host=host, worker=worker)
    try:
        result = calc(params)
    except (Exception, SystemExit) as error:
        failure = classifyException(error, host)
        failure.host = failure.host or host
    return Outcome(result, failure, host, worker, time.monotonic() - start, readAddress())


def readAddress() -> str:
    """Dask's name of the worker that this runs on; empty elsewhere."""
    try:
        return sys.modules["distributed"].get_worker().address
    except (KeyError, ValueError):
        return ""
