"""What the steward looks after, as it sees it: the cluster, its nodes, and what can be done with its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from appion.base.workers.jobs.adapter import Adapter, Listed
from appion.base.workers.jobs.job import WorkerJob
from appion.base.workers.nodes import Nodes

#: What is said of the log of a job that wrote none.
NO_LOG = "it left no log"


class Estate(Protocol):
    """The steward's side of a :class:`appion.base.workers.jobs.cluster.JobCluster`.

    Attributes:
        adapter: of their scheduler. nodes: which of them are sick.
        workers: the jobs on the books, by the names of their workers.
    """

    adapter: Adapter
    nodes: Nodes
    workers: dict[str, WorkerJob]

    def findWorkers(self) -> dict[str, Any]: ...
    async def listJobs(self) -> dict[str, Listed]: ...
    async def submitJobs(self, number: int, excluded: Sequence[str]) -> list[WorkerJob]: ...
    async def retireWorkers(self, names: Sequence[str]) -> list[str]: ...
    async def cancelJobs(self, numbers: Iterable[str]) -> None: ...
    def forget(self, name: str) -> WorkerJob: ...
    def readLog(self, job: WorkerJob) -> str: ...
