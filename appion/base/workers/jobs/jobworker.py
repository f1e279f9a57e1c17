"""Loaded by Dask into a worker that is a job: how long it has to live, which GPU is its own, how it ends.

A SIGTERM (cancelled, preempted, out of time) ends the worker at once: its program is killed with it, its GPU is free,
the exposure is computed elsewhere. Waiting for a thread that cannot be interrupted would only end in SIGKILL.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import signal
import time

from appion.base.records.process import closeToEverybody
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.onworker import findWorker, pauseWorker

#: Seconds after which a worker that has too little time left goes: its last answer is fetched by then.
FAREWELL = 2.0

#: A worker that is this young (share of its life) takes anything: nobody could have more time.
YOUNG = 0.1

#: The GPUs of a node: device files, which end with their number.
DEVICES = "/dev/nvidia[0-9]*"

#: When this worker started and when its job ends, by the monotonic clock; None: it is not a job, or has no limit.
life: tuple[float, float] | None = None


def dask_setup(_worker: object) -> None:
    """Called by Dask in the main thread of the worker process."""
    global life
    closeToEverybody()
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(128 + signal.SIGTERM))
    life = calcLife()
    if os.environ.get("CUDA_VISIBLE_DEVICES", "NoDevFiles") not in ("", "NoDevFiles"):
        os.environ["APPION_GPU"] = "0"  # of those this job may see, which count from 0
    elif "APPION_JOB_GPUS" in os.environ and "CUDA_VISIBLE_DEVICES" not in os.environ:
        claimGPU()
    if "OMP_NUM_THREADS" not in os.environ and "SLURM_CPUS_PER_TASK" in os.environ:
        os.environ["OMP_NUM_THREADS"] = os.environ["SLURM_CPUS_PER_TASK"]


def claimGPU() -> None:
    """Take a GPU of this node that no other worker of appion has. Ends the process if there is none.

    For schedulers that count GPUs but do not say which one a job has.
    """
    number = lockGPU()
    if number is None:
        there = len(glob.glob(DEVICES))
        print(f"no GPU of this node is free for this job: {there} there, all taken by jobs of appion; "
              "have the scheduler count them or set CUDA_VISIBLE_DEVICES", flush=True)  # fmt: skip
        os._exit(1)
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
    os.environ["APPION_GPU"] = "0"


def lockGPU() -> int | None:
    """Lock a GPU of this node that no other worker of appion has, until this process ends; returns its place.

    The lock is on the device itself, so that it is the same for everybody on the node and goes with the process. CUDA
    counts the devices that may be opened, which may be fewer than the node has.

    Returns:
        Its place among those that may be opened; None: none is free.
    """
    open_devices = []
    for path in sorted(glob.glob(DEVICES), key=lambda path: (len(path), path)):
        with contextlib.suppress(OSError):  # a site may let a process open only its own
            open_devices.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    taken = None
    for place, device in enumerate(open_devices):
        if taken is None:
            with contextlib.suppress(OSError):
                fcntl.flock(device, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken = place
                continue
        os.close(device)
    return taken


def calcLife() -> tuple[float, float] | None:
    """Start and end of this job by the monotonic clock, from what the scheduler or the script says; None: no limit."""
    now = time.monotonic()
    told = (os.environ.get(adapter.end) for adapter in ADAPTERS.values() if adapter.end)
    end = next(filter(None, told), None) or os.environ.get("APPION_JOB_END")  # older Slurm does not say
    return (now, now + float(end) - time.time()) if end else None


def hasTime(needed: float) -> bool:
    """Whether what needs so many seconds can be finished here; a young worker says yes, as no other could do better."""
    if life is None:
        return True
    start, end = life
    return end - time.monotonic() >= min(needed, (1 - YOUNG) * (end - start))


def retireSoon() -> None:
    """Take nothing more, and go once what was said last has been heard."""
    worker = findWorker()
    if worker is not None:
        worker.loop.add_callback(pauseWorker, worker)
        worker.loop.add_callback(worker.loop.call_later, FAREWELL, worker.close_gracefully)
