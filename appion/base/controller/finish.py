"""The way out: what came back from workers, what an earlier daemon left, and storing it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from appion.base.config import setting
from appion.base.controller.intake import noteRecovered, noteWait
from appion.base.controller.refusal import findValueRefusal
from appion.base.controller.report import describeProgram
from appion.base.controller.run import DatabaseAway, Run, askDatabase, noteFailure, noteSuccess, stopRun
from appion.base.controller.series import noteNumbers, recoverSeries
from appion.base.controller.state import Phase
from appion.base.failures import (
    ConfigurationFailure,
    Failure,
    ImageFailure,
    InfrastructureFailure,
    NotReady,
    classifyException,
)
from appion.base.records.ids import Ids
from appion.base.records.runfolder import journalPath
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import UnreadableRecord, readResult, readResults
from appion.base.store.attempts import compactAttempts, saveAttempts
from appion.base.store.files import removeTemporaries
from appion.base.store.journal import removeResult, saveResult, setResultAside
from appion.base.store.scratch import calcScratchRoot, cleanScratch
from appion.base.workers.fetch import LOST
from appion.base.workers.task import Outcome

logger = logging.getLogger(__name__)

#: What an exposure is in when its result is there and its files and rows are not.
STORING = "storing"

#: The file of failures may grow to so many times what counts of it, and by so many bytes.
GROWTH, SMALL = 3, 1_000_000

#: Seconds of storing in one turn, so that a full journal does not keep the workers waiting.
STORE_SLICE = 2.0


def recoverRun(run: Run) -> None:
    """Find out what is done, and go on with what a daemon that was killed had computed but not stored.

    Raises:
        DatabaseAway: it does not answer; to be called again.
        ConfigurationFailure: the failures kept in the run folder cannot be read.
    """
    done = Ids(askDatabase(run, run.step.retrieveDone))
    run.proven = bool(done)
    attempts = readAttempts(run.rundir, details=False)
    run.lock.check()  # what was not there would be forgotten
    cleanLeftovers(run)
    removeTemporaries(run.rundir / ".appion")
    removeTemporaries(run.rundir / ".appion" / "journal")
    waiting, stored, kept = [], [], []
    for image_id, record in readResults(run.rundir):
        if isinstance(record, UnreadableRecord):
            discardRecord(run, image_id, str(record))
        elif image_id in done:
            stored.append(image_id)
        elif not run.options.commit:
            kept.append(image_id)
        else:
            waiting.append(image_id)
    recoverSeries(run, stored if run.options.commit else kept)
    if stored and run.options.commit:
        finishStored(run, stored)
    done |= Ids(kept)
    run.working = bool(done or waiting)
    if done:  # what failed before that has a fault of its own if it fails so again
        run.alike.succeeded = time.time()
    run.exposures.recall(done, attempts.values())
    for image_id in waiting:
        noteRecovered(run, image_id)
    if waiting:
        logger.info("%d results were computed before and are stored now", len(waiting))


def finishStored(run: Run, ids: Sequence[int]) -> None:
    """Tell and forget what a daemon had stored when it was killed, unless it had told so itself."""
    told = {event.get("image") for event in readEvents(run.rundir) if event.get("what") == "stored"}
    for image_id in ids:
        if image_id not in told:
            run.reporter.event("stored", image=image_id, reason="by an earlier daemon")
        removeResult(run.rundir, image_id)


def cleanLeftovers(run: Run, image_id: int | None = None, workers: bool = True) -> None:
    """Remove scratch folders (of one exposure) that nobody works in any more and end programs that outlived theirs.

    So too the `workers` that they belong to if they are this run's own, but for those that have told themselves that
    they are done.

    What cannot be reached is left to the next start.
    """
    for root in {calcScratchRoot(run.rundir), run.options.scratch}:
        try:
            lines = cleanScratch(root, image_id, workers and run.pool.own) if root else []
        except OSError as error:
            if run.reporter.rarely.isNews(f"leftovers in {root}", str(error)):
                logger.warning("cannot look for what was left in %s: %s", root, error)
            continue
        for line in lines:
            logger.info("%s", line)
            run.reporter.event("cleaned", image=image_id, reason=line)


def cleanFailed(run: Run) -> None:
    """Remove what exposures left in a folder that was away when their failures were noted."""
    for image_id, attempt in run.exposures.attempts.items():
        if attempt.kind == "infrastructure" and run.exposures.phase.get(image_id) is Phase.BACKING_OFF:
            cleanLeftovers(run, image_id, workers=False)


def discardRecord(run: Run, image_id: int, reason: str) -> None:
    """Rename a journal record that is of no use; its exposure is then computed again."""
    bad = setResultAside(run.rundir, image_id)
    logger.warning("journal record of image %d set aside as %s: %s", image_id, bad, reason)
    run.reporter.event("record set aside", image=image_id, reason=reason)


def settleOutcome(run: Run, image_id: int, outcome: Outcome) -> None:
    """Decide what becomes of an exposure that came back from a worker."""
    where = {"host": outcome.host, "worker": outcome.worker, "seconds": round(outcome.seconds, 2)}
    failure = outcome.failure
    if outcome.fetched:
        where["fetched"] = round(outcome.fetched, 2)
        run.reporter.parts["reading"].add(outcome.fetched)
    if outcome.unfetched:
        run.reporter.warn(run.exposures.names.get(image_id, ""), [f"not fetched ahead: {outcome.unfetched}"])
    if outcome.refused:
        giveBack(run, [image_id], outcome.refused, **where)
        return
    if isinstance(failure, InfrastructureFailure):
        cleanLeftovers(run, image_id, workers=not outcome.address)
    recorded = os.path.exists(journalPath(run.rundir, image_id))  # False also where the file system does not answer
    if isinstance(failure, InfrastructureFailure) and recorded:
        failure = None  # the worker was lost after it had finished
    if failure is None and not recorded:
        try:
            if outcome.result is None:
                raise InfrastructureFailure("the worker found a journal record that is not to be seen from here")
            run.lock.check()
            saveResult(run.rundir, image_id, run.step.encode(outcome.result))
        except Exception as error:
            failure = classifyException(error, outcome.host)
    if not isinstance(failure, InfrastructureFailure) and run.infrastructure.clear():
        run.reporter.event("resumed")
    if failure is None:
        name = run.exposures.names.get(image_id, "")
        command = " ".join(getattr(outcome.result, "argv", ()))
        program = describeProgram(run.step.program)
        run.reporter.event("computed", image=image_id, name=name, **where, **program, command=command)
        if outcome.seconds:
            run.reporter.parts["computing"].add(outcome.seconds)
        run.exposures.computed(image_id)
        run.to_store.append(image_id)
        noteSuccess(run)
    elif isinstance(failure, NotReady):
        noteWait(run, image_id, failure, None)
    else:
        noteFailure(run, image_id, failure, **{key: value for key, value in where.items() if value})
        if isinstance(failure, ConfigurationFailure):
            stopRun(run, failure)


def giveBack(run: Run, ids: Iterable[int], reason: str, **where: Any) -> None:
    """Exposures that no worker computes after all: as if they had not been handed out."""
    for image_id in ids:
        run.exposures.handBack(image_id)
        name = run.exposures.names.get(image_id, "")
        run.reporter.event("handed back", image=image_id, name=name, reason=reason, **where)


def closeWorkers(run: Run) -> None:
    """End the workers. What they have not finished is given up, and what that leaves behind is removed."""
    given_up = list(run.pool.flights)
    run.pool.close(at_once=bool(given_up))
    run.reporter.events(run.pool.takeNews())
    giveBack(run, given_up, "given up at the end of the run")
    if given_up:
        cleanLeftovers(run)


def storeResults(run: Run) -> bool:
    """Store what is computed, for at most :data:`STORE_SLICE` seconds; returns whether there is more to store now."""
    deadline = time.monotonic() + STORE_SLICE
    while run.to_store and not run.storage.isPaused() and not run.database.isPaused():
        if time.monotonic() > deadline:
            return True
        image_id = run.to_store[0]
        try:
            storeResult(run, image_id)
        except DatabaseAway:
            break
        except InfrastructureFailure as failure:
            if run.storage.fail(failure.reason):
                logger.error("storing fails, results are kept and tried again: %s", failure)
                run.reporter.event("storing fails", reason=failure.reason)
            break
        run.to_store.popleft()
        if run.storage.clear():
            run.reporter.event("storing works again")
    return False


def storeResult(run: Run, image_id: int) -> None:
    """Store one result from its journal record, tell, then remove the record; without commit the record stays.

    Its line is in the series before it counts as done: what is killed in between finds the record at the next start.

    Raises:
        DatabaseAway, InfrastructureFailure: nothing is lost, it is to be repeated.
    """
    if run.exposures.phase[image_id] is Phase.DONE:
        removeRecord(run, image_id)
        return
    start, name = time.monotonic(), run.exposures.names.get(image_id, "")
    try:
        run.lock.check()
        record = readResult(run.rundir, image_id)
        if record is None:  # really, or with all that is in the run folder
            run.lock.check()
            record = readResult(run.rundir, image_id)
        if record is None:
            raise ImageFailure(f"the journal record of image {image_id} is gone", "it is computed again")
        result = run.step.decode(record)
    except Exception as error:
        failure = classifyException(error)
        if failure.kind == "infrastructure":
            raise failure from error
        if os.path.exists(journalPath(run.rundir, image_id)):
            discardRecord(run, image_id, failure.reason)
        noteFailure(run, image_id, failure)
        return
    files: Sequence[str] = ()
    if run.options.commit:
        try:
            files = askDatabase(run, run.step.store, result)
        except DatabaseAway:
            raise
        except Exception as error:
            noteUnstored(run, image_id, error)
            return
    numbers = noteNumbers(run, image_id, result)
    line = run.step.report(result)
    run.reporter.warn(name, getattr(result, "warnings", ()))
    run.exposures.finish(image_id)
    noteSuccess(run, STORING)
    now = time.monotonic()
    run.reporter.finished.append(now)
    run.reporter.parts["storing"].add(now - start)
    run.reporter.event("stored" if run.options.commit else "kept", image=image_id, name=name,
                       store_seconds=round(now - start, 3), files=list(files),
                       **numbers, report=line)  # fmt: skip
    if run.options.commit:
        removeRecord(run, image_id)


def removeRecord(run: Run, image_id: int) -> None:
    """Remove the record of what is stored and told. Raises InfrastructureFailure: that alone is to be repeated."""
    try:
        removeResult(run.rundir, image_id)
        run.lock.check()  # what is not there may only be away
    except OSError as error:
        raise InfrastructureFailure(f"cannot remove the journal record of image {image_id}: {error}") from error


def noteUnstored(run: Run, image_id: int, error: Exception) -> None:
    """A result that could not be stored: an unusable one is computed again, any other only stored again.

    Raises:
        InfrastructureFailure: nothing is wrong with the result.
    """
    failure: Failure = findValueRefusal(error) or classifyException(error)
    if isinstance(failure, InfrastructureFailure):
        raise failure from error
    run.lock.check()  # files that are missing may be away with it
    if isinstance(error, ImageFailure):
        discardRecord(run, image_id, failure.reason)
    noteFailure(run, image_id, failure, during=STORING)


def saveChanges(run: Run) -> None:
    """Write failures to the run folder if any changed, and leave out what counts no more when it is most of them."""
    attempts = run.exposures.attempts
    if not attempts.changes:
        return
    run.reporter.write("failures", lambda: writeChanges(run))


def writeChanges(run: Run) -> None:
    """Write them. Raises OSError: what is not written stays to be written; InfrastructureFailure: they are damaged."""
    attempts = run.exposures.attempts
    size = saveAttempts(run.rundir, attempts.listChanges())
    attempts.settle()
    if size > run.attempts_limit:
        run.attempts_limit = GROWTH * size  # if that fails it is not tried again at each change
        try:
            run.attempts_limit = SMALL + GROWTH * compactAttempts(run.rundir)
        except ValueError as error:
            raise InfrastructureFailure(str(error)) from error


def settleLost(run: Run) -> None:
    """Exposures whose worker never answered, and all of them if Dask itself is lost: tried again."""
    limit = setting("task_timeout")
    for image_id in run.pool.takeOverdue(limit):
        settleOutcome(run, image_id, Outcome(failure=InfrastructureFailure(f"not back after {limit:g} s")))
    if run.pool.isBroken():
        lost = run.pool.abandon()
        run.pool.drop()
        if not run.pool.own:  # they may still come to an end there; nothing speaks against any
            giveBack(run, lost, LOST)
            return
        logger.warning("the workers are lost; starting them anew")
        for image_id in lost:
            failure = InfrastructureFailure("the workers were lost")
            settleOutcome(run, image_id, Outcome(failure=failure))
