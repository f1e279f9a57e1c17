"""What the steward looks after, as it sees it: the cluster, its nodes, and what can be done with its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from appion.base.workers.nodes import Nodes
from appion.base.workers.slurm.job import SlurmJob
from appion.base.workers.slurm.reconcile import Listed


class Estate(Protocol):
    """The steward's side of a :class:`appion.base.workers.slurm.cluster.SlurmCluster`.

    Attributes:
        nodes: which of them are sick. workers: the jobs on the books, by the names of their workers.
    """

    nodes: Nodes
    workers: dict[str, SlurmJob]

    def findWorkers(self) -> dict[str, Any]: ...
    async def listJobs(self) -> dict[str, Listed]: ...
    async def submitJobs(self, number: int, excluded: Sequence[str]) -> list[SlurmJob]: ...
    async def retireWorkers(self, names: Sequence[str]) -> list[str]: ...
    async def cancelJobs(self, numbers: Iterable[str]) -> None: ...
    def forget(self, name: str) -> SlurmJob: ...
    def readLog(self, job: SlurmJob) -> str: ...
