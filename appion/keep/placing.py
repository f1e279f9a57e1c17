"""Who gets a place: the decision of :mod:`appion.keep.calc.fairness`, made true."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from appion.base.config import setting
from appion.base.failures import Failure
from appion.keep.calc.fairness import Claim, calcDelay, dealGPUs, decideRuns
from appion.keep.calc.words import fillWords
from appion.keep.keeper import Keeper, changeState, readBoot
from appion.keep.programs.start import endRun, startRun
from appion.keep.records import FoundRun, OwnRun, exitPath
from appion.keep.retrieve.condition import lookAt
from appion.keep.store.runs import removeRun, saveRun
from appion.keep.wanting import NotYet, constructRun, noteAlien, readOthers


def placeRuns(keeper: Keeper) -> None:
    """Start what has a place and stop what makes room."""
    now = time.time()
    claims = list(listClaims(keeper, now))
    decision = decideRuns(claims, keeper.limits, now)
    for key in decision.stop:
        stopRun(keeper, keeper.runs[key])
    for key, reason in (decision.reasons or {}).items():
        run = keeper.runs[key]
        if run.state == "waiting" and run.reason != reason:
            changeState(keeper, run, "waiting", reason)
    for key in decision.start:
        startKept(keeper, keeper.runs[key], key in decision.granted)


def listClaims(keeper: Keeper, now: float) -> Iterator[Claim]:
    """Yield the runs that hold a place or wait for one."""
    for key, run in keeper.runs.items():
        want = keeper.wants.get(key)
        due = run.state == "waiting" or (run.state == "backing off" and (run.next_try or 0.0) <= now)
        if not run.holds and not (want and due):
            continue
        live = bool(want and not want.session.finished and now - want.preset.seen < setting("keep.live"))
        since = max(run.since, run.next_try or 0.0)
        since = now if run.state == "starting" else since  # its turn begins when it works
        yield Claim(key, run.gpus, run.profile, live, run.session in keeper.preferred, run.priority, run.holds, since,
                    run.granted, run.stopping)  # fmt: skip


def stopRun(keeper: Keeper, run: OwnRun) -> None:
    """Tell a daemon to end in good order; it goes on where it was when it gets a place again.

    One that cannot be told now, as it has just been started, is told at the next turn.
    """
    if endRun(run, lookAt(run).holder):
        changeState(keeper, run, run.state, "it ends to make room for others", stopping=True)


def startKept(keeper: Keeper, run: OwnRun, granted: bool) -> None:
    """Start a run: what is to be done is on the disk before it is done, so that nobody does it again."""
    if not run.starts and not isStillFree(keeper, run):
        return
    if run.ran and not exitPath(run.rundir).parent.is_dir():
        noteFailure(keeper, run, f"{run.rundir} is not there any more: is its file system mounted?")
        return
    words = list(run.words)
    if any("{gpuids}" in word for word in words):
        taken = [one for other in keeper.runs.values() if other.holds for one in other.gpuids]
        dealt = dealGPUs(keeper.gpuids, taken, run.gpus)
        if dealt is None:
            changeState(keeper, run, run.state, f"{run.gpus} GPUs are not free yet")
            return
        run.gpuids = dealt
        words = fillWords(words, {"gpuids": ",".join(map(str, dealt))})
    fresh: dict[str, Any] = dict.fromkeys(("pid", "pid_started", "daemon", "next_try"))
    changeState(keeper, run, "starting", starts=run.starts + 1, began=time.time(), job="", granted=granted,
                boot=readBoot(), **fresh)  # fmt: skip
    try:
        startRun(run, words)
    except Failure as failure:
        noteFailure(keeper, run, str(failure))
        return
    saveRun(keeper.folder, run)


def noteFailure(keeper: Keeper, run: OwnRun, reason: str) -> None:
    """Note that a run could not be started; it is tried again later."""
    delay = calcDelay(run.fails + 1, setting("keep.backoff"), setting("keep.backoff_max"))
    changeState(keeper, run, "backing off", reason, fails=run.fails + 1, next_try=time.time() + delay)


def isStillFree(keeper: Keeper, run: OwnRun) -> bool:
    """Whether nobody else has begun the same, asked before a first start; it gets another name if its own is taken."""
    want = keeper.wants[run.key]
    others = readOthers(keeper, now=True)
    rest = [other for other in keeper.runs.values() if other.key != run.key]
    try:
        found = constructRun(want, others, rest)
    except NotYet as reason:
        changeState(keeper, run, "waiting", str(reason))
        return False
    if isinstance(found, FoundRun):
        del keeper.runs[run.key]
        removeRun(keeper.folder, run)
        noteAlien(keeper, want, found)
        return False
    run.words, run.rundir, run.runname, run.environment = found.words, found.rundir, found.runname, found.environment
    run.gpus, run.start, run.project, run.preset = found.gpus, found.start, found.project, found.preset
    return True
