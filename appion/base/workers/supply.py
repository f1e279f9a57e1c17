"""What a cluster offers the pool beyond Dask: scaling, news of jobs, sick nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appion.base.workers.nodes import Nodes
from appion.base.workers.scaling import Demand


class Supply:
    """What a cluster offers beyond Dask; by default nothing. Called from the daemon's own thread."""

    #: Whether the workers that there are at the start are there for good, so that having none means that it is broken.
    fixed = False
    #: Which nodes are sick. Whoever starts a cluster anew hands on what the one before knew.
    nodes = Nodes(0, 0.0)
    #: To be called when a worker has come.
    onWorker: Callable[[], None] = staticmethod(lambda: None)

    def tell(self, demand: Demand) -> None:
        """Take in how much there is to do."""

    def noteOutcome(self, node: str, trouble: str) -> None:
        """Something came back from a worker on `node`; `trouble`: what failed that is not the image's fault."""

    def takeNews(self) -> list[dict[str, Any]]:
        """Events since the last call."""
        return []

    def describe(self) -> dict[str, Any]:
        """For the status: number of workers `planned`, and what else is worth knowing."""
        return {}

    def isIdle(self) -> bool:
        """Whether nothing is lost if it is closed while there is nothing to do."""
        return True

    def findPlace(self, name: Any) -> tuple[str, str]:  # noqa: ARG002
        """Node and job of the worker that Dask calls `name`, also after its death; empty where not known."""
        return "", ""

    def findLiveJobs(self) -> set[str] | None:
        """Numbers of the jobs that may still run; None: not known, or there are none such."""
        return None
