"""Handing a script to Slurm, and finding out whether it took it when its answer was lost."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from pathlib import Path

from appion.base.failures import ConfigurationFailure, InfrastructureFailure
from appion.base.workers.jobs.answer import JobsError, constructFormat, readJobNumber, readListing
from appion.base.workers.jobs.reconcile import ENDED
from appion.base.workers.jobs.script import constructSubmitEnvironment

#: Seconds for squeue to say whether the job is there after all, and between two such questions.
ASK_PATIENCE, ASK_AGAIN = 4.0, 1.0

#: States in which Slurm keeps jobs that it has refused, and others that are no use to anybody.
REFUSED = ENDED - {"COMPLETED"}


def submitScript(script: Path, timeout: float) -> int:
    """Submit a script from its folder and return the id of the job.

    When sbatch fails, hangs or says nothing certain, squeue is asked: Slurm may have taken the job all the same. The
    job is known by a word that is given to the script, which only this job has.

    Raises:
        ConfigurationFailure: there is no sbatch.
        InfrastructureFailure: Slurm refused the job, or did not answer within `timeout` seconds.
    """
    word = f"appion-{secrets.token_hex(8)}"
    name = script.name if not script.name.startswith("-") else f"./{script.name}"
    answer = callCommand(["sbatch", "--parsable", name, word], script.parent, timeout)
    if answer is None:
        trouble, certain = f"sbatch did not answer within {timeout:g} s", False
    else:
        code, out, said = answer
        try:
            if not code:
                return int(readJobNumber(out))
            reason = said or out or f"sbatch ended with {code}"
            trouble, certain = f"the job was not accepted: {reason}", code > 0 and not isLost(reason)
        except JobsError as error:
            trouble, certain = str(error), False
    job, unknown = findJob(word, script.parent, 0.0 if certain else ASK_PATIENCE)
    if job is not None:
        return job
    if certain or (not unknown and answer is not None and answer[0]):
        raise InfrastructureFailure(trouble)
    doubt = f"squeue does not say whether the job is there all the same: {unknown}" if unknown else "no job is there"
    raise InfrastructureFailure(f"{trouble}; {doubt}", "look with squeue before you submit it again")


def isLost(said: str) -> bool:
    """Whether sbatch lost the connection, so that its failure says nothing about the job."""
    words = ("timed out", "timeout", "contact", "connect", "send/recv", "zero bytes", "unavailable", "unexpected")
    return any(word in said.lower() for word in words)


def findJob(word: str, folder: Path, patience: float) -> tuple[int | None, str]:
    """The job that was given this word, once squeue lists it, and what squeue says instead of a list.

    It is asked at least once, and until `patience` seconds are over.
    """
    command = ["squeue", "--states=all", f"--user={os.getuid()}", f"--format={constructFormat('%i', '%T', '%o')}"]
    end = time.monotonic() + patience
    while True:
        job, unknown = None, ""
        try:
            rows = askSqueue(command, folder, max(ASK_AGAIN, end - time.monotonic()))
            job = next((int(number) for number, state, program in rows
                        if program.split()[-1:] == [word] and state not in REFUSED), None)  # fmt: skip
        except (JobsError, ConfigurationFailure, ValueError) as error:
            unknown = str(error)
        if job is not None or time.monotonic() + ASK_AGAIN >= end:
            return job, unknown
        time.sleep(ASK_AGAIN)


def askSqueue(command: list[str], folder: Path, timeout: float) -> list[tuple[str, ...]]:
    """Number, state and command line of each job that squeue lists.

    Raises:
        JobsError: it says something else or nothing.
        ConfigurationFailure: it is not there.
    """
    answer = callCommand(command, folder, timeout)
    if answer is None:
        raise JobsError(f"squeue did not answer within {timeout:.0f} s")
    code, out, said = answer
    if code:
        raise JobsError(said or f"squeue ended with {code}")
    return readListing(out, 3)


def callCommand(command: list[str], folder: Path, timeout: float) -> tuple[int, str, str] | None:
    """Exit code, standard output and standard error of a command of Slurm; None: it did not end in time.

    Raises:
        ConfigurationFailure: there is no such command.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, env=constructSubmitEnvironment(), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=timeout,
        )  # fmt: skip
    except FileNotFoundError:
        raise ConfigurationFailure(
            f"there is no {command[0]} here", "install Slurm's client, or correct PATH"
        ) from None
    except subprocess.TimeoutExpired:
        return None
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace").strip()
