"""The loop's side of scaling: how much there is to do, and what the cluster has to tell."""

from __future__ import annotations

import math
import time

from appion.base.config import setting
from appion.base.controller.run import Run
from appion.base.controller.state import Phase
from appion.base.store.scratch import calcScratchRoot, cleanEndedJobs
from appion.base.workers.scaling import Demand, calcNeededTime


def tellPool(run: Run) -> None:
    """Tell the workers' side what there is to do, write down what it has to tell, clean up after jobs that ended."""
    run.pool.tell(calcDemand(run))
    run.reporter.events(run.pool.takeNews())
    live = run.pool.findLiveJobs()
    if live is not None and live != run.live_jobs:
        run.live_jobs = live
        for root in {calcScratchRoot(run.rundir), run.options.scratch}:
            for line in cleanEndedJobs(root, live) if root else []:
                run.reporter.event("cleaned", reason=line)


def calcDemand(run: Run) -> Demand:
    """What there is to do now; while nothing can be handed out, only what runs."""
    counts, seconds, arrived = run.exposures.counts, run.reporter.seconds, run.reporter.arrived
    backlog, running = counts[Phase.QUEUED], counts[Phase.RUNNING]
    if run.stopping or run.low_space or any(one.isPaused() for one in (run.infrastructure, run.database, run.refused)):
        backlog = 0
    if run.alike.isActive():
        backlog = min(backlog, 1)
    if run.options.limit is not None:
        backlog = min(backlog, max(0, run.options.limit - len(run.taken)) + counts[Phase.BACKING_OFF])
    return Demand(
        backlog=backlog + running,
        seconds=sum(seconds) / len(seconds) if seconds else None,
        needed=calcNeededTime(max(seconds, default=None), run.step.timeout, setting("jobs.margin")),
        quiet=time.monotonic() - arrived[-1] if arrived and not run.stopping else math.inf,
    )
