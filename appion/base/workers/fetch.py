"""The outcomes of futures: results and, of workers that were lost, failures that are nobody's image's fault."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

from distributed import Client, Future, KilledWorker

from appion.base.failures import InfrastructureFailure
from appion.base.workers.supply import Supply
from appion.base.workers.task import Outcome

#: Seconds within which the result of a finished task must have come over.
FETCH_TIMEOUT = 60.0

#: Why exposures come back from a scheduler that others run.
LOST = "the scheduler was lost, or its worker is not fit any more"


def fetchAll(client: Client | None, cluster: Supply | None, futures: list[Future]) -> list[Outcome]:
    """The outcomes of finished futures, in order: in one round trip where nothing went wrong, else one by one."""

    async def gather(well: list[Future]) -> list[Outcome]:
        assert client is not None
        return await asyncio.wait_for(client.gather(well, asynchronous=True), FETCH_TIMEOUT)

    if cluster is not None and not cluster.own:
        lost = {future.key for future in futures if future.status in ("cancelled", "lost")}
        if lost:
            rest = iter(fetchAll(client, cluster, [future for future in futures if future.key not in lost]))
            return [Outcome(refused=LOST) if future.key in lost else next(rest) for future in futures]
    well = [future for future in futures if future.status == "finished"]
    fetched: dict[Any, Outcome] = {}
    if client is not None and len(well) > 1:
        with contextlib.suppress(Exception, asyncio.CancelledError):
            outcomes = client.sync(gather, well)
            fetched = {future.key: outcome for future, outcome in zip(well, outcomes, strict=True)}
    for future in well:
        if future.key in fetched:
            future.release()
    return [fetched[future.key] if future.key in fetched else _fetch(future, cluster) for future in futures]


def _fetch(future: Future, cluster: Supply | None) -> Outcome:
    """The outcome of a finished future. Whatever goes wrong between here and the worker is nobody's image's fault."""
    try:
        return future.result(timeout=FETCH_TIMEOUT)
    except KilledWorker as error:
        host, worker = _findPlace(error.last_worker, cluster)
        failure = InfrastructureFailure("the worker died while it had this exposure", host=host)
        return Outcome(failure=failure, host=host, worker=worker)
    except Exception as error:
        reason = f"lost on the way from the worker: {type(error).__name__}: {error}".splitlines()[0]
        return Outcome(failure=InfrastructureFailure(reason))
    except BaseException as error:  # CancelledError of a lost scheduler is no Exception
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return Outcome(failure=InfrastructureFailure(f"cancelled: {type(error).__name__}"))
    finally:
        with contextlib.suppress(Exception):
            future.release()


def _findPlace(dead: Any, cluster: Supply | None) -> tuple[str, str]:
    """Node and job of a worker that died; where the cluster does not know them, its host and address."""
    node, job = cluster.findPlace(getattr(dead, "name", "")) if cluster is not None else ("", "")
    address = getattr(dead, "address", "")
    host = address.rpartition("/")[2].rpartition(":")[0]
    return node or (os.uname().nodename if host == "127.0.0.1" else host), job or address
