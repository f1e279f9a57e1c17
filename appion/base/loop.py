"""The controller: poll, look, hand out, collect, store, until there is nothing left to do or somebody says stop.

The databases are the truth and Dask is disposable: whatever dies, the next start finds out from the database and the
journal what is left to do.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appion.base.config import setting
from appion.base.controller.alarms import Watch
from appion.base.controller.demand import tellPool
from appion.base.controller.ending import describeStall, findDeadEnd, judgeRun
from appion.base.controller.finish import (
    cleanFailed,
    closeWorkers,
    giveBack,
    recoverRun,
    saveChanges,
    settleLost,
    settleOutcome,
    storeResults,
)
from appion.base.controller.intake import fillWindow, judgeSuspect, recheckWaiting
from appion.base.controller.limits import readLimits
from appion.base.controller.line import Line
from appion.base.controller.polling import checkAborted, pollDatabase
from appion.base.controller.refusal import DatabaseRefusal, closeSinedon, isSinedonAway
from appion.base.controller.report import Reporter, describeProgram
from appion.base.controller.rest import calcPatience, calcStatusInterval, noteWork, restWorkers
from appion.base.controller.run import DatabaseAway, LoopOptions, Run
from appion.base.controller.signals import handleSignals
from appion.base.controller.state import Exposures, Phase
from appion.base.failures import InfrastructureFailure, classifyException
from appion.base.retrieve.alarms import readAlarms
from appion.base.step import Step
from appion.base.store.lock import RunLock, acquireLock
from appion.base.store.metrics import serveMetrics
from appion.base.store.scratch import calcScratchRoot
from appion.base.store.systemd import READY, STOPPING, takeSystemd, tellAlive, tellSystemd
from appion.base.workers.cluster import calcWorkers, checkCluster, constructCluster, isRemote, redirectDaskLogs
from appion.base.workers.elsewhere.look import Look
from appion.base.workers.pool import Pool

__all__ = ["LoopOptions", "LoopSummary", "runLoop"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoopSummary:
    """How a run ended: `why` in words, exposures by phase, all of them, and how long it took in seconds.

    `trouble`: why nothing came of it; empty if all is well, or as well as can be.
    """

    why: str
    counts: dict[str, int]
    total: int
    seconds: float
    trouble: str = ""


def runLoop(
    step: Step,
    rundir: Path | str,
    options: LoopOptions | None = None,
    *,
    lock: RunLock | None = None,
    isDatabaseAway: Callable[[BaseException], bool] | None = None,
    reconnect: Callable[[], None] | None = None,
) -> LoopSummary:
    """Process the exposures of a run until the end that `options` ask for, or until SIGTERM or SIGINT.

    Args:
        step: what to do with an exposure.
        rundir: the run folder; it exists.
        lock: the lock of the run folder if the caller holds it already; else it is taken here, and released.
        isDatabaseAway, reconnect: how to tell a lost database from another error, and what to do before the next try;
            by default as sinedon does it.

    Raises:
        ConfigurationFailure: another daemon works on the run, a setting is wrong, or an exposure met a missing program.
    """
    takeSystemd()
    options = options or LoopOptions()
    rundir = Path(rundir).absolute()
    checkCluster(options.gpus, step.timeout)
    planned, own = calcWorkers(options.gpus, options.workers), not isRemote(setting("cluster"))
    line = Line(options.order, setting("backlog_share"))  # an unknown order is an error now, not at the first exposure
    alarms = readAlarms()
    with contextlib.ExitStack() as stack:
        if lock is None:
            lock = stack.enter_context(acquireLock(rundir))
        stack.enter_context(redirectDaskLogs(rundir / "logs"))
        (rundir / ".appion" / "journal").mkdir(parents=True, exist_ok=True)
        look = constructLook(step, rundir, options, lock)
        reporter = Reporter(
            rundir, step.name, options.commit, session=options.session, external=step.program, check=lock.check
        )
        run = Run(
            step=step,
            rundir=rundir,
            options=options,
            exposures=Exposures(lambda: Line(line.order, line.share), readLimits(options.wait)),
            pool=Pool(
                lambda: constructCluster(options.gpus, options.workers, rundir, look), planned, step.name, own=own
            ),
            reporter=reporter,
            watch=Watch(reporter, alarms),
            lock=lock,
            isDatabaseAway=isDatabaseAway or isSinedonAway,
            reconnect=reconnect or closeSinedon,
        )
        stack.enter_context(serveMetrics(lambda: run.reporter.metrics))
        stack.enter_context(run.watch)
        stack.enter_context(handleSignals(run))
        return conductRun(run)


def constructLook(step: Step, rundir: Path, options: LoopOptions, lock: RunLock) -> Look:
    """What workers that others have started must see."""
    scratch = calcScratchRoot(rundir), options.scratch
    return Look(
        belonging=lock.belonging,
        folders=tuple(step.folders),
        scratch=tuple(str(folder) for folder in scratch if folder),
        program=getattr(step.program, "path", ""),
        gpu=bool(options.gpus),
    )


def conductRun(run: Run) -> LoopSummary:
    """From recovery to the last word in status.json."""
    start, why, trouble, broken = time.monotonic(), "it broke", "", True
    run.reporter.event("started", commit=run.options.commit, **describeProgram(run.step.program))
    for warning in run.options.warnings:
        run.reporter.event("warning", reason=warning)
        run.reporter.warnings.append(warning)
    tellSystemd(READY)
    try:
        why = takeTurns(run)
        trouble = judgeRun(run, findDeadEnd(run))
        broken = bool(trouble or run.fatal)
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        raise
    finally:
        if run.stop_deadline is None:
            tellSystemd(STOPPING)
        closeWorkers(run)
        saveChanges(run)
        told = why if trouble in why else f"{why}: {trouble}"
        run.reporter.event("ended", reason=told)
        run.reporter.update(run.exposures, force=True, broken=broken, **describeRun(run, told))
        run.reporter.endLine()
        logger.info("ended: %s", told)
    if run.fatal is not None:
        raise run.fatal
    counts = {phase.value: run.exposures.counts[phase] for phase in Phase}
    return LoopSummary(why, counts, len(run.exposures.phase), time.monotonic() - start, trouble)


def takeTurns(run: Run) -> str:
    """Turn after turn until the end; returns why it ended."""
    while not (why := findEnd(run)):
        more = False
        if not run.folder.isPaused():
            more = tryTurn(run)
        saveChanges(run)
        run.watch.report()
        tellAlive()
        run.reporter.update(run.exposures, interval=calcStatusInterval(run), **describeRun(run))
        for image_id, outcome in run.pool.collect(0.0 if more else calcPatience(run)):
            settleOutcome(run, image_id, outcome)
    return why


def tryTurn(run: Run) -> bool:
    """A turn. If a file system does not answer it is broken off, which harms nothing, and taken again after a pause.

    None is taken in another folder than the one that the run began in.
    """
    try:
        run.lock.check()
        if run.folder.began is not None:
            cleanFailed(run)
        more = takeTurn(run)
    except DatabaseRefusal:  # at the start; later each part of a turn deals with it
        raise
    except (OSError, InfrastructureFailure) as error:
        failure = classifyException(error)
        if failure.kind != "infrastructure":
            raise
        if run.folder.fail(failure.reason):
            logger.warning("a file system does not answer, trying again: %s", failure.reason)
            run.reporter.event("paused", reason=failure.reason)
        return False
    if run.folder.clear():
        logger.info("the file system answers again")
        run.reporter.event("resumed")
    return more


def takeTurn(run: Run) -> bool:
    """Everything but waiting, each part bounded in time; returns whether there is more to do at once."""
    if not run.recovered:
        if run.stopping:
            return False
        try:
            recoverRun(run)
        except DatabaseAway:
            return False
        run.recovered = True
    settleLost(run)
    if not run.stopping:
        pollDatabase(run)
        checkAborted(run)
    more = storeResults(run)
    if not run.stopping:
        run.exposures.wake()
        more = recheckWaiting(run) or more
        more = fillWindow(run) or more
        judgeSuspect(run)
    tellPool(run)
    noteWork(run)
    restWorkers(run)
    return more


def findEnd(run: Run) -> str:
    """Why the run is over; empty if it is not."""
    counts = run.exposures.counts
    if run.stopping:
        return findStop(run)
    unfinished = (Phase.QUEUED, Phase.RUNNING, Phase.STORING, Phase.BACKING_OFF)
    busy = bool(run.to_store) or any(counts[phase] for phase in unfinished)
    now = time.monotonic()
    if not run.polled:
        return ""
    limit = run.options.limit
    if (not run.options.wait or limit is not None) and (dead_end := findDeadEnd(run)):
        return dead_end
    if limit is not None and len(run.taken) >= limit and not run.to_store:
        return "" if any(run.exposures.phase[one] in unfinished for one in run.taken) else f"limit of {limit} reached"
    if not run.options.wait or limit is not None:
        if busy or run.exposures.waits.isAnyWatched(setting("nowait_patience")):
            return ""
        return "nothing is left to do"
    if (busy and not run.alike.isActive()) or run.idle_since is None:  # a program to be mended is nothing to do here
        run.idle_since = now
    idle, over = setting("quit_after_idle"), setting("quit_after_session")
    if idle is not None and now - run.idle_since >= idle:
        return f"nothing to do for {idle:g} s"
    if run.over and over is not None and now - run.idle_since >= over:
        return f"the session is finished and there was nothing to do for {over:g} s"
    return ""


def findStop(run: Run) -> str:
    """Why a run that was told to stop is over; empty while it waits for what runs."""
    now = time.monotonic()
    if run.stop_deadline is None:
        run.stop_deadline = now + setting("stop_timeout")
        tellSystemd(STOPPING)
        giveBack(run, run.pool.recall(), "stopping before a worker began")
        waiting = f"waiting for {len(run.pool.flights)} exposures; a second signal stops at once"
        logger.info("stopping: %s", waiting if run.pool.flights else "nothing runs")
        run.reporter.event("stopping")
    reason = "stopped, as its job was ended on the web pages" if run.aborted else "stopped"
    reason += f": {run.fatal}" if run.fatal is not None else ""
    if run.stops > 1:
        return f"{reason} at once, {len(run.pool.flights)} exposures given up"
    unstorable = any(outage.began is not None for outage in (run.database, run.storage, run.folder))
    if not run.pool.flights and (not run.to_store or unstorable):
        return reason
    if now > run.stop_deadline:
        return f"{reason}, {len(run.pool.flights)} exposures did not end in time and are given up"
    return ""


def describeRun(run: Run, why: str = "") -> dict[str, Any]:
    """What status.json holds beside the numbers."""
    outages = run.folder, run.infrastructure, run.refused, run.alike.outage
    paused = next(filter(None, (outage.describe() for outage in outages)), None)
    if run.low_space:
        paused = {"since": None, "reason": run.low_space, "next_try": setting("poll")}
    return {
        "state": "ended" if why else "stopping" if run.stopping else "running",
        "ended": why,
        "workers": {"cluster": setting("cluster"), **run.pool.describe()},
        "workers_started": run.pool.isAlive(),
        "database": run.database.describe(),
        "polling": run.polling.describe(),
        "storing": run.storage.describe(),
        "paused": paused,
        "stalled": describeStall(run),
        "alarms": run.watch.active,
    }
