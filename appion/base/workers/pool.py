"""The workers as the loop sees them: submit, collect, and start over when Dask is lost. Dask is disposable."""

from __future__ import annotations

import contextlib
import itertools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, Future

from appion.base.failures import InfrastructureFailure
from appion.base.workers.fetch import fetchAll
from appion.base.workers.nodes import Nodes
from appion.base.workers.scaling import Demand
from appion.base.workers.supply import Supply
from appion.base.workers.task import Outcome, runTask

#: As many results are fetched at one time, which takes a fraction of a second.
BUNCH = 64

#: Seconds that a cluster with a fixed number of workers may be without any before it is started anew.
WORKERLESS = 60.0


@dataclass
class Flight:
    """One exposure that was handed out."""

    future: Future
    key: str
    since: float


class Pool:
    """Futures of one daemon. The cluster is started when first needed; results come through a queue.

    Args:
        construct: makes the cluster; what it raises is passed on by `start`.
        planned: number of workers to reckon with until then.
        prefix: beginning of the keys of all tasks; a word of this pool alone is their end.
        own: whether the workers are this run's own; others are found by :meth:`prepare`, and never ended.
    """

    def __init__(self, construct: Callable[[], Supply], planned: int, prefix: str, own: bool = True):
        self.planned, self.own = planned, own
        self.flights: dict[int, Flight] = {}
        self._construct, self._prefix, self._word = construct, prefix, uuid.uuid4().hex[:12]
        self._cluster: Supply | None = None
        self._demand = Demand()
        self._news: list[dict[str, Any]] = []  # of a cluster that is closed
        self._resting = self._proven = False
        self._nodes: Nodes | None = None  # as it knew them
        self._client: Client | None = None
        self._worked = time.monotonic()  # when there was a worker, or no need for one
        self._counter = itertools.count(1)
        self._avoided: dict[int, str] = {}  # where an exposure met trouble that was not its own: better elsewhere
        self._completed: SimpleQueue[tuple[int, Future] | None] = SimpleQueue()

    def start(self) -> None:
        """Start the cluster if there is none, or if it was lost while nothing was out."""
        if self._client is not None and not self.flights and not self.isAlive():
            self.drop()
        if self._client is None:
            cluster = self._cluster if self._cluster is not None and not self.own else self._open()
            self._client = cluster.connect()

    def _open(self) -> Supply:
        self._cluster = self._construct()
        self._cluster.onWorker, self._cluster.proven = self.wakeUp, self._proven
        if self._nodes is not None:
            self._cluster.nodes = self._nodes
        self._resting = False
        return self._cluster

    def prepare(self, wanted: bool) -> bool:
        """Whether exposures can be handed out, or would have workers started; `wanted`: there are some to hand out.

        Workers that are not this run's own are looked for from the first call on, and while it does not rest. It never
        waits for them.

        Raises:
            ConfigurationFailure: there can be none, as things are.
        """
        if self.own:
            return True
        if self._cluster is None and self._resting and not wanted:
            return False
        return (self._cluster or self._open()).isReady()

    def drop(self) -> None:
        """Be rid of a connection that is lost: its cluster is ended too if it is this run's own."""
        if self.own:
            self.close()
        else:
            self._client = None  # the cluster looks for a new one by itself

    def countWorkers(self) -> int:
        """Workers that are there now."""
        return len(self._cluster.listWorkers()) if self._cluster is not None and self.isAlive() else 0

    def isAlive(self) -> bool:
        """Whether the cluster is up and the connection to it stands."""
        if self._client is None or self._cluster is None:
            return False
        return self._client.status == "running" and self._cluster.isUp()

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
        assert self._cluster is not None
        key = f"{self._prefix}-{image_id}-{attempt}-{next(self._counter)}-{self._word}"
        avoided = self._avoided.pop(image_id, None)
        others = [address for address in self._cluster.listWorkers() if address != avoided] if avoided else []
        call = runTask, calc, params, journal, self._demand.needed, reads
        future = self._cluster.submit(self._client, key, reads, others, *call)
        self.flights[image_id] = Flight(future, key, time.monotonic())
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
        busy = self._cluster.countBusy() if self._cluster is not None and self.isAlive() else 0
        rest = {"resting": True} if self._resting else {}
        return {"planned": self.planned, "in_sight": self.countWorkers(), "busy": busy, **rest, **facts}

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
        if not late or self._client is None or self._cluster is None:
            return []
        holders = self._cluster.findHolders([self.flights[image_id].key for image_id in late])
        for image_id in late:
            self._release(self.flights.pop(image_id), cancel=True)
        if holders:
            self._cluster.restartWorkers(self._client, sorted(set(holders.values())))
        return late

    def _isWaiting(self, flight: Flight) -> bool:
        """Whether no worker has an exposure yet."""
        return self._cluster is not None and self.isAlive() and self._cluster.isWaiting(flight.key)

    def recall(self) -> list[int]:
        """Take back what no worker has begun, and have none begin anything more; returns its ids. For the end of a run.

        What a worker has that does not answer counts as begun.
        """
        if not self.flights or self._client is None or self._cluster is None or not self.isAlive():
            return []
        begun = self._cluster.holdBack(self._client)
        holders = self._cluster.findHolders([flight.key for flight in self.flights.values()])
        back = [
            image_id
            for image_id, flight in self.flights.items()
            if flight.future.status == "pending" and not _isBegun(flight.key, holders, begun)
        ]
        for image_id in back:
            self._release(self.flights.pop(image_id), cancel=True)
        return back

    def abandon(self) -> list[int]:
        """Forget everything that is out; returns its ids."""
        ids = list(self.flights)
        for image_id in ids:
            self._release(self.flights.pop(image_id), cancel=False)
        return ids

    def close(self, at_once: bool = False) -> None:
        """End the workers and, with them, whatever they run; `at_once`: kill them. A new :meth:`start` is possible."""
        client, self._client = self._client, None
        cluster, self._cluster = self._cluster, None
        self.abandon()
        if cluster is not None:
            cluster.end(client, at_once)
            self._news += cluster.takeNews()
            self._nodes, self._proven = cluster.nodes, cluster.proven

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


def _isBegun(key: str, holders: dict[str, str], begun: dict[str, list[str]]) -> bool:
    """Whether a task is being computed, by which worker it was given to and what each worker says it has begun."""
    return key in holders and key in begun.get(holders[key], [key])
