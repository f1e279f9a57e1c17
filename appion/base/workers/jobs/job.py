"""One job as dask-jobqueue starts it, and the scheduler's commands, each with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
import time
from pathlib import Path
from typing import Any

from dask_jobqueue.core import Job
from dask_jobqueue.htcondor import HTCondorJob
from dask_jobqueue.lsf import LSFJob
from dask_jobqueue.oar import OARJob
from dask_jobqueue.pbs import PBSJob
from dask_jobqueue.sge import SGEJob
from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status

from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.script import constructSubmitEnvironment

#: Seconds that a command of the scheduler may take.
COMMAND_TIMEOUT = 60.0


class WorkerJob(Job):
    """One job. A submission that fails is kept in `error` instead of raised, so that it holds up no other.

    Attributes:
        submitted: when, by the monotonic clock.
        registered: its worker is there; `seen`: it was at some time.
        missing: how many times in a row it was not listed.
        silent_since: since when it runs without a worker, by the monotonic clock.
    """

    adapter: Adapter

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.error = ""
        self.submitted = time.monotonic()
        self.registered = self.seen = False
        self.missing = 0
        self.silent_since: float | None = None

    @property
    def number(self) -> str:
        """The scheduler's number of the job; empty if it was not taken."""
        return self.job_id or ""

    async def start(self) -> None:
        try:
            await super().start()
        except Exception as error:
            self.error = describeError(error)
        self.submitted = time.monotonic()
        self.status = Status.running

    async def _submit_job(self, script_filename: str) -> str:
        if self.adapter.stdin:
            return await callCommand(*shlex.split(self.submit_command), stdin=Path(script_filename).read_bytes())
        return await super()._submit_job(script_filename)

    def _job_id_from_submit_output(self, out: str) -> str:
        return self.adapter.readNumber(out)

    async def close(self) -> None:
        self.status = Status.closed

    @staticmethod
    async def _call(cmd: list[str], *, shell: bool = False, **_: Any) -> str:  # noqa: ARG004
        return await callCommand(*cmd)


def constructJobClass(adapter: Adapter) -> type[WorkerJob]:
    """The class of the jobs of a scheduler, with its dask-jobqueue's own for the script."""
    scripts = {"slurm": SLURMJob, "sge": SGEJob, "pbs": PBSJob, "lsf": LSFJob, "htcondor": HTCondorJob, "oar": OARJob}
    command = shlex.join([adapter.programs[0], *adapter.submitOptions])
    return type("WorkerJob", (WorkerJob, scripts[adapter.name]), {"adapter": adapter, "submit_command": command})


JOBS = {name: constructJobClass(adapter) for name, adapter in ADAPTERS.items()}
SlurmJob = JOBS["slurm"]


async def callCommand(*command: str, stdin: bytes | None = None) -> str:
    """Run a command of the scheduler and return what it printed on standard output.

    Raises:
        JobsError: it failed or did not end in time; with what it printed on standard error, else on standard output.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=constructSubmitEnvironment(),
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), COMMAND_TIMEOUT)
    except TimeoutError:
        raise JobsError(f"{command[0]} did not answer within {COMMAND_TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        said = (err.strip() or out.strip()).decode(errors="replace")
        raise JobsError(f"{command[0]}: {said} (exit code {process.returncode})")
    return out.decode(errors="replace")


def describeError(error: BaseException) -> str:
    """An error in one line, as far as the scheduler's own words go."""
    text = str(error) if isinstance(error, JobsError) else f"{type(error).__name__}: {error}"
    return re.sub(r"\s*\n\s*", "; ", text.strip())[:500]
