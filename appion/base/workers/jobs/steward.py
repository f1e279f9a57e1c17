"""Looks after the jobs of a pool: grows it with the backlog, shrinks it to nothing, replaces what is lost.

Each round looks at the workers, asks the scheduler when it is time to (one listing of all jobs), gives up what is lost,
then submits or retires. What it does not say for certain is left as it is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Any

from distributed.deploy.adaptive import Adaptive

from appion.base.calc.outage import Outage
from appion.base.config import setting
from appion.base.workers.bounds import readBounds
from appion.base.workers.jobs.adapter import Listed
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.estate import NO_LOG, Estate
from appion.base.workers.jobs.job import WorkerJob, describeError
from appion.base.workers.jobs.reconcile import (
    Facts,
    Loss,
    Patience,
    countJobs,
    describeStuck,
    findLoss,
    findStrangers,
    isAlive,
)
from appion.base.workers.scaling import Demand, Hold, calcChange, calcNeed

logger = logging.getLogger(__name__)

#: Seconds between two rounds, and jobs submitted in one of them.
INTERVAL, BURST = 1.0, 4


class Steward(Adaptive):
    """Dask calls :meth:`adapt` every second for the life of the cluster. The arguments are Dask's.

    Attributes:
        demand, outcomes: what the daemon's thread says: how much there is to do, and (node, trouble or empty).
        news, snapshot, live: what it may read: events, facts for the status, jobs that may still run (None: not known).
        leaving: jobs that were retired or cancelled and may still run, and until when they may.
        shown: jobs that were listed under the name of this run: no other is ever cancelled.
    """

    def __init__(self, cluster: Any, **options: Any):
        self.estate: Estate = cluster
        self._title = self.estate.adapter.title
        self._submitter, self._lister, _ = self.estate.adapter.programs
        self.demand = Demand()
        self.outcomes: deque[tuple[str, str]] = deque(maxlen=10000)
        self.news: deque[dict[str, Any]] = deque(maxlen=10000)
        self.snapshot: dict[str, Any] = {}
        self.live: set[str] | None = None
        self.leaving: dict[str, float] = {}
        self.shown: set[str] = set()
        self._bounds = readBounds()
        self._hold = Hold(self._bounds.hold)
        self._patience = Patience(start=setting("jobs.start_timeout"))
        first, longest = setting("pause"), setting("pause_max")
        self._submitting, self._starting, self._asking = (Outage(first, longest) for _ in range(3))
        self._stuck = Outage(0.0, 0.0)  # no job can start unless a person does something
        self._poll = setting("jobs.poll")
        self._next_listing = 0.0
        self._listed: dict[str, Listed] = {}
        self._broken = ""
        self._round = asyncio.Lock()
        super().__init__(cluster, **options)

    async def target(self) -> int:
        """How many workers there should be now."""
        return self._hold.update(time.monotonic(), calcNeed(self.demand, self._bounds))

    async def adapt(self) -> None:
        """One round. An error is told, and the next round comes."""
        async with self._round:
            if self.state != "running":
                return
            try:
                self._noteNodes()
                self._noteWorkers()
                await self._reconcile()
                await self._bringTo(await self.safe_target())
                self._broken = ""
            except Exception as error:
                if not self._broken:
                    logger.exception("looking after the jobs failed; trying again")
                self._broken = describeError(error)
            self.snapshot = self._describe()

    def isIdle(self) -> bool:
        """Whether there is no job of ours, and there is to be none."""
        return self.live == set() and not self.leaving and not calcNeed(self.demand, self._bounds)

    async def retire(self) -> None:
        """End it for good, after the round that may be under way: no job is submitted that nobody would cancel."""
        self.stop(reason="closing")
        async with self._round:
            return

    def _tell(self, what: str, **fields: Any) -> None:
        self.news.append({"what": what, **fields})

    # -- what became of the jobs -----------------------------------------------------------------------------------

    def _noteNodes(self) -> None:
        """Take in what came back from which node."""
        now = time.monotonic()
        for node in self.estate.nodes.expire(now):
            self._tell("node admitted", host=node)
        while self.outcomes:
            node, trouble = self.outcomes.popleft()
            if trouble:
                self._blame(node, trouble)
            else:
                self.estate.nodes.succeed(node, now)

    def _blame(self, node: str, reason: str) -> None:
        if self.estate.nodes.fail(node, reason, time.monotonic()):
            logger.warning("node %s fails again and again and is not used for now: %s", node, reason)
            self._tell("node excluded", host=node, reason=reason)

    def _noteWorkers(self) -> None:
        """Take in which jobs have a worker."""
        now, there = time.monotonic(), self.estate.findWorkers()
        for name, job in self.estate.workers.items():
            job.registered = name in there
            if job.registered:
                if not job.seen:
                    self._tell("job works", job=job.number)
                    if self._starting.clear():
                        self._tell("jobs start again")
                job.seen, job.silent_since = True, None
            elif job.seen and job.silent_since is None:
                job.silent_since, self._next_listing = now, 0.0

    async def _reconcile(self) -> None:
        """Ask the scheduler about our jobs, when it is time to, and give up those that are lost; else nothing."""
        now, estate = time.monotonic(), self.estate
        nobody = self.live is not None and not estate.workers and not self.leaving
        if now < self._next_listing or nobody:
            return
        self._next_listing = now + self._poll
        try:
            listed = await estate.listJobs()
        except (JobsError, OSError) as error:
            if self._asking.fail(describeError(error)):
                reason = self._asking.reason
                logger.warning("%s does not say how jobs are, all is left as it is: %s", self._title, reason)
                self._tell(f"{self._lister} fails", reason=self._asking.reason)
            return
        if self._asking.clear():
            self._tell(f"{self._lister} answers again")
        self._listed = listed
        self._noteShown(listed)
        losses = {name: self._judge(job, listed.get(job.number)) for name, job in estate.workers.items()}
        await self._giveUp({name: loss for name, loss in losses.items() if loss})
        await self._cancelStrangers(listed)
        self._noteStuck()

    def _noteShown(self, listed: dict[str, Listed]) -> None:
        """Take in which jobs are ours because they are listed; those that are over and done with are forgotten."""
        ours = {job.number for job in self.estate.workers.values()} | set(self.leaving)
        alive = {number for number, job in listed.items() if isAlive(job)}
        self.shown = alive | (ours & (self.shown | set(listed)))

    def _noteStuck(self) -> None:
        """Say once that all jobs wait for a person, and once that they do no more."""
        ours = {job.number: job.registered for job in self.estate.workers.values()}
        reason = describeStuck(self._listed, ours, self.estate.adapter)
        if not reason:
            if self._stuck.clear():
                logger.info("jobs can start again")
                self._tell("jobs can start again")
        elif self._stuck.fail(reason):
            logger.warning("no job can start before somebody does something: %s", reason)
            self._tell("jobs are stuck", reason=reason)

    def _judge(self, job: WorkerJob, found: Listed | None) -> Loss | None:
        """Whether a job is lost."""
        now, silent = time.monotonic(), None
        job.missing = 0 if found else job.missing + 1
        if found and found.state in ("RUNNING", "COMPLETING") and not job.registered:
            job.silent_since = job.silent_since or now
            silent = now - job.silent_since
        facts = Facts(job.job_id, job.registered, job.seen, now - job.submitted, job.missing, silent)
        return findLoss(facts, found, self._patience, self._title)

    async def _giveUp(self, losses: dict[str, Loss]) -> None:
        """Forget lost jobs, so that others take their place; those that may still run are cancelled."""
        for name, loss in losses.items():
            job = self.estate.forget(name)
            said = self.estate.readLog(job) if loss.early else ""
            why = f"{loss.why}: {said}" if said and (loss.node or said != NO_LOG) else loss.why
            logger.warning("job %s is lost: %s", job.number, why)
            self._tell("job lost", job=job.number, host=loss.node, reason=why)
            if loss.early and self._starting.fail(f"job {job.number} on {loss.node or 'no node'}: {why}"):
                self._tell("jobs do not start", reason=self._starting.reason)
            if loss.blamed:
                self._blame(loss.node, why)
            if job.number not in self._listed or isAlive(self._listed[job.number]):
                await self._end([job.number])

    async def _cancelStrangers(self, listed: dict[str, Listed]) -> None:
        """Cancel jobs under our name that are not ours: of a daemon that was killed, or given up but still alive."""
        now = time.monotonic()
        alive = {number for number, job in listed.items() if isAlive(job)}
        self.leaving = {number: until for number, until in self.leaving.items() if number in alive and until > now}
        known = {job.number for job in self.estate.workers.values()} | set(self.leaving)
        strangers = findStrangers(listed, known)
        if strangers:
            await self._end(strangers)
            self._tell("jobs cancelled", jobs=strangers, reason="not of this daemon, or given up")
        self.live = (alive | known) - set(strangers)

    async def _end(self, numbers: list[str]) -> None:
        """Cancel jobs; they count until they are not listed as alive any more.

        One that was never listed is not cancelled: if it is ours after all, it turns up as one that nobody knows.
        """
        self._keep(numbers, INTERVAL)
        await self.estate.cancelJobs([number for number in numbers if number in self.shown])

    def _keep(self, numbers: list[str], seconds: float) -> None:
        """Jobs off the books may run on for so long; the scheduler is asked soon what became of them."""
        self.leaving.update(dict.fromkeys(numbers, time.monotonic() + seconds))
        self._askSoon()

    def _askSoon(self) -> None:
        self._next_listing = min(self._next_listing, time.monotonic() + min(self._poll, 2 * INTERVAL))

    # -- what is to become of them ---------------------------------------------------------------------------------

    async def _bringTo(self, target: int) -> None:
        """Submit, retire or cancel."""
        estate = self.estate
        sick = [name for name, job in estate.workers.items() if self.findNode(job.number) in estate.nodes.excluded]
        if sick:  # what they have in flight is computed elsewhere
            await self._cancel(sick, "their node is excluded")
        there = estate.findWorkers()
        idle = [name for name in estate.workers if name in there and isIdle(there[name])]
        waiting = [name for name, job in estate.workers.items() if not job.seen]
        known = [name for name in waiting if estate.workers[name].number in self.shown]
        change = calcChange(
            target, len(estate.workers), len(idle), len(waiting), self._calcBurst(len(waiting)),
            dormant=target <= self._bounds.minimum,
        )  # fmt: skip
        if change.submit:
            await self._submit(change.submit)
        if change.retire:
            numbers = await estate.retireWorkers(idle[: change.retire])
            self._keep(numbers, self._patience.back)
            self._tell("jobs retired", jobs=numbers)
        if change.cancel and known:
            await self._cancel(known[-change.cancel :], "nothing to do")

    def _calcBurst(self, waiting: int) -> int:
        """How many jobs may be submitted now: after failures one at a time, after pauses that grow.

        None while it is not known which jobs there are, nor more than there is room for beside those about to end.
        """
        if self._submitting.isPaused() or self._starting.isPaused() or self._broken or self.live is None:
            return 0
        room = max(0, self._bounds.maximum - len(self.estate.workers) - len(self.leaving))
        if self._starting.failures:
            return 0 if waiting else min(room, 1)
        return min(room, 1 if self._submitting.failures else BURST)

    async def _submit(self, number: int) -> None:
        """Submit jobs, and take in what was said."""
        jobs = await self.estate.submitJobs(number, sorted(self.estate.nodes.excluded))
        for job in jobs:
            if job.number:
                self._tell("job submitted", job=job.number)
        errors = [job.error for job in jobs if not job.number]
        self._askSoon()
        if self.live is not None:
            self.live = self.live | {job.number for job in jobs}
        if len(errors) < len(jobs) and self._submitting.clear():
            logger.info("%s takes jobs again", self._title)
            self._tell("submitting works again")
        if errors:
            self.live = None  # it may have taken the job all the same, if only its answer was lost
            if self._submitting.fail(errors[0]):
                logger.warning("%s does not take jobs; trying again: %s", self._title, errors[0])
                self._tell("submitting fails", reason=errors[0])

    async def _cancel(self, names: list[str], reason: str) -> None:
        numbers = [self.estate.forget(name).number for name in names]
        await self._end(numbers)
        self._tell("jobs cancelled", jobs=numbers, reason=reason)

    def findNode(self, number: str) -> str:
        """Where a job runs or ran, as last heard of."""
        return self._listed[number].node if number in self._listed else ""

    def _describe(self) -> dict[str, Any]:
        """For the status: jobs there are, why they wait, and what a person should know."""
        nodes = self.estate.nodes
        outages = {
            self._submitter: (self._submitting, f"{self._title} does not take jobs"),
            "jobs": (self._starting, "jobs end before they work"),
            self._lister: (self._asking, f"{self._title} does not say how jobs are"),
            "stuck": (self._stuck, "no job can start before somebody does something"),
        }
        trouble = [
            f"{text} since {time.strftime('%H:%M:%S', time.localtime(outage.began))}: {outage.reason}"
            for outage, text in outages.values()
            if outage.began is not None
        ]
        trouble += [f"looking after the jobs fails: {self._broken}"] if self._broken else []
        trouble += [f"node {node} is not used: {nodes.reasons[node]}" for node in sorted(nodes.excluded)]
        ours = {job.number: job.registered for job in list(self.estate.workers.values())}
        jobs, pending = countJobs(self._listed, ours)
        return {
            "jobs": jobs,
            "pending": pending,
            "outages": {what: outage.began is not None for what, (outage, _) in outages.items()},
            "stuck": self._stuck.describe(),
            "refused": self._submitting.describe(),
            "scheduler": self._title,
            "excluded": len(nodes.excluded),
            "trouble": trouble,
        }


def isIdle(worker: Any) -> bool:
    """Whether a worker, as Dask's scheduler sees it, has nothing to do and keeps nothing to be fetched."""
    return not worker.processing and not worker.has_what
