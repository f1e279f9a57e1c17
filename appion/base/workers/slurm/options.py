"""The settings of `jobqueue.slurm`: dask-jobqueue's own, which it believes whatever they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import dask.config
from dask.utils import parse_bytes

from appion.base.config import checkKeys
from appion.base.failures import ConfigurationFailure

logger = logging.getLogger(__name__)

#: What used to be the name of a setting. dask-jobqueue forgets the old one where the new one is given, as it is here.
RENAMED = {"extra": "worker-extra-args", "env-extra": "job-script-prologue", "job-extra": "job-extra-directives",
           "header-skip": "job-directives-skip"}  # fmt: skip

LISTS = ("worker-extra-args", "job-script-prologue", "job-extra-directives", "job-directives-skip")


def readJobqueue() -> dict[str, Any]:
    """The settings of `jobqueue.slurm` as dask-jobqueue and the site's files give them."""
    import dask_jobqueue  # noqa: F401 (registers its defaults; only here, as other clusters do not need it)

    tree = dask.config.get("jobqueue.slurm")
    return {str(key).replace("_", "-"): value for key, value in tree.items()}


def checkOptions(options: Mapping[str, Any]) -> None:
    """Check the settings of `jobqueue.slurm`.

    Raises:
        ConfigurationFailure: a key is not known, or a value is missing or cannot be.
    """
    checkKeys("jobqueue.slurm", [*listDefaults(), *RENAMED])
    for old, new in RENAMED.items():
        if options.get(old):
            raise ConfigurationFailure(f"jobqueue.slurm.{old} has no effect", f"it is called {new} now")
    for key in LISTS:
        value = options.get(key) or []
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            raise ConfigurationFailure(f"jobqueue.slurm.{key} is {value!r}", "write a list of texts: ['--qos=live']")
    if not isinstance(options.get("scheduler-options") or {}, Mapping):
        value = options["scheduler-options"]
        raise ConfigurationFailure(f"jobqueue.slurm.scheduler-options is {value!r}", "write settings below it")
    for key in ("job-cpu", "cores"):
        value = options.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigurationFailure(f"jobqueue.slurm.{key} is {value!r}", "write a number of processors")
    if options.get("processes") not in (None, 1):
        logger.warning("jobqueue.slurm.processes is %s, but a job has one worker", options["processes"])
    checkMemory(options)
    checkInterface(options)


def listDefaults() -> list[str]:
    """The keys that dask-jobqueue itself ships."""
    trees = (tree["jobqueue"]["slurm"] for tree in dask.config.defaults if "slurm" in tree.get("jobqueue", {}))
    return sorted({str(key) for tree in trees for key in tree})


def checkMemory(options: Mapping[str, Any]) -> None:
    """Raise ConfigurationFailure if it is not said how much memory a job may use, or not so that it is understood."""
    memory = options.get("memory")
    if not memory:
        if not options.get("job-mem"):
            raise ConfigurationFailure("jobqueue.slurm.memory is not set", "say how much a job may use, e.g. 32GB")
        return
    try:
        parse_bytes(memory)
    except (ValueError, TypeError):
        raise ConfigurationFailure(f"jobqueue.slurm.memory is {memory!r}", "write for example 32GB") from None


def checkInterface(options: Mapping[str, Any]) -> None:
    """Raise ConfigurationFailure if this host has not the network interface at which the workers are to find it."""
    scheduler = options.get("scheduler-options") or {}
    if scheduler.get("host") and not scheduler.get("interface"):
        return
    key, name = ("scheduler-options.interface", scheduler["interface"]) if scheduler.get("interface") else (
        "interface", options.get("interface"))  # fmt: skip
    if not name:
        return
    from distributed.utils import get_ip_interface  # takes a while to import

    try:
        get_ip_interface(str(name))
    except ValueError as error:
        raise ConfigurationFailure(
            f"jobqueue.slurm.{key} is {name!r}, which {os.uname().nodename} cannot be reached at: {error}",
            "name one that the nodes can reach; if it has another name on the nodes, give this host's as "
            "jobqueue.slurm.scheduler-options.interface",
        ) from None
