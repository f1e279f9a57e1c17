"""Slurm, or whichever scheduler workers are jobs of: would it take them?"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dask.config

from appion.base.cli.program import findByCommand
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.program import OWN_KINDS
from appion.base.workers.elsewhere.address import isElsewhere
from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import ADAPTERS, SLURM
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.job import JOBS
from appion.base.workers.jobs.script import checkJobs, constructJobOptions, constructSubmitEnvironment
from appion.base.workers.kubernetes.options import KUBERNETES
from appion.doctor import kubernetes
from appion.doctor.elsewhere import TITLE, checkDask
from appion.doctor.finding import NOTE, TODO, WELL, Finding
from appion.doctor.kubernetes import checkPods

#: Seconds for sbatch to answer; it gives up itself after about ten.
PATIENCE = 20.0


def checkSlurm() -> Iterator[Finding]:
    """Have Slurm try the job of a worker without submitting it.

    Where workers are not to run on Slurm, it only matters to runJob.py: any job is tried.

    Raises:
        ConfigurationFailure: workers are to be jobs, and the scheduler is not here or a setting is missing or wrong.
    """
    kind = setting("cluster")
    if isElsewhere(kind):
        yield checkDask(kind)
        return
    if kind == KUBERNETES:
        yield checkPods()
        return
    if kind in ADAPTERS and kind != "slurm":
        yield checkScheduler(ADAPTERS[kind])
        return
    if kind != "slurm":
        if shutil.which("sbatch") is not None:
            refusal, said = trySubmission("#!/bin/sh\n")
            text = f"runJob.py could not submit from here: {said}" if refusal else f"runJob.py can submit: {said}"
            yield Finding(NOTE if refusal else WELL, "Slurm", text)
        return
    script = constructWorkerScript()
    asked = describeRequest(script)
    refusal, said = trySubmission(script)
    if refusal:
        yield Finding(TODO, "Slurm", f"does not take the job of a worker: {said}",
                      f"correct jobqueue.slurm (asked for: {asked}), or ask who runs Slurm")  # fmt: skip
    else:
        yield Finding(WELL, "Slurm", f"takes the job of a worker ({asked}): {said}")


def nameScheduler() -> str:
    """What the scheduler that workers are of is called; Slurm if there is none, or none of that name."""
    kind = str(dask.config.get("appion.cluster", ""))
    if kind == KUBERNETES:
        return kubernetes.TITLE
    return TITLE if isElsewhere(kind) else ADAPTERS.get(kind, SLURM).title


def checkScheduler(adapter: Adapter) -> Finding:
    """Have Grid Engine try the job of a worker without submitting it; others only list what jobs there are.

    Raises:
        ConfigurationFailure: as for :func:`checkSlurm`.
    """
    script = constructWorkerScript(adapter)
    asked, section = describeRequest(script), f"jobqueue.{adapter.name}"
    if adapter.name == "sge":
        refusal, said = runProgram(["qsub", "-w", "v"], script)
        if refusal or "found suitable queue" not in said:
            return Finding(TODO, adapter.title, f"does not take the job of a worker: {said}",
                           f"correct {section} (asked for: {asked}), or ask who runs it")  # fmt: skip
        return Finding(WELL, adapter.title, f"takes the job of a worker ({asked})")
    label = adapter.constructName(Path("/tmp/doctor"))
    failed, said = runProgram(list(adapter.constructListing(label)))
    trouble = said if failed and not adapter.isEmpty(f"{adapter.programs[1]}: {said}") else ""
    try:
        if not failed:
            adapter.readListing(said, label)
    except JobsError as error:
        trouble = str(error)
    if trouble:
        return Finding(TODO, adapter.title, f"does not say how jobs are: {trouble}", "ask who runs it")
    return Finding(NOTE, adapter.title, f"says how jobs are; the job of a worker is not tried before a run ({asked})")


def describeRequest(script: str) -> str:
    """What a script asks for, in the scheduler's words."""
    lines = (re.match(r"#(?:SBATCH|PBS|BSUB|OAR|\$) (.*)|(\w[\w.]* = .*)", line) for line in script.splitlines())
    words = [match[1] or match[2] for match in lines if match]
    return "; ".join(word for word in words if not word.startswith(("Arguments", "Executable")))


def constructWorkerScript(adapter: Adapter = SLURM) -> str:
    """Return the script of a worker for motion correction.

    Raises:
        ConfigurationFailure: as for :func:`checkSlurm`.
    """
    gpus = (0,) if needGPU() else ()
    checkJobs(gpus, setting("motioncorrection.timeout"), adapter)
    options = constructJobOptions(Path("/tmp/doctor"), gpus, adapter=adapter)
    return JOBS[adapter.name]("tcp://127.0.0.1:1", "doctor", **options).job_script()


def needGPU() -> bool:
    """Return whether the program for motion correction needs a GPU; one that is not found here might."""
    try:
        return findByCommand("motioncor2.py").program.kind not in OWN_KINDS
    except ConfigurationFailure:
        return True


def trySubmission(script: str) -> tuple[bool, str]:
    """Return whether sbatch refuses a script, and what it says."""
    refusal, said = runProgram(["sbatch", "--test-only"], script)
    return refusal, said.removeprefix("sbatch: ")


def runProgram(command: list[str], script: str = "") -> tuple[bool, str]:
    """Return whether a command of the scheduler fails, and what it says."""
    try:
        done = subprocess.run(
            command, input=script, env=constructSubmitEnvironment(), capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        return True, f"no answer within {PATIENCE:g} s"
    except OSError as error:
        return True, str(error)
    return done.returncode != 0, done.stderr.strip() or done.stdout.strip()
