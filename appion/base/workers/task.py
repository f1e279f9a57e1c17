"""What runs on a worker around a step's calc. Neither Django nor the daemon is imported there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from appion.base.calc.place import findJob, findNode
from appion.base.failures import Failure, classifyException
from appion.base.records.belonging import Belonging
from appion.base.records.task import Computed, Task, encodeComputed
from appion.base.store.journal import saveResult
from appion.base.workers.jobs import jobworker
from appion.base.workers.onworker import findWorker
from appion.base.workers.stage import Fetch, deliverFile, redirect


@dataclass(frozen=True)
class Outcome:
    """What came back for one exposure: a result or a failure, where it was made and in how many seconds.

    Neither: the result is in the journal; or it was not computed, and nothing speaks against it: `refused` says why.
    """

    result: Any = None
    failure: Failure | None = None
    host: str = ""
    worker: str = ""
    seconds: float = 0.0
    address: str = ""  # of the worker, as Dask calls it
    refused: str = ""
    fetched: float = 0.0  # seconds that its movie was read ahead
    unfetched: str = ""  # why it could not be


def runTask(
    calc: Callable[[Any], Any], params: Any, journal: str = "", needed: float = 0.0, reads: str = ""
) -> Outcome:
    """Run `calc` and return its result or its failure, classified here where the traceback is at hand.

    Dask runs a task again if its worker is lost before the result was fetched. If there is a record at the path
    `journal` by then, nothing is computed and the result is None: it is in the record. A worker whose job ends in less
    than `needed` seconds takes nothing and goes. The file `reads` is read where it was fetched to, if it was.
    """
    host, start = findNode(), time.monotonic()
    worker = findJob() or os.environ.get("APPION_WORKER", "")
    result, failure, fetch = None, None, Fetch(None)
    if journal and os.path.exists(journal):
        return Outcome(host=host, worker=worker)
    if not jobworker.hasTime(needed):
        jobworker.retireSoon()
        return Outcome(host=host, worker=worker, refused="too little time left on the worker")
    try:
        with deliverFile(reads) as fetch:
            start = time.monotonic()
            result = calc(redirect(params, reads, fetch.copy))
    except (Exception, SystemExit) as error:
        failure = classifyException(error, host)
        failure.host = failure.host or host
    found = findWorker()
    return Outcome(result, failure, host, worker, time.monotonic() - start, found.address if found else "",
                   fetched=fetch.seconds, unfetched=fetch.trouble)  # fmt: skip


def workInside(rundir: Belonging, calc: Callable[[Any], Any], params: Any) -> Any:
    """Run `calc` if the run folder, as this host sees it, is the one that the daemon works in.

    Raises:
        InfrastructureFailure: it is away, or another one is in its place; Exception: what `calc` raises.
    """
    with rundir.expect():
        return calc(params)


def computeTask(calc: Callable[[Any], Any], task: Task[Any, Any]) -> Computed[Any, Any]:
    """Run `calc` on the parameters of a task; its result is in the journal of the run before this returns.

    Raises:
        Exception: what `calc` raises; OSError: the record cannot be written, and nothing half-written is left.
        InfrastructureFailure: the run folder is away by then.
    """
    computed = Computed(task.origin, calc(task.params))
    saveResult(task.origin.rundir, task.origin.image_id, encodeComputed(computed))
    return computed
