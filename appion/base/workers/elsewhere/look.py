"""What runs on a worker that somebody else has started: whether it sees what it must, and exposures one at a time."""

from __future__ import annotations

import asyncio
import glob
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distributed.core import Status

from appion.base.calc.place import findNode
from appion.base.failures import Failure
from appion.base.records.belonging import Belonging
from appion.base.records.runfolder import journalPath
from appion.base.records.stamp import readVersion
from appion.base.store.scratch import cleanDead
from appion.base.workers.jobs import jobworker
from appion.base.workers.onworker import listBegun
from appion.base.workers.task import Outcome

#: Seconds for a worker to look; a file system that does not answer by then is trouble.
PATIENCE = 30.0

#: Dask's name of what an exposure takes up: a worker has one of it, however many threads it has.
EXPOSURE = "appion"

#: Daemons that want nothing more to be begun, by their badges.
_withheld: set[str] = set()


@dataclass(frozen=True)
class Look:
    """What a worker has to see to be of use.

    Attributes:
        belonging: the run folder, and by what it is known.
        folders: others that it reads. scratch: those that scratch folders are in, which are cleaned of what processes
            that are no more left there.
        program: path of the program; empty: none is run.
        gpu: whether that needs a GPU.
        version: of this package.
    """

    belonging: Belonging
    folders: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    program: str = ""
    gpu: bool = False
    version: str = field(default_factory=lambda: readVersion())


class Parcel:
    """A call that is made where it is unpacked, so that a scheduler without this package can pass it on as bytes."""

    def __init__(self, badge: str, function: Callable[..., Any], arguments: tuple[Any, ...]):
        self.contents = badge, function, arguments

    def __reduce__(self) -> Any:
        return openParcel, self.contents


def openParcel(badge: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Make the call, unless its daemon wants nothing more to be begun."""
    if badge in _withheld:
        return Outcome(host=findNode(), refused="the run was stopping")
    return function(*arguments)


async def enrol(look: Look, badge: str, dask_worker: Any) -> tuple[str, tuple[str, ...]]:
    """Look around on a worker and, if it is fit, give it the badge that the exposures of a daemon ask for.

    Returns:
        The name of its host, and what is wrong with it.
    """
    try:
        troubles = await asyncio.wait_for(asyncio.to_thread(findTroubles, look), PATIENCE)
    except TimeoutError:
        troubles = (f"a file system, or a GPU, does not answer for {PATIENCE:g} s",)
    if troubles:
        await dask_worker.set_resources(**{badge: 0})
        return findNode(), troubles
    os.environ["APPION_JOB"] = dask_worker.address  # who works in a scratch folder
    own = dask_worker.state.total_resources.get(EXPOSURE) or 1
    await dask_worker.set_resources(**{EXPOSURE: own, badge: own})
    if dask_worker.status == Status.running:  # one that goes on is given what waits; a new resource is not enough
        dask_worker.status = Status.paused
        dask_worker.status = Status.running
    return findNode(), ()


async def retire(badge: str, dask_worker: Any) -> None:
    """Take the badge away again."""
    _withheld.discard(badge)
    await dask_worker.set_resources(**{badge: 0})


def withhold(badge: str, dask_worker: Any) -> list[str]:
    """Begin nothing more for a daemon; returns the keys of all tasks that were begun."""
    _withheld.add(badge)
    return listBegun(dask_worker)


def findTroubles(look: Look) -> tuple[str, ...]:
    """What keeps this process from computing exposures of a run; nothing if it is fit."""
    if readVersion() != look.version:
        return (f"it has appion {readVersion()}, and the daemon has {look.version}",)
    troubles = [*_findRunTroubles(look.belonging)]
    for folder in look.folders:
        try:
            os.scandir(folder).close()
        except OSError as error:
            troubles.append(f"it cannot see the folder {folder}: {error.strerror}")
    if look.program and not os.access(look.program, os.X_OK):
        why = "may not be run" if os.path.exists(look.program) else "is not there"
        troubles.append(f"the program {look.program} {why}")
    if not troubles and look.gpu and (trouble := findGPU()):
        troubles.append(trouble)
    if not troubles:
        for root in look.scratch:
            cleanDead(root)
    return tuple(troubles)


def _findRunTroubles(belonging: Belonging) -> tuple[str, ...]:
    try:
        belonging.check()
    except Failure as failure:
        return (failure.reason,)
    for folder in (belonging.rundir, os.path.dirname(journalPath(belonging.rundir, 1))):
        if not os.access(folder, os.W_OK | os.X_OK):
            return (f"it may not write into {folder} as user {os.getuid()}",)
    return ()


def findGPU() -> str:
    """Choose a GPU for this process, for as long as it lives, and note it in APPION_GPU; returns why there is none.

    The first of those that the process may see by CUDA_VISIBLE_DEVICES; where that is not set, the first whose device
    no other worker of appion has.
    """
    if os.environ.get("APPION_GPU"):
        return ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        number = jobworker.lockGPU()
        if number is None:
            return f"no GPU is free: {len(glob.glob(jobworker.DEVICES))} are there, all taken by workers of appion"
        os.environ["CUDA_DEVICE_ORDER"], os.environ["CUDA_VISIBLE_DEVICES"] = "PCI_BUS_ID", str(number)
    elif visible in ("", "NoDevFiles", "-1"):
        return f"it may use no GPU: CUDA_VISIBLE_DEVICES is {visible!r}"
    os.environ["APPION_GPU"] = "0"
    return ""
