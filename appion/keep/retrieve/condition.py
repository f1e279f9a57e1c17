"""How a run of the keeper's is: by its lock, its exit code, its process, its job."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.process import readStartTime
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.status import readStatus
from appion.base.workers.jobs.script import constructSubmitEnvironment
from appion.keep.records import RUNJOB, OwnRun, exitPath, jobPath, outputPath

#: Bytes of a log's end that are looked at, and characters of a reason that are kept.
TAIL, LONGEST = 4096, 300

#: Seconds for Slurm to say how a job is.
PATIENCE = 20.0

#: What was said of jobs, and when (monotonic seconds); of no more than so many.
_answers: dict[str, tuple[float, bool | None]] = {}
MANY = 1000

#: States of a job that may still begin, or works.
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING", "STAGE_OUT")


@dataclass(frozen=True)
class Look:
    """What is seen of a run: `holder` of its lock, None if nobody holds it; `code` with which it ended, if it did.

    `alive`: whether what the keeper started is still there, None if nobody can tell.
    """

    holder: dict[str, Any] | None
    code: int | None
    alive: bool | None


def lookAt(run: OwnRun) -> Look:
    """Look at a run."""
    holder = readLockHolder(run.rundir) if run.starts else None
    code = readExit(run) if run.starts else None
    if holder is not None or code is not None or not run.starts:
        return Look(holder, code, None)
    alive: bool | None = isProcessThere(run)
    if alive is False and run.start == RUNJOB and (job := readJob(run)):
        alive = isJobThere(job)
    return Look(holder, code if alive else readExit(run), alive)  # it may have said it in between


def readExit(run: OwnRun) -> int | None:
    """Return the exit code of the start that was the last; None while there is none."""
    try:
        word, code = exitPath(run.rundir).read_text().split()
        return int(code) if word == run.token else None
    except (OSError, ValueError):
        return None


def isProcessThere(run: OwnRun) -> bool:
    """Whether the process that was started is there: by its number and time, else by its words."""
    if run.pid is not None:
        return readStartTime(run.pid) == run.pid_started and not isZombie(run.pid)
    return findProcess(run) is not None


def isZombie(pid: int) -> bool:
    """Whether a process has ended and is only to be fetched."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def findProcess(run: OwnRun) -> int | None:
    """Return the process that was given the file and the word of this start, on this host; None if there is none.

    Whoever was killed between starting it and noting its number finds it so.
    """
    needle = f"\0{exitPath(run.rundir)}\0{run.token}\0".encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path("/proc", name, "cmdline").read_bytes()
            except OSError:
                continue
            if needle in words and not isZombie(int(name)):
                return int(name)
    return None


def readJob(run: OwnRun) -> str:
    """Return the number of the job that runJob.py printed; empty if it printed none."""
    if run.job:
        return run.job
    try:
        words = jobPath(run.rundir).read_text().split()
    except OSError:
        return ""
    return words[-1] if words and words[-1].isdigit() else ""


def isJobThere(job: str) -> bool | None:
    """Whether a job waits or runs, as Slurm said now or a moment ago; None if it does not say."""
    asked, answer = _answers.get(job, (float("-inf"), None))
    if time.monotonic() - asked > setting("jobs.poll"):
        if len(_answers) > MANY:
            _answers.clear()
        answer = askForJob(job)
        _answers[job] = time.monotonic(), answer
    return answer


def askForJob(job: str) -> bool | None:
    command = ["squeue", "--noheader", "--states=all", "--format=%T", f"--jobs={job}"]
    try:
        done = subprocess.run(command, env=constructSubmitEnvironment(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=PATIENCE, check=False)  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode:
        return False if "invalid job id" in done.stderr.lower() else None
    return any(word in ALIVE for word in done.stdout.split())


def readLastWords(run: OwnRun) -> str:
    """Return what a daemon said last: its last error, else its last line."""
    try:
        with open(outputPath(run), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith("error: ")]
    return (errors or said or [""])[-1].removeprefix("error: ")[:LONGEST]


def hasSaidGoodbye(run: OwnRun) -> bool:
    """Whether a daemon has ended in good order since the keeper saw it run, although nobody noted an exit code."""
    try:
        status = readStatus(run.rundir)
        return run.state == "running" and status["state"] == "ended" and status["heartbeat"] >= run.since
    except (ConfigurationFailure, KeyError, TypeError):
        return False


def readEnding(run: OwnRun) -> str:
    """Return why a daemon that ended well says that it ended; empty if it does not."""
    try:
        return str(readStatus(run.rundir).get("ended", ""))
    except ConfigurationFailure:
        return ""
