"""The workers as the loop sees them: submit, collect, and start over when Dask is lost. Dask is disposable."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, Future
from distributed.core import Status

from appion.base.failures import InfrastructureFailure
from appion.base.workers.fetch import fetchAll
from appion.base.workers.jobs import jobworker
from appion.base.workers.nodes import Nodes
from appion.base.workers.scaling import Demand
from appion.base.workers.stage import NOTE, constructStager
from appion.base.workers.task import Outcome, runTask

if TYPE_CHECKING:
    from appion.base.workers.cluster import LocalCluster
    from appion.base.workers.jobs.cluster import JobCluster

    Cluster = LocalCluster | JobCluster

logger = logging.getLogger(__name__)

#: Seconds for all workers to say what they have begun.
ANSWER_TIMEOUT = 10.0

#: As many results are fetched at one time, which takes a fraction of a second.
BUNCH = 64

#: Seconds that a cluster with a fixed number of workers may be without any before it is started anew.
WORKERLESS = 60.0


@dataclass
class Flight:
    """One exposure that was handed out."""

    future: Future
    since: float


class Pool:
    """Futures of one daemon. The cluster is started when first needed; results come through a queue.

    Args:
        construct: makes the cluster; what it raises is passed on by `start`.
        planned: number of workers to reckon with until then.
        prefix: beginning of the keys of all tasks.
    """

    def __init__(self, construct: Callable[[], Cluster], planned: int, prefix: str):
        self.planned = planned
        self.flights: dict[int, Flight] = {}
        self._construct, self._prefix = construct, prefix
        self._cluster: Cluster | None = None
        self._demand = Demand()
        self._news: list[dict[str, Any]] = []  # of a cluster that is closed
        self._resting = False
        self._nodes: Nodes | None = None  # as it knew them
        self._client: Client | None = None
        self._worked = time.monotonic()  # when there was a worker, or no need for one
        self._counter = itertools.count(1)
        self._avoided: dict[int, str] = {}  # where an exposure met trouble that was not its own: better elsewhere
        self._completed: SimpleQueue[tuple[int, Future] | None] = SimpleQueue()

    def start(self) -> None:
        """Start the cluster if there is none, or if it was lost while nothing was out."""
        if self._client is not None and not self.flights and not self.isAlive():
            self.close()
        if self._client is None:
            self._cluster = self._construct()
            self._cluster.onWorker = self.wakeUp
            if self._nodes is not None:
                self._cluster.nodes = self._nodes
            self._client = Client(self._cluster, set_as_default=False)
            if stager := constructStager():
                self._client.register_plugin(stager)
            self._resting = False

    @property
    def _scheduler(self) -> Any:
        assert self._cluster is not None
        return self._cluster.scheduler

    def countWorkers(self) -> int:
        """Workers that are there now."""
        return len(self._scheduler.workers) if self.isAlive() else 0

    def isAlive(self) -> bool:
        """Whether the cluster is up and the connection to it stands."""
        if self._client is None:
            return False
        return self._client.status == "running" and self._scheduler.status.name == "running"

    def isBroken(self) -> bool:
        """Whether what was handed out will not come back: Dask is lost, or all workers are and none is started."""
        if not self.isAlive():
            return bool(self.flights)
        if not self.flights or self.countWorkers() or not (self._cluster and self._cluster.fixed):
            self._worked = time.monotonic()
        return time.monotonic() - self._worked > WORKERLESS

    def submit(
        self, image_id: int, attempt: int, calc: Callable[[Any], Any], params: Any, journal: str = "", reads: str = ""
    ) -> None:
        """Hand one exposure to the workers; `journal`: where its record will be; `reads`: its movie."""
        assert self._client is not None
        key = f"{self._prefix}-{image_id}-{attempt}-{next(self._counter)}"
        avoided = self._avoided.pop(image_id, None)
        others = [address for address in list(self._scheduler.workers) if address != avoided] if avoided else None
        with dask.annotate(**{NOTE: reads}):
            future = self._client.submit(
                runTask, calc, params, journal, self._demand.needed, reads, key=key, pure=False, retries=0,
                workers=others or None, allow_other_workers=bool(others),
            )  # fmt: skip
        self.flights[image_id] = Flight(future, time.monotonic())
        future.add_done_callback(lambda done: self._completed.put((image_id, done)))

    def tell(self, demand: Demand) -> None:
        """Say how much there is to do; a cluster that scales goes by it."""
        self._demand = demand
        if self._cluster is not None:
            self._cluster.tell(demand)

    def takeNews(self) -> list[dict[str, Any]]:
        """Events of jobs and nodes since the last call."""
        news, self._news = self._news, []
        return news if self._cluster is None else news + self._cluster.takeNews()

    def findLiveJobs(self) -> set[str] | None:
        """Numbers of the jobs that may still run; None: not known."""
        return None if self._cluster is None else self._cluster.findLiveJobs()

    def describe(self) -> dict[str, Any]:
        """For the status: workers planned, in sight, and busy, and what the cluster adds."""
        facts = {} if self._cluster is None else self._cluster.describe()
        workers = list(self._scheduler.workers.values()) if self.isAlive() else []
        busy = sum(bool(worker.processing) for worker in workers)
        rest = {"resting": True} if self._resting else {}
        return {"planned": self.planned, "in_sight": len(workers), "busy": busy, **rest, **facts}

    def wakeUp(self) -> None:
        """End a wait in :meth:`collect`; may be called from a signal handler."""
        self._completed.put(None)

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        """What came back within `timeout` seconds, as soon as there is anything; each future is released at once.

        At most :data:`BUNCH` of them, so that the loop gets on however much comes back.
        """
        bunch: dict[int, Future] = {}
        with contextlib.suppress(Empty):
            item = self._completed.get(timeout=max(0.0, timeout))
            while True:
                flight = self.flights.get(item[0]) if item else None
                if item and flight and flight.future is item[1]:
                    bunch[item[0]] = self.flights.pop(item[0]).future
                if len(bunch) == BUNCH:
                    break
                item = self._completed.get_nowait()
        outcomes = list(zip(bunch, fetchAll(self._client, self._cluster, list(bunch.values())), strict=True))
        for image_id, outcome in outcomes:
            self._noteOutcome(outcome)
            if isinstance(outcome.failure, InfrastructureFailure) and outcome.address:
                self._avoided[image_id] = outcome.address
        return outcomes

    def _noteOutcome(self, outcome: Outcome) -> None:
        """Tell the cluster how it went on a node; what says nothing about the node is left out."""
        failure = outcome.failure
        if self._cluster is not None and outcome.address:
            trouble = failure.reason if isinstance(failure, InfrastructureFailure) else ""
            if trouble or failure is None:
                self._cluster.noteOutcome(outcome.host, trouble)

    def takeOverdue(self, limit: float) -> list[int]:
        """Exposures that are out for more than `limit` seconds: given up, their workers restarted.

        Waiting for a worker to come does not count.
        """
        now = time.monotonic()
        for flight in self.flights.values():
            if now - flight.since > limit and self._isWaiting(flight):
                flight.since = now
        late = [image_id for image_id, flight in self.flights.items() if now - flight.since > limit]
        if not late or self._client is None:
            return []
        keys = {self.flights[image_id].future.key for image_id in late}
        workers = [
            address
            for address, state in list(self._scheduler.workers.items())
            if any(task.key in keys for task in list(state.processing))
        ]
        for image_id in late:
            self._release(self.flights.pop(image_id), cancel=True)
        if workers:
            with contextlib.suppress(Exception):  # the nanny starts another one
                self._client.run(os._exit, 1, workers=workers, wait=False, on_error="ignore")
        return late

    def _isWaiting(self, flight: Flight) -> bool:
        """Whether no worker has an exposure yet."""
        task = self._scheduler.tasks.get(flight.future.key) if self.isAlive() else None
        return task is not None and task.state in ("no-worker", "queued")

    def recall(self) -> list[int]:
        """Take back what no worker has begun, and have none begin anything more; returns its ids. For the end of a run.

        What a worker has that does not answer counts as begun.
        """
        if not self.flights or self._client is None or not self.isAlive():
            return []
        begun = askBegun(self._client)
        back = [image_id for image_id, flight in self.flights.items() if not self._isBegun(flight, begun)]
        for image_id in back:
            self._release(self.flights.pop(image_id), cancel=True)
        return back

    def _isBegun(self, flight: Flight, begun: dict[str, list[str]]) -> bool:
        """Whether an exposure is being computed, or was, by what each worker (address) says it has begun."""
        if flight.future.status != "pending":
            return True
        task = self._scheduler.tasks.get(flight.future.key)
        worker = task.processing_on if task is not None else None
        return worker is not None and flight.future.key in begun.get(worker.address, [flight.future.key])

    def abandon(self) -> list[int]:
        """Forget everything that is out; returns its ids."""
        ids = list(self.flights)
        for image_id in ids:
            self._release(self.flights.pop(image_id), cancel=False)
        return ids

    def close(self, at_once: bool = False) -> None:
        """End the workers and, with them, whatever they run; `at_once`: kill them. A new :meth:`start` is possible."""
        if self._cluster is not None and self._scheduler.status.name in ("closing", "closed", "failed"):
            self._cluster.shutdown_scheduler = False  # it is gone; asking it to go would only wait
        client, self._client = self._client, None
        cluster, self._cluster = self._cluster, None
        self.abandon()
        if at_once and cluster is not None:
            _killWorkers(cluster)
        for what in (client, cluster):
            if what is not None:
                try:
                    what.close(timeout=10)
                except Exception as error:  # it may be half dead already; there is nothing left to save in it
                    logger.debug("closing %s: %r", what, error)
                    if what is cluster:
                        _killWorkers(cluster)
                        cluster.status = Status.closed
        if cluster is not None:
            self._news += cluster.takeNews()
            self._nodes = cluster.nodes

    def rest(self) -> bool:
        """Close the cluster while nothing is out, if that loses nothing; returns whether. The next start makes another.

        What one costs that does nothing, a process for each worker and Dask's own timers, is more than starting it.
        """
        if self.flights or self._cluster is None or not self._cluster.isIdle():
            return False
        self.close()
        self._resting = True
        return True

    def _release(self, flight: Flight, cancel: bool) -> None:
        with contextlib.suppress(Exception):
            if cancel:
                flight.future.cancel()
            flight.future.release()


def _killWorkers(cluster: Cluster) -> None:
    """Kill the worker processes of this machine and have nobody restart them; jobs end with their cluster."""
    for nanny in list(cluster.workers.values()):
        nanny.auto_restart = False
        if pid := getattr(nanny, "pid", None):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def askBegun(client: Client) -> dict[str, list[str]]:
    """Have all workers begin nothing more; returns, of those that answer, which tasks each of them has begun."""

    async def ask() -> dict[str, list[str]]:
        question = client.run(jobworker.holdBack, on_error="ignore", asynchronous=True)
        return await asyncio.wait_for(question, ANSWER_TIMEOUT)

    try:
        return client.sync(ask)
    except (Exception, asyncio.CancelledError) as error:
        logger.debug("workers do not say what they have begun: %r", error)
        return {}
