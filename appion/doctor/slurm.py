"""Slurm: would it take the jobs of our workers?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dask_jobqueue.slurm import SLURMJob

from appion.base.cli.program import findByCommand
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.program import OWN_KINDS
from appion.base.workers.jobs.script import checkJobs, constructJobOptions, constructSubmitEnvironment
from appion.doctor.finding import NOTE, TODO, WELL, Finding

#: Seconds for sbatch to answer; it gives up itself after about ten.
PATIENCE = 20.0


def checkSlurm() -> Iterator[Finding]:
    """Have Slurm try the job of a worker without submitting it.

    Where workers are not to run on Slurm, it only matters to runJob.py: any job is tried.

    Raises:
        ConfigurationFailure: workers are to run on Slurm, and it is not here or a setting is missing or wrong.
    """
    if setting("cluster") != "slurm":
        if shutil.which("sbatch") is not None:
            refusal, said = trySubmission("#!/bin/sh\n")
            text = f"runJob.py could not submit from here: {said}" if refusal else f"runJob.py can submit: {said}"
            yield Finding(NOTE if refusal else WELL, "Slurm", text)
        return
    script = constructWorkerScript()
    asked = "; ".join(line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH "))
    refusal, said = trySubmission(script)
    if refusal:
        yield Finding(TODO, "Slurm", f"does not take the job of a worker: {said}",
                      f"correct jobqueue.slurm (asked for: {asked}), or ask who runs Slurm")  # fmt: skip
    else:
        yield Finding(WELL, "Slurm", f"takes the job of a worker ({asked}): {said}")


def constructWorkerScript() -> str:
    """Return the script of a worker for motion correction.

    Raises:
        ConfigurationFailure: as for :func:`checkSlurm`.
    """
    gpus = (0,) if needGPU() else ()
    checkJobs(gpus, setting("motioncorrection.timeout"))
    return SLURMJob("tcp://127.0.0.1:1", "doctor", **constructJobOptions(Path("/tmp/doctor"), gpus)).job_script()


def needGPU() -> bool:
    """Return whether the program for motion correction needs a GPU; one that is not found here might."""
    try:
        return findByCommand("motioncor2.py").program.kind not in OWN_KINDS
    except ConfigurationFailure:
        return True


def trySubmission(script: str) -> tuple[bool, str]:
    """Return whether sbatch refuses a script, and what it says."""
    try:
        done = subprocess.run(
            ["sbatch", "--test-only"], input=script, env=constructSubmitEnvironment(), capture_output=True, text=True,
            timeout=PATIENCE,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return True, f"no answer within {PATIENCE:g} s"
    except OSError as error:
        return True, str(error)
    return done.returncode != 0, done.stderr.strip().removeprefix("sbatch: ")
