"""Workers that are pods: a DaskCluster of this run alone, its scheduler used like one elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from pathlib import Path
from typing import Any

from distributed import Client, Security

from appion.base.config import setting
from appion.base.failures import InfrastructureFailure
from appion.base.workers.elsewhere.look import Look
from appion.base.workers.elsewhere.scheduler import FAREWELL, Elsewhere
from appion.base.workers.kubernetes.access import readAccess
from appion.base.workers.kubernetes.api import Api, KubernetesError
from appion.base.workers.kubernetes.estate import Estate
from appion.base.workers.kubernetes.keeper import INTERVAL, Keeper
from appion.base.workers.kubernetes.options import KUBERNETES, checkMounted
from appion.base.workers.scaling import Demand

logger = logging.getLogger(__name__)


class KubeCluster(Elsewhere):
    """The pods of a run. They are looked after in a thread of its own, from the first question on.

    Raises:
        ConfigurationFailure: it is not known where Kubernetes is, or pods cannot see the run folder.
    """

    def __init__(self, rundir: Path, gpus: tuple[int, ...], look: Look):
        super().__init__(KUBERNETES, look)
        checkMounted(str(rundir), "the run folder")
        for folder in look.folders:
            checkMounted(folder, "the folder")
        access = readAccess(setting("kubernetes.context"))
        api = Api(access, setting("kubernetes.namespace") or access.namespace)
        self.keeper = Keeper(
            Estate(api, rundir, int(setting("jobs.gpus")) if gpus else 0), lambda: self.roll, self._retire, self._refuse
        )
        self._rounds = threading.Thread(target=self._keep, name="appion-kubernetes", daemon=True)

    # -- what the daemon's thread calls ----------------------------------------------------------------------------

    def isReady(self) -> bool:
        if self._rounds.ident is None:
            self._rounds.start()
        return super().isReady()

    def tell(self, demand: Demand) -> None:
        super().tell(demand)
        self.keeper.demand = demand

    def takeNews(self) -> list[dict[str, Any]]:
        return super().takeNews() + [self.keeper.news.popleft() for _ in range(len(self.keeper.news))]

    def describe(self) -> dict[str, Any]:
        snapshot = self.keeper.snapshot
        trouble = [*snapshot.get("trouble", []), *super().describe()["trouble"]]
        return {**snapshot, "planned": self.keeper.replicas, "trouble": trouble}

    def isIdle(self) -> bool:
        return self.keeper.isIdle()

    def findPlace(self, name: Any) -> tuple[str, str]:
        return self.keeper.places.get(str(name), ("", ""))

    def restartWorkers(self, client: Client, addresses: list[str]) -> None:  # noqa: ARG002
        """End the pods of workers that do not come back; Kubernetes makes others."""
        self.keeper.doomed |= {self.roll.names[address] for address in addresses if address in self.roll.names}

    def end(self, client: Client | None, at_once: bool) -> None:
        """Remove all pods, with what they run."""
        super().end(client, at_once)
        if self._rounds.ident is not None:
            self._rounds.join(FAREWELL)
        try:
            self.keeper.estate.close(quiet=not self._rounds.is_alive())
        except (KubernetesError, OSError) as error:
            logger.warning("pods could not be removed, it is tried again after the end: %s", error)

    # -- what its own threads do -----------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._ending.is_set():
            self.keeper.round()
            self._ending.wait(INTERVAL)

    def _visit(self) -> None:
        """As for any scheduler, once its pod runs: that it is not there before is no trouble."""
        if self._client is not None or (self.keeper.isSchedulerReady() and self.keeper.estate.findAddress()):
            super()._visit()

    def _findScheduler(self) -> tuple[str, Security | None]:
        address = self.keeper.estate.findAddress()
        if not address:
            raise InfrastructureFailure("it is not known where the scheduler is")
        return address, self.keeper.estate.security

    def _retire(self, names: list[str]) -> None:
        """Have Dask give nothing more to workers that are about to be removed, and take what they have elsewhere."""
        addresses = [address for address, name in self.roll.names.items() if name in names]
        with contextlib.suppress(Exception, asyncio.CancelledError):
            self._ask(lambda client: client.retire_workers(workers=addresses, close_workers=True, asynchronous=True))

    def _callForWorkers(self) -> None:
        """The keeper does."""

    def _describeEmpty(self) -> list[str]:
        """The keeper says why there is no worker."""
        return []
