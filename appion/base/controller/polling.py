"""What the database says: new exposures, rejected ones, the end of the session or of the job; what people ask for."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Sequence

from appion.base.config import setting
from appion.base.controller.refusal import DatabaseRefusal
from appion.base.controller.rest import calcPollInterval
from appion.base.controller.run import DatabaseAway, Run, askDatabase
from appion.base.controller.state import Phase
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.attempts import takeRetryRequests

logger = logging.getLogger(__name__)

#: All exposures are listed again no sooner than after so many times what that took.
PATIENCE = 200

#: Events that are written at a time.
CHUNK = 5000


def pollDatabase(run: Run) -> None:
    """Take in new exposures, rejects and requests to retry, when it is time to; a single question if there is nothing.

    Raises:
        Exception: whatever is wrong with the very first poll; later ones are tried again.
    """
    now = time.monotonic()
    if run.polling.isPaused():
        return
    if now >= run.next_look:
        run.next_look = now + setting("poll")
        takeRequests(run)
    if now < run.next_poll:
        return
    run.next_poll = now + calcPollInterval(run)
    full = now >= run.next_full
    try:
        run.unheard = askDatabase(run, run.step.hasNews, full or run.unheard) or run.unheard
        if not run.unheard:
            if now > run.busy_at:
                run.step.rest()
            return
        after = 0 if full else max(0, run.exposures.highest - int(setting("overlap")))
        candidates = askDatabase(run, run.step.retrieveCandidates, after)
        rejected = askDatabase(run, run.step.retrieveRejected)  # looks at what came since, not at all of them again
        run.over = askDatabase(run, run.step.isOver)
    except DatabaseAway:
        return
    except Exception as error:
        if not run.polled or isinstance(error, ConfigurationFailure):
            raise
        known = isinstance(error, DatabaseRefusal)
        logger.error("listing the exposures failed, trying again: %s", error, exc_info=not known)
        if run.polling.fail(str(error) if known else f"{type(error).__name__}: {error}"):
            run.reporter.event("polling fails", reason=run.polling.reason)
        return
    run.unheard = False
    run.polling.clear()
    gone, back = run.exposures.updateRejected(rejected)
    new = run.exposures.add(candidates)
    if full:
        run.next_full = now + max(setting("full_poll"), PATIENCE * (time.monotonic() - now))
    if gone or back or new:
        run.busy_at = now
    if run.exposures.counts[Phase.REJECTED]:
        gone += [image_id for image_id in new if run.exposures.phase[image_id] is Phase.REJECTED]
    noteChanges(run, "rejected", gone)
    noteChanges(run, "no longer rejected", back)
    if run.polled:
        noteChanges(run, "found", new)
        run.reporter.arrived.extend(itertools.repeat(now, len(new)))
    run.polled = True


def noteChanges(run: Run, what: str, ids: Sequence[int]) -> None:
    """An event for each exposure, some thousands at a time."""
    names = run.exposures.names
    for start in range(0, len(ids), CHUNK):
        some = ids[start : start + CHUNK]
        run.reporter.events({"what": what, "image": image_id, "name": names.get(image_id)} for image_id in some)


def checkAborted(run: Run) -> None:
    """End the run, as after a signal, if its job was ended on the web pages; looked at now and then."""
    now = time.monotonic()
    if now < run.next_job_look or run.database.isPaused():
        return
    run.next_job_look = now + setting("job_poll")
    try:
        aborted = askDatabase(run, run.step.isAborted)
    except Exception as error:  # the run goes on as it would without a row
        logger.debug("the job's row cannot be read: %s", error)
        return
    if aborted:
        run.aborted, run.stops = True, max(run.stops, 1)
        logger.warning("the job was ended on the web pages: stopping")


def takeRequests(run: Run) -> None:
    """Forget failures that somebody asked to forget; requests that cannot be read now wait for the next poll."""
    try:
        requests = takeRetryRequests(run.rundir)
    except OSError as error:
        logger.warning("requests to retry cannot be read: %s; trying again", error)
        return
    for ids in requests:
        for image_id in run.exposures.retry(ids):
            run.reporter.event("retry", image=image_id, name=run.exposures.names.get(image_id, ""))
