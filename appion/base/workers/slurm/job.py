"""One Slurm job as dask-jobqueue starts it, and Slurm's commands, each with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import Any

from dask_jobqueue.slurm import SLURMJob
from distributed.core import Status

from appion.base.workers.slurm.answer import SlurmError, readJobNumber
from appion.base.workers.slurm.script import constructSubmitEnvironment

#: Seconds that a command of Slurm may take.
COMMAND_TIMEOUT = 60.0


class SlurmJob(SLURMJob):
    """One job. A submission that fails is kept in `error` instead of raised, so that it holds up no other.

    Attributes:
        submitted: when, by the monotonic clock.
        registered: its worker is there; `seen`: it was at some time.
        missing: how many times in a row squeue did not list it.
        silent_since: since when it runs without a worker, by the monotonic clock.
    """

    submit_command = "sbatch --parsable"

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.error = ""
        self.submitted = time.monotonic()
        self.registered = self.seen = False
        self.missing = 0
        self.silent_since: float | None = None

    @property
    def number(self) -> str:
        """Slurm's number of the job; empty if Slurm did not take it."""
        return self.job_id or ""

    async def start(self) -> None:
        try:
            await super().start()
        except Exception as error:
            self.error = describeError(error)
        self.submitted = time.monotonic()
        self.status = Status.running

    def _job_id_from_submit_output(self, out: str) -> str:
        return readJobNumber(out)

    async def close(self) -> None:
        self.status = Status.closed

    @staticmethod
    async def _call(cmd: list[str], *, shell: bool = False, **_: Any) -> str:  # noqa: ARG004
        return await callSlurm(*cmd)


async def callSlurm(*command: str) -> str:
    """Run a command of Slurm and return what it printed on standard output.

    Raises:
        SlurmError: it failed or did not end in time.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=constructSubmitEnvironment(),
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT)
    except TimeoutError:
        raise SlurmError(f"{command[0]} did not answer within {COMMAND_TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise SlurmError(f"{command[0]}: {err.decode(errors='replace').strip()} (exit code {process.returncode})")
    return out.decode(errors="replace")


def describeError(error: BaseException) -> str:
    """An error in one line, as far as Slurm's own words go."""
    text = str(error) if isinstance(error, SlurmError) else f"{type(error).__name__}: {error}"
    return re.sub(r"\s*\n\s*", "; ", text.strip())[:500]
