"""A scheduler in this process: what it knows is looked at where it lies, and its workers are started and ended here."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

import dask
from distributed import Client, Future
from distributed.core import Status

from appion.base.workers.onworker import holdBack
from appion.base.workers.stage import NOTE, constructStager
from appion.base.workers.supply import Supply, askWorkers

logger = logging.getLogger(__name__)


class InProcess(Supply):
    """For a cluster of Dask's, a subclass of this and of its own kind."""

    scheduler: Any
    workers: dict[Any, Any]

    def connect(self) -> Client:
        client = Client(self, set_as_default=False)
        if stager := constructStager():
            client.register_plugin(stager)
        return client

    def isUp(self) -> bool:
        return self.scheduler.status.name == "running"

    def listWorkers(self) -> list[str]:
        return list(self.scheduler.workers)

    def countBusy(self) -> int:
        return sum(bool(worker.processing) for worker in list(self.scheduler.workers.values()))

    def isWaiting(self, key: str) -> bool:
        task = self.scheduler.tasks.get(key)
        return task is not None and task.state in ("no-worker", "queued")

    def findHolders(self, keys: Iterable[str]) -> dict[str, str]:
        tasks = {key: self.scheduler.tasks.get(key) for key in keys}
        holders = {key: task.processing_on for key, task in tasks.items() if task is not None}
        return {key: worker.address for key, worker in holders.items() if worker is not None}

    def submit(
        self, client: Client, key: str, reads: str, others: list[str], function: Callable[..., Any], *arguments: Any
    ) -> Future:
        with dask.annotate(**{NOTE: reads}):
            return client.submit(
                function, *arguments, key=key, pure=False, retries=0,
                workers=others or None, allow_other_workers=bool(others),
            )  # fmt: skip

    def holdBack(self, client: Client) -> dict[str, list[str]]:
        return askWorkers(client, holdBack)

    def restartWorkers(self, client: Client, addresses: list[str]) -> None:
        with contextlib.suppress(Exception):  # the nanny starts another one
            client.run(os._exit, 1, workers=addresses, wait=False, on_error="ignore")

    def end(self, client: Client | None, at_once: bool) -> None:
        if self.scheduler.status.name in ("closing", "closed", "failed"):
            self.shutdown_scheduler = False  # it is gone; asking it to go would only wait
        if at_once:
            self._killWorkers()
        parts: tuple[Any, ...] = client, self
        for what in parts:
            if what is not None:
                try:
                    what.close(timeout=10)
                except Exception as error:  # it may be half dead already; there is nothing left to save in it
                    logger.debug("closing %s: %r", what, error)
                    if what is self:
                        self._killWorkers()
                        self.status = Status.closed

    def _killWorkers(self) -> None:
        """Kill the worker processes of this machine and have nobody restart them; jobs end with their cluster."""
        for nanny in list(self.workers.values()):
            nanny.auto_restart = False
            if pid := getattr(nanny, "pid", None):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
