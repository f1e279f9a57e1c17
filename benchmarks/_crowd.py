"""Many Dask workers in few processes: to the scheduler each is one of its own, and programs that sleep need no more.

A worker process takes two seconds of processor time to start, which two processors cannot give to 64 of them at once.
"""

from __future__ import annotations

import os
from typing import Any

from distributed import Nanny

from appion.base.workers.cluster import DASK_SETTINGS, LocalCluster
from appion.base.workers.doors import PROTOCOL, ClosedScheduler, ClosedWorker, constructDashboard, constructSecurity

NUMBER = "BENCHMARK_WORKERS"
_others: list[ClosedWorker] = []


def constructCrowd(workers: int, processes: int) -> LocalCluster:
    """A cluster of so many workers with one thread each in so many processes."""
    share, rest = divmod(workers, processes)
    security = constructSecurity()
    common = {"host": "127.0.0.1", "protocol": PROTOCOL, "security": security}
    options = {**common, "nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": 50,
               "worker_class": ClosedWorker, "config": DASK_SETTINGS, "preload": [__name__]}  # fmt: skip
    scheduler = {"cls": ClosedScheduler, "options": {**common, **constructDashboard(None)}}
    specs = {
        index: {"cls": Nanny, "options": {**options, "env": {NUMBER: str(share + (index < rest))}}}
        for index in range(processes)
    }
    return LocalCluster(scheduler=scheduler, workers=specs, security=security, name="crowd")


async def dask_setup(worker: Any) -> None:
    """Called by Dask in a new worker process: start the others."""
    for _ in range(int(os.environ[NUMBER]) - 1):
        other = ClosedWorker(
            worker.scheduler.address, nthreads=1, host="127.0.0.1", memory_limit=0, dashboard=False,
            protocol=PROTOCOL, security=worker.security,
        )  # fmt: skip
        _others.append(await other)
