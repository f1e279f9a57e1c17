"""Workers that are jobs of a job scheduler.

dask-jobqueue writes the script and submits it; which jobs there should be is decided by the steward alone, in rounds.
Where Dask or dask-jobqueue would act by themselves, they are held back here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_jobqueue import JobQueueCluster
from distributed import Security
from distributed.core import Status
from distributed.deploy.cluster import Cluster

from appion.base.config import setting
from appion.base.workers.doors import ClosedScheduler, constructDashboard, constructSecurity, saveSecurity
from appion.base.workers.inprocess import InProcess
from appion.base.workers.jobs import leftover
from appion.base.workers.jobs.adapter import Adapter, Listed, calcOrder
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.estate import NO_LOG, Estate
from appion.base.workers.jobs.job import JOBS, WorkerJob, callCommand, describeError
from appion.base.workers.jobs.reconcile import isAlive
from appion.base.workers.jobs.script import constructDirectives, constructJobOptions, readJobqueue
from appion.base.workers.jobs.steward import INTERVAL, Steward
from appion.base.workers.nodes import Nodes
from appion.base.workers.scaling import Demand
from appion.base.workers.warden import Warden

logger = logging.getLogger(__name__)

#: Seconds for a last listing before the jobs are cancelled at the end.
FAREWELL = 5.0


class JobCluster(InProcess, JobQueueCluster):
    """One job, one worker, one thread, one exposure at a time.

    Args:
        rundir: logs go to its folder `logs`, and its name and path make the name of the jobs.
        gpus: empty if the program needs none.
        adapter: of the scheduler that the jobs are of.
    """

    def __init__(self, rundir: Path, gpus: tuple[int, ...], adapter: Adapter):
        self._rundir, self._gpus, self.adapter = rundir, gpus, adapter
        failures = int(setting("jobs.node_failures")) if adapter.excludes else 0
        self.nodes = Nodes(failures, setting("jobs.exclude_for"))
        self._numbers: dict[str, str] = {}  # of all jobs, by the names of their workers
        self.job_label = adapter.constructName(rundir)
        self._warden: Warden | None = None
        (rundir / "logs").mkdir(parents=True, exist_ok=True)
        given = readJobqueue(adapter.name).get("scheduler-options") or {}
        super().__init__(
            job_cls=JOBS[adapter.name],  # type: ignore[arg-type]
            name="appion",
            silence_logs=False,
            security=constructSecurity(),
            scheduler_cls=ClosedScheduler,
            scheduler_options={**constructDashboard(setting("dashboard")), **given},
            **constructJobOptions(rundir, gpus, adapter=adapter),
        )
        minimum, maximum = int(setting("jobs.minimum")), int(setting("jobs.maximum"))
        self.steward: Steward = self.adapt(Adaptive=Steward, minimum=minimum, maximum=maximum, interval=f"{INTERVAL} s")

    # -- what the daemon's thread calls ----------------------------------------------------------------------------

    def tell(self, demand: Demand) -> None:
        self.steward.demand = demand

    def noteOutcome(self, node: str, trouble: str) -> None:
        self.steward.outcomes.append((node, trouble))

    def takeNews(self) -> list[dict[str, Any]]:
        return [self.steward.news.popleft() for _ in range(len(self.steward.news))]

    def describe(self) -> dict[str, Any]:
        return {"planned": len(self.worker_spec), **self.steward.snapshot}

    def findLiveJobs(self) -> set[str] | None:
        return self.steward.live

    def isIdle(self) -> bool:
        """Whether there is no job, and none is wanted: to be closed would cost one its place."""
        return not self.worker_spec and self.steward.isIdle()

    def findPlace(self, name: Any) -> tuple[str, str]:
        number = self._numbers.get(name, "")
        return self.steward.findNode(number), number

    # -- what the steward calls, in Dask's event loop --------------------------------------------------------------

    def findWorkers(self) -> dict[str, Any]:
        """Dask's states of the workers that are there, by name."""
        return {worker.name: worker for worker in self.scheduler.workers.values()}

    async def listJobs(self) -> dict[str, Listed]:
        """All our jobs that the scheduler knows, by number, also those that have ended of late, with a single call.

        Raises:
            JobsError, OSError: they are not known.
        """
        try:
            text = await callCommand(*self.adapter.constructListing(self.job_label))
        except JobsError as error:
            if self.adapter.isEmpty(str(error)):
                return {}
            raise
        return self.adapter.readListing(text, self.job_label)

    async def submitJobs(self, number: int, excluded: Sequence[str]) -> list[WorkerJob]:
        """Submit jobs that keep away from some nodes. Those that were not taken are not kept, see their `error`."""
        self.new_spec["options"]["job_extra_directives"] = constructDirectives(
            self._rundir, self._gpus, readJobqueue(self.adapter.name), excluded, self.adapter
        )
        self._warden = self._warden or Warden(leftover.__name__, self.adapter.name, str(self._rundir))
        before = set(self.workers)
        for _ in range(number):
            self.worker_spec.update(self.new_worker_spec())
        await self._correct_state()
        new = {name: job for name, job in self.workers.items() if name not in before}
        for name, job in new.items():
            if job.number:
                self._numbers[name] = job.number
                self._warden.note(job.number)
            else:
                self.forget(name)
        return list(new.values())

    async def retireWorkers(self, names: Sequence[str]) -> list[str]:
        """Have workers end, and their jobs with them; returns their numbers."""
        await self.scheduler.retire_workers(
            names=names, remove=True, close_workers=True
        )
        return [self.forget(name).number for name in names if name in self.workers]

    def forget(self, name: str) -> WorkerJob:
        """Take a job off the books: it does not count any more, whatever becomes of it."""
        job = self.workers.pop(name)
        self.worker_spec.pop(name, None)
        job.status = Status.closed
        return job

    async def cancelJobs(self, numbers: Iterable[str]) -> None:
        """Cancel jobs that were listed as ours; where the scheduler can, it looks at their name once more.

        Those for which it fails turn up again, as jobs that nobody knows. One that has ended meanwhile is no failure.
        """
        if numbers := [number for number in numbers if number]:
            try:
                await callCommand(*self.adapter.constructCancel(self.job_label, numbers))
            except (JobsError, OSError) as error:
                if not self.adapter.isOver(str(error)):
                    logger.warning("jobs %s were not cancelled: %s", ", ".join(numbers), describeError(error))

    def readLog(self, job: WorkerJob) -> str:
        """The last line that a job wrote, and where."""
        path = self._rundir / "logs" / f"{self.job_label}-{job.number}.log"
        try:
            lines = path.read_bytes()[-4000:].decode(errors="replace").split("\n")
        except OSError:
            return NO_LOG
        return f"{next((line.strip()[:300] for line in reversed(lines) if line.strip()), 'its log is empty')} ({path})"

    # -- where Dask would act by itself ----------------------------------------------------------------------------

    def _get_worker_security(self, security: Security) -> Security:
        """For the command line of the jobs: names of files that only this user may read."""
        saved = saveSecurity(security, self._rundir / ".appion" / "tls")
        for name in ("tls_ca_file", "tls_worker_cert", "tls_worker_key"):
            setattr(saved, name, shlex.quote(getattr(saved, name)))
        return saved

    def new_worker_spec(self) -> dict[str, Any]:
        """A name that was never used: the worker of a job given up may still turn up."""
        self._i += 1
        return {self._new_worker_name(self._i): self.new_spec}

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """The book-keeping alone; which job is replaced is the steward's business."""
        Cluster._update_worker_status(self, op, msg)
        if op == "add":
            self.onWorker()

    async def _close(self) -> None:
        """Cancel all jobs with one call, then close the rest."""
        steward: Steward | None = getattr(self, "_adaptive", None)
        if steward is not None:
            await steward.retire()
        numbers = {self.forget(name).number for name in list(self.workers)} - {""}
        self.worker_spec.clear()
        for job in self._created:
            job.status = Status.closed
        if steward is not None:
            await self._cancelAll(steward, numbers | set(steward.leaving))
        await super()._close()
        if self._warden is not None:
            self._warden.dismiss()
        shutil.rmtree(self._rundir / ".appion" / "tls", ignore_errors=True)

    async def _cancelAll(self, steward: Steward, numbers: set[str]) -> None:
        """Cancel these jobs and whatever else has our name; what was never listed may be anybody's and is left."""
        steward.leaving.clear()
        shown = set(steward.shown)
        if steward.live is None or numbers - shown:
            with contextlib.suppress(JobsError, OSError, TimeoutError):
                listed = await asyncio.wait_for(self.listJobs(), FAREWELL)
                numbers |= {number for number, job in listed.items() if isAlive(job)}
                shown |= set(listed)
        if left := sorted(numbers - shown, key=calcOrder):
            logger.warning(
                "jobs %s are not cancelled, as %s never showed them as ours; look with %s (without "
                "a daemon their workers end by themselves, and the next start cancels them)",
                ", ".join(left), self.adapter.programs[1], self.adapter.look.format(label=self.job_label),
            )  # fmt: skip
        if ours := sorted(numbers & shown, key=calcOrder):
            steward.news.append({"what": "jobs cancelled", "jobs": ours, "reason": "the workers are closed"})
            await self.cancelJobs(ours)


if TYPE_CHECKING:
    _estate: type[Estate] = JobCluster  # the steward finds what it asks for
