"""What became of the keeper's runs: found again by their locks, ended, refused, or dead."""

from __future__ import annotations

import os
import time
from typing import Any

from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.records.process import readStartTime
from appion.keep.calc.fairness import calcDelay
from appion.keep.keeper import Keeper, changeState
from appion.keep.records import RUNJOB, OwnRun
from appion.keep.retrieve.condition import (
    Look,
    findProcess,
    hasSaidGoodbye,
    lookAt,
    readEnding,
    readJob,
    readLastWords,
)

#: Seconds after which a daemon that dies has not died at its start.
CALM = 600.0

#: Seconds in which what was started shows itself among the processes.
APPEARS = 5.0

#: What daemons say that a person ended.
STOPPED = "stopped"


def lookAtRuns(keeper: Keeper) -> None:
    """Look at all runs that matter, and note what became of them."""
    for run in list(keeper.runs.values()):
        if run.starts and (run.holds or run.key in keeper.wants):
            try:
                noteLook(keeper, run, lookAt(run))
            except (Failure, OSError):
                continue  # its disk does not answer: nothing is known, and nothing is done


def noteLook(keeper: Keeper, run: OwnRun, look: Look) -> None:
    """Take in what is seen of a run. A lock that is held says that it runs, whoever started it."""
    if look.holder is not None:
        if run.state != "running":
            pid = look.holder.get("pid") if look.holder.get("host") == os.uname().nodename else None
            job = readJob(run) if run.start == RUNJOB else ""
            changeState(keeper, run, "running", daemon=pid, next_try=None, job=job, ran=True)
        return
    if not run.holds:
        return
    if look.code is not None:
        noteEnd(keeper, run, look.code)
    elif look.alive is False and time.time() - run.began >= APPEARS:
        noteEnd(keeper, run, None)
    elif run.state == "starting":
        noteStarting(keeper, run)


def noteStarting(keeper: Keeper, run: OwnRun) -> None:
    """Note what is known of a daemon that has not locked its run yet."""
    job = readJob(run) if run.start == RUNJOB else ""
    if job and run.job != job:
        changeState(keeper, run, "starting", f"job {job}", job=job)
    elif run.pid is None and (pid := findProcess(run)):
        run.pid, run.pid_started = pid, readStartTime(pid)


def noteEnd(keeper: Keeper, run: OwnRun, code: int | None) -> None:
    """Decide what follows from the end of a daemon; `code` None: it died without a word."""
    if code is None and hasSaidGoodbye(run):
        code = 0  # a person had started it
    ran = time.time() - run.began if run.state == "running" else 0.0
    fails = 0 if ran > CALM else run.fails
    more: dict[str, Any] = dict.fromkeys(("next_try", "pid", "pid_started", "daemon"))
    more |= {"stopping": False, "granted": False, "job": ""}
    want = keeper.wants.get(run.key)
    if code == 2:
        reason = readLastWords(run) or "it says that a person has to mend something"
        changeState(keeper, run, "refused", reason, told=False, **more)
    elif run.stopping:
        changeState(keeper, run, "waiting", "it made room for others", **more)
    elif code == 0:
        ending = readEnding(run)
        changeState(keeper, run, "ended", ending, fails=0, final=ending.startswith(STOPPED),
                    newest=want.preset.last if want else 0, **more)  # fmt: skip
    else:
        delay = calcDelay(fails + 1, setting("keep.backoff"), setting("keep.backoff_max"))
        more["next_try"] = time.time() + delay
        changeState(keeper, run, "backing off", describeDeath(run, code), fails=fails + 1, **more)


def describeDeath(run: OwnRun, code: int | None) -> str:
    """Return in words how a daemon died."""
    how = "it was killed, or its host died" if code is None else f"it ended with exit code {code}"
    if code is not None and code > 128:
        how = f"it was ended by signal {code - 128}"
    said = readLastWords(run)
    return f"{how}: {said}" if said else how
