"""The way in: looking whether exposures are ready, handing them to workers."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

from appion.base.config import setting
from appion.base.controller.refusal import DatabaseRefusal
from appion.base.controller.run import DatabaseAway, Run, askDatabase, noteAdmitted, noteFailure, noteRefused, stopRun
from appion.base.controller.state import Phase
from appion.base.failures import (
    ConfigurationFailure,
    Failure,
    InfrastructureFailure,
    NotReady,
    Outdated,
    classifyException,
)
from appion.base.records.runfolder import journalPath
from appion.base.workers.task import workInside

logger = logging.getLogger(__name__)


def recheckWaiting(run: Run) -> bool:
    """Look again at exposures that were not ready, a bounded number of them; returns whether more may be due."""
    number = max(1, int(setting("checks")) // 2)
    chosen = run.exposures.chooseDue(number)
    for image_id in chosen:
        params = run.exposures.waits.readParams(image_id)
        if params is None or checkReady(run, image_id, params):
            run.exposures.ready(image_id)
    return len(chosen) == number


def checkReady(run: Run, image_id: int, params: Any) -> bool:
    """Whether the input of one exposure is ready; if not, it waits or has failed afterwards."""
    try:
        run.step.checkReady(params)
    except NotReady as failure:
        noteWait(run, image_id, failure, None if isinstance(failure, Outdated) else params)
    except Exception as error:
        noteUnfit(run, image_id, error)
    else:
        return True
    return False


def noteUnfit(run: Run, image_id: int, error: Exception) -> None:
    """Note what keeps an exposure from the workers; a wrong option or reference may do the same to all of them."""
    failure = classifyException(error, os.uname().nodename)
    noteFailure(run, image_id, failure)
    if isinstance(failure, ConfigurationFailure):
        run.suspect = run.suspect or failure


def judgeSuspect(run: Run) -> None:
    """Stop the run if its configuration has kept an exposure from the workers and none ever got to them."""
    if run.suspect is not None and not run.working:
        stopRun(run, run.suspect)
    run.suspect = None


def noteWait(run: Run, image_id: int, failure: NotReady, params: Any) -> None:
    """Let an exposure wait; an event only if it waits for something else than before, not for each byte that came."""
    if run.exposures.wait(image_id, failure.reason, params):
        name = run.exposures.names.get(image_id, "")
        run.reporter.event("waiting", image=image_id, name=name, reason=failure.reason)


def fillWindow(run: Run) -> bool:
    """Hand out exposures until every worker has enough; returns whether there is more to look at right away.

    The number of looks is bounded. As long as what is looked at is not ready, more is looked at each time, so that
    thousands of missing movies are passed over in a few bulk queries.
    """
    if not run.pool.prepare(wanted=bool(run.exposures.counts[Phase.QUEUED])):
        return False
    if run.database.isPaused() or run.refused.isPaused() or isSpaceLow(run):
        return False
    hastenOne(run)
    looks = int(setting("checks"))
    while looks > 0 and run.suspect is None:
        free = countFree(run)
        number = min(max(free, run.crowd), looks)
        only = run.taken if run.options.limit is not None and len(run.taken) >= run.options.limit else None
        if free <= 0 or not (ids := run.exposures.chooseFresh(number, only, run.alike.isTurned())):
            return False
        looks -= len(ids)
        try:
            params = readParams(run, ids)
            handed = sum(submitExposure(run, one, params.get(one)) for one in ids if isFree(run, one))
        except DatabaseAway:
            return False
        except DatabaseRefusal as refusal:
            noteRefused(run, refusal)
            return False
        finally:
            run.exposures.putBack(ids)  # only those still queued
        noteAdmitted(run)
        run.crowd = 0 if handed else 2 * number
    return True


def hastenOne(run: Run) -> None:
    """While all fail alike, and nothing else is in line, have one that failed so tried again."""
    if run.alike.isActive() and not run.exposures.counts[Phase.QUEUED] and countFree(run):
        next(filter(None, (run.exposures.hasten([one]) for one in run.alike.listExcused())), None)


def countFree(run: Run) -> int:
    """How many exposures may still be handed out.

    Without any worker there is room for what the first one takes; all else keeps its place in the line until there are
    workers, so that the first to come does not get everything and the newest exposure is still the first. There is
    none during a pause, and none after Dask was lost until what was out is settled.
    """
    if run.infrastructure.isPaused() or run.pool.isBroken():
        return 0
    if run.alike.isActive():  # one at a time, to find out whether it still fails
        return 0 if run.alike.outage.isPaused() or run.pool.flights or run.to_store else 1
    workers = max(1, run.pool.countWorkers()) if run.pool.isAlive() else run.pool.planned
    return int(workers * setting("window")) - len(run.pool.flights)


def isFree(run: Run, image_id: int) -> bool:
    """Whether this exposure may be handed out now: there is room, and the limit allows it or had it already."""
    limit = run.options.limit
    return countFree(run) > 0 and (limit is None or len(run.taken) < limit or image_id in run.taken)


def isSpaceLow(run: Run) -> bool:
    """Whether the run folder has too little space; said when it begins and when it ends.

    Raises:
        OSError: the file system does not answer.
    """
    needed = setting("free_space")
    space = os.statvfs(run.rundir)
    free = space.f_bavail * space.f_frsize / 1e9
    reason = f"{run.rundir} has {free:.1f} GB free, less than {needed:g} GB" if free < needed else ""
    if bool(reason) != bool(run.low_space):
        logger.warning("%s", f"pausing: {reason}" if reason else "enough space again")
        run.reporter.event("paused" if reason else "resumed", reason=reason or "enough space again")
    run.low_space = reason
    return bool(reason)


def readParams(run: Run, ids: list[int]) -> dict[int, Any | Failure]:
    """The parameters of chosen exposures.

    Raises:
        DatabaseAway, or ConfigurationFailure when nothing was ever done and no exposure in sight has parameters.
    """
    params = readEach(run, ids)
    failures = [value for value in params.values() if isinstance(value, ConfigurationFailure)]
    run.proven = run.proven or isAnyFit(params) or (bool(failures) and isAnyFit(readNext(run)))
    if failures and not run.proven:
        raise failures[0]
    return params


def readNext(run: Run) -> dict[int, Any | Failure]:
    """The parameters of a bounded number of those that follow in the line; they keep their places."""
    ids = run.exposures.chooseFresh(int(setting("checks")))
    try:
        return readEach(run, ids) if ids else {}
    finally:
        run.exposures.putBack(ids)


def readEach(run: Run, ids: list[int]) -> dict[int, Any | Failure]:
    """Parameters in bulk; if that breaks, one by one, so that only the broken ones fail.

    Raises:
        DatabaseAway, DatabaseRefusal, ConfigurationFailure: as they are met.
    """
    try:
        return askDatabase(run, run.step.retrieveParams, ids)
    except (DatabaseAway, DatabaseRefusal, ConfigurationFailure):
        raise
    except Exception as error:
        if len(ids) == 1:
            return {ids[0]: classifyException(error, os.uname().nodename)}
        return {image_id: value for one in ids for image_id, value in readEach(run, [one]).items()}


def isAnyFit(params: dict[int, Any | Failure]) -> bool:
    """Whether some exposure has parameters: then a failure of another is its own, and nothing that all share."""
    return any(not isinstance(value, Failure) for value in params.values())


def submitExposure(run: Run, image_id: int, params: Any | Failure | None) -> bool:
    """Hand one exposure to the workers; False if it is not ready, fails or is computed already."""
    if params is None or isinstance(params, Failure):
        noteFailure(run, image_id, params or Failure(f"image {image_id} is no longer in the database"))
        return False
    try:
        if journalPath(run.rundir, image_id).exists():
            noteRecovered(run, image_id)
            return False
        if not checkReady(run, image_id, params):
            return False
        params = askDatabase(run, run.step.prepare, params)
        attempt = run.exposures.attempts.get(image_id)
        number = 1 + (attempt.count if attempt else 0)
        handOver(run, image_id, number, params)
    except (DatabaseAway, DatabaseRefusal):
        raise
    except NotReady as failure:
        noteWait(run, image_id, failure, None)
        return False
    except Exception as error:
        noteUnfit(run, image_id, error)
        return False
    run.working = True
    run.exposures.submitted(image_id)
    if run.options.limit is not None:
        run.taken.add(image_id)
    run.reporter.event("submitted", image=image_id, name=run.exposures.names.get(image_id, ""), attempt=number)
    return True


def noteRecovered(run: Run, image_id: int) -> None:
    """A record is there of which no worker of this daemon told: it is stored, not computed again."""
    run.exposures.computed(image_id)
    run.to_store.append(image_id)
    run.reporter.event("recovered", image=image_id, name=run.exposures.names.get(image_id, ""))


def handOver(run: Run, image_id: int, number: int, params: Any) -> None:
    """Submit attempt `number` of an exposure; whatever Dask does not like about it is not held against the exposure.

    Raises:
        InfrastructureFailure, ConfigurationFailure, or what pickling the parameters raises.
    """
    try:
        run.pool.start()
        journal = str(journalPath(run.rundir, image_id))
        calc = partial(workInside, run.lock.belonging, run.step.calc)
        run.pool.submit(image_id, number, calc, params, journal, run.step.reads(params))
    except Exception as error:
        alive = run.pool.isAlive()
        of_dask = not alive or isinstance(error, (OSError, RuntimeError, TimeoutError, AssertionError))
        if isinstance(error, Failure) or not of_dask:
            raise
        if not alive and not run.pool.flights:  # else they are settled first (see settleLost)
            run.pool.drop()
        raise InfrastructureFailure(f"no worker could be asked: {type(error).__name__}: {error}") from error
