"""Where the workers come from: processes on this machine, jobs of a job scheduler, or a Dask that is there already."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.config
from distributed import Nanny, SpecCluster
from distributed.deploy.cluster import Cluster

from appion.base.calc.plain import PlainFormatter
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.store.logfile import LastingHandler
from appion.base.workers.doors import (
    PROTOCOL,
    ClosedScheduler,
    ClosedWorker,
    chooseFolder,
    constructDashboard,
    constructSecurity,
)
from appion.base.workers.elsewhere.address import checkElsewhere, isElsewhere
from appion.base.workers.elsewhere.look import Look
from appion.base.workers.elsewhere.scheduler import Elsewhere
from appion.base.workers.inprocess import InProcess
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.kubernetes.options import KUBERNETES, checkKubernetes
from appion.base.workers.scaling import Demand
from appion.base.workers.stage import constructStager
from appion.base.workers.starting import constructStartFailure, ensureFiles

if TYPE_CHECKING:
    from appion.base.workers.jobs.cluster import JobCluster

logger = logging.getLogger(__name__)

CLUSTERS = ("local", *ADAPTERS, KUBERNETES)

#: Dask must not try again by itself: a task that lost its worker comes back and the loop decides.
DASK_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.work-stealing": True,
    "distributed.worker.daemon": False,
    "distributed.admin.tick.limit": "60s",
    # What a worker has to say comes back with its task.
    "distributed.nanny.pre-spawn-environ": {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"},
}


#: What Dask watches over for people who look at its web page costs more than all else while nothing is to be done.
#: These are defaults of ours in place of Dask's: what a site sets counts.
QUIET_DEFAULTS = {
    "admin": {"tick": {"interval": "500ms"}, "system-monitor": {"interval": "5s"}},
    "client": {"scheduler-info-interval": "30s"},
    "scheduler": {"active-memory-manager": {"start": False}},
    "worker": {"profile": {"enabled": False}},
}
dask.config.update_defaults({"distributed": QUIET_DEFAULTS})


def constructCluster(
    gpus: tuple[int, ...] = (), workers: int | None = None, rundir: Path | None = None, look: Look | None = None
) -> LocalCluster | JobCluster | Elsewhere:
    """Start the workers that `appion.cluster` asks for; closing the cluster ends them.

    Args:
        gpus: ids of the GPUs to use, one worker each; empty if the program needs none. Which ones does not matter to
            job schedulers, which hand out their own.
        workers: number of workers on this machine without GPUs; None: as `appion.workers` says.
        rundir: the run folder, which jobs write their logs to.
        look: what workers must see that others have started.

    Raises:
        ConfigurationFailure: an unknown kind of cluster, or a setting with which it cannot be started.
        InfrastructureFailure: it cannot be started now.
    """
    kind = checkCluster()
    if isElsewhere(kind) and look is not None:
        ensureFiles(1)
        return Elsewhere(kind, look)
    if kind == KUBERNETES and look is not None:
        from appion.base.workers.kubernetes.cluster import KubeCluster  # here: others need none of it

        ensureFiles(1)
        return KubeCluster((rundir or Path.cwd()).absolute(), gpus, look)
    number = calcWorkers(gpus, workers) if kind == "local" else int(setting("jobs.maximum"))
    ensureFiles(number)
    try:
        with dask.config.set(DASK_SETTINGS):
            if kind == "local":
                return constructLocalCluster(gpus, number)
            from appion.base.workers.jobs.cluster import JobCluster  # here: dask-jobqueue takes a while to import

            return JobCluster((rundir or Path.cwd()).absolute(), gpus, ADAPTERS[kind])
    except Failure:
        raise
    except Exception as error:
        raise constructStartFailure(error) from error


def checkCluster(gpus: tuple[int, ...] = (), timeout: float | None = None) -> str:
    """The kind of cluster that is asked for.

    Args:
        gpus: empty if the program needs none.
        timeout: seconds after which a program is given up; None: never.

    Raises:
        ConfigurationFailure: the kind is unknown, or its settings do not fit.
    """
    kind = setting("cluster")
    if isElsewhere(kind):
        checkElsewhere(kind)
        return kind
    if kind == KUBERNETES:
        checkKubernetes()
        return kind
    if kind not in CLUSTERS:
        remedy = f"one of: {', '.join(CLUSTERS)}; or the address of a Dask scheduler, tls://HOST:PORT"
        raise ConfigurationFailure(f"setting appion.cluster is {kind!r}", remedy)
    constructStager()
    if kind in ADAPTERS:
        from appion.base.workers.jobs.script import checkJobs

        checkJobs(gpus, timeout, ADAPTERS[kind])
    return kind


def isRemote(kind: str) -> bool:
    """Whether the scheduler of a value of `appion.cluster` is a process of somebody else."""
    return kind == KUBERNETES or isElsewhere(kind)


def calcWorkers(gpus: tuple[int, ...] = (), workers: int | None = None) -> int:
    """How many workers there will be: one for each GPU, else `workers`, else the setting, else half the processors.

    With any other scheduler there is none at first; room for one is what makes the first submission possible.

    Raises:
        ConfigurationFailure: a GPU twice, or no worker at all.
    """
    if len(set(gpus)) < len(gpus):
        raise ConfigurationFailure(f"a GPU is named twice: {', '.join(map(str, gpus))}", "name each once")
    if setting("cluster") in ADAPTERS or isRemote(setting("cluster")):
        return 1
    if gpus:
        return len(gpus)
    number = setting("workers") if workers is None else workers
    if number is None:
        return max(1, countProcessors() // 2)
    if number < 1 or number != int(number):
        raise ConfigurationFailure(f"{number} workers", "ask for one or more (appion.workers)")
    return int(number)


def countProcessors() -> int:
    """Processors this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


#: Seconds that a worker of this machine may be away before its nanny is replaced.
PATIENCE = 60.0


class LocalCluster(InProcess, SpecCluster):
    """Processes on this machine; their number does not change: a nanny restarts its worker, and is itself replaced."""

    fixed = True

    def __init__(self, **options: Any):
        self._missing: dict[Any, float] = {}  # when a worker was first found to be away
        super().__init__(**options)

    def tell(self, demand: Demand) -> None:  # noqa: ARG002
        """Replace nannies that did not bring back their worker, whatever there is to do."""
        now = time.monotonic()
        there = {worker.name for worker in list(self.scheduler.workers.values())}
        self._missing = {name: self._missing.get(name, now) for name in self.worker_spec if name not in there}
        late = [name for name, since in self._missing.items() if now - since > PATIENCE]
        if late:
            self._missing.clear()
            self.loop.add_callback(self._replaceNannies, late)  # type: ignore[union-attr]

    async def _replaceNannies(self, names: Sequence[Any]) -> None:
        logger.warning("no sign of %d workers for %g s; starting them anew", len(names), PATIENCE)
        for nanny in [self.workers.pop(name) for name in names if name in self.workers]:
            with contextlib.suppress(Exception):  # it may be half dead
                await nanny.close(timeout=5)
        await self._correct_state()

    def describe(self) -> dict[str, Any]:
        return {"planned": len(self.worker_spec)}

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """The book-keeping alone; Dask would close the nanny of a worker that is not there 15 s after it was lost.

        That takes long on a busy machine, and hits also one that was back in between and has just died again.
        """
        Cluster._update_worker_status(self, op, msg)
        if op == "add":
            self.onWorker()


def constructLocalCluster(gpus: tuple[int, ...], workers: int) -> LocalCluster:
    """Worker processes on this machine with one thread each, restarted when they die and gone when this process is.

    A worker finds its GPU in APPION_GPU, its name in APPION_WORKER and its share of processors in OMP_NUM_THREADS.
    """
    threads = setting("threads") or max(1, countProcessors() // workers)
    security = constructSecurity()
    common = {
        "host": "127.0.0.1",
        "protocol": PROTOCOL,
        "security": security,
        "worker_class": ClosedWorker,
        "local_directory": chooseFolder(),
        "nthreads": 1,
        "memory_limit": 0,  # the programs' memory is not the workers' to watch
        "dashboard": False,
        "silence_logs": logging.CRITICAL,
        "config": DASK_SETTINGS,
        "preload": ["appion.base.workers.shield"],
    }

    def constructSpec(name: int) -> dict[str, Any]:
        env = {"APPION_WORKER": f"worker{name}", "OMP_NUM_THREADS": str(int(threads))}
        if gpus:
            env["APPION_GPU"] = str(gpus[name])
        return {"cls": Nanny, "options": {**common, "env": env}}

    options = {"host": "127.0.0.1", "protocol": PROTOCOL, "security": security}
    return LocalCluster(
        scheduler={"cls": ClosedScheduler, "options": options | constructDashboard(setting("dashboard"))},
        workers={name: constructSpec(name) for name in range(workers)},
        security=security,
        name="appion",
    )


@contextlib.contextmanager
def redirectDaskLogs(folder: Path) -> Iterator[None]:
    """Have what Dask says in this process written to ``<folder>/dask.log`` instead of the terminal."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = LastingHandler(folder / "dask.log", late=True)
    handler.setFormatter(PlainFormatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado", "bokeh")]
    loggers += [logging.getLogger("tornado.application"), logging.getLogger("distributed.gc")]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers[:], logger.propagate = [handler], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers[:], logger.propagate = handlers, propagate
        handler.close()
