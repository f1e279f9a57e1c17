"""What the pool asks of a cluster, wherever its scheduler is: its workers, its tasks, news of jobs, sick nodes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from distributed import Client, Future

from appion.base.workers.nodes import Nodes
from appion.base.workers.scaling import Demand

logger = logging.getLogger(__name__)

#: Seconds for all workers to answer a question.
ANSWER_TIMEOUT = 10.0


class Supply:
    """Where workers come from. Called from the daemon's own thread; nothing here waits for more than a few seconds.

    What every kind has to say of its own raises NotImplementedError; what it may offer beyond that is nothing here.
    """

    # -- what every kind has to say --------------------------------------------------------------------------------

    def connect(self) -> Client:
        """Return a connection to the scheduler. Raises InfrastructureFailure: there is none now."""
        raise NotImplementedError

    def isUp(self) -> bool:
        """Whether the scheduler is there, as far as is known."""
        raise NotImplementedError

    def listWorkers(self) -> list[str]:
        """Return the addresses of the workers that exposures can be handed to."""
        raise NotImplementedError

    def countBusy(self) -> int:
        """Return how many of them have something to do."""
        raise NotImplementedError

    def isWaiting(self, key: str) -> bool:
        """Whether the scheduler has a task for which there is no worker yet."""
        raise NotImplementedError

    def findHolders(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the address of the worker that each of these tasks was given to, where it was given to one."""
        raise NotImplementedError

    def submit(
        self, client: Client, key: str, reads: str, others: list[str], function: Callable[..., Any], *arguments: Any
    ) -> Future:
        """Hand a call to the workers, under a `key` of its own; `others`: the workers that are better for it."""
        raise NotImplementedError

    def holdBack(self, client: Client) -> dict[str, list[str]]:
        """Have all workers begin nothing more; return, of those that answer, which tasks each has begun."""
        raise NotImplementedError

    def restartWorkers(self, client: Client, addresses: list[str]) -> None:
        """End workers that do not come back from what they do, if others take their places."""

    def end(self, client: Client | None, at_once: bool) -> None:
        """Close the connection and what belongs to it; `at_once`: without waiting for what runs."""
        raise NotImplementedError

    # -- what it may offer -----------------------------------------------------------------------------------------

    #: Whether the workers are of this run alone, which starts and ends them.
    own = True
    #: Whether there were ever workers that could be used. It is handed on, too.
    proven = False
    #: Whether the workers that there are at the start are there for good, so that having none means that it is broken.
    fixed = False
    #: Which nodes are sick. Whoever starts a cluster anew hands on what the one before knew.
    nodes = Nodes(0, 0.0)
    #: To be called when a worker has come.
    onWorker: Callable[[], None] = staticmethod(lambda: None)

    def isReady(self) -> bool:
        """Whether something can be handed out, now or as soon as there are workers, which it then brings about.

        Raises:
            ConfigurationFailure: it never can.
        """
        return True

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


def askWorkers(client: Client, question: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Have all workers call a function beside their tasks; returns, by address, what those said that answer in time."""

    async def ask() -> dict[str, Any]:
        answers = client.run(question, *arguments, on_error="ignore", asynchronous=True)
        return await asyncio.wait_for(answers, ANSWER_TIMEOUT)

    try:
        return client.sync(ask)
    except (Exception, asyncio.CancelledError) as error:
        logger.debug("workers do not answer: %r", error)
        return {}
