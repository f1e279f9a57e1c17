"""Whether a run gets no further, and whether anything came of it."""

from __future__ import annotations

import re
import time
from typing import Any

from appion.base.config import setting
from appion.base.controller.report import summarizeFailures, summarizeWaits
from appion.base.controller.run import Run
from appion.base.controller.state import Phase
from appion.base.retrieve.status import isFolderMissing

#: What schedulers say of jobs that they will never take as they are.
REFUSED = re.compile(
    r"invalid|not available|permitted|denied|not found|no such file|unrecogni[sz]ed|unknown|rejected|no suitable",
    re.IGNORECASE,
)


def findDeadEnd(run: Run) -> str:
    """Why a run that does not wait gets no further although there is something left to do; empty if it may."""
    patience, workers = setting("nowait_patience"), run.pool.describe()
    if not workers["in_sight"]:
        stuck, refused = workers.get("stuck"), workers.get("refused")
        if stuck and time.time() - stuck["since"] >= patience:
            return f"no job can start before somebody does something: {stuck['reason']}"
        if refused and REFUSED.search(refused["reason"]) and time.time() - refused["since"] >= patience:
            return f"{workers.get('scheduler', 'Slurm')} does not take jobs: {refused['reason']}"
        if workers.get("trouble") and describeStall(run):
            return workers["trouble"][0]
    if run.pool.flights:
        return ""
    outages = {
        "results cannot be stored, they are kept": run.storage,
        "nothing is handed out": run.refused,
        "the exposures cannot be listed": run.polling,
        "the database is away": run.database,
        "a file system does not answer": run.folder,
        "nothing but failures that are not the images'": run.infrastructure,
    }
    for what, outage in outages.items():
        if outage.began is not None and time.time() - outage.began >= setting("stalled_after"):
            return f"{what}: {outage.reason}"
    return "" if run.to_store or not run.alike.isHopeless(patience) else run.alike.describe()


def judgeRun(run: Run, dead_end: str = "") -> str:
    """Why nothing came of a run that has ended, with the reason of the first exposure; empty if something did.

    A run that a person stops while its exposures still wait for their input is a good one.
    """
    exposures, trouble = run.exposures, dead_end or run.alike.describe()
    if trouble and not (run.stops and exposures.successes):
        return trouble
    if exposures.successes:
        return ""
    failures, waits = summarizeFailures(exposures), summarizeWaits(exposures)
    never = not exposures.counts[Phase.DONE]
    if failures and (never or run.reporter.failed):
        return f"nothing succeeded, {failures[0]['count']} exposures failed: {failures[0]['reason']}"
    if waits and not run.stops and (never or isFolderMissing(waits, exposures.counts[Phase.WAITING])):
        return f"nothing was done, {waits[0]['count']} exposures wait for their input: {waits[0]['reason']}"
    return ""


def describeStall(run: Run) -> dict[str, Any] | None:
    """Since when nothing was stored though there is something to do, if that is too long; for the status.

    With workers it may take three times of what the last exposures took, or what the program may take.
    """
    since, seconds, workers = run.reporter.still_since, run.reporter.seconds, run.pool.describe()
    limit = setting("stalled_after")
    if workers["in_sight"]:
        limit = max(limit, 3 * max(seconds) if seconds else run.step.timeout or 0.0)
    if since is None or time.time() - since < limit:
        return None
    counts = run.exposures.counts
    reason = (f"{counts[Phase.QUEUED]} exposures are in line, {counts[Phase.RUNNING]} are handed out, "
              f"{counts[Phase.STORING]} are to be stored, and {workers['in_sight']} workers are there")  # fmt: skip
    return {"since": since, "reason": reason, "next_try": 0.0}
