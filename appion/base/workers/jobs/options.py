"""The settings below `jobqueue`: dask-jobqueue's own, which it believes whatever they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import dask.config
from dask.utils import parse_bytes

from appion.base.config import checkKeys
from appion.base.failures import ConfigurationFailure
from appion.base.workers.jobs.adapter import Adapter
from appion.base.workers.jobs.adapters import SLURM

logger = logging.getLogger(__name__)

#: What used to be the name of a setting. dask-jobqueue forgets the old one where the new one is given, as it is here.
RENAMED = {"extra": "worker-extra-args", "env-extra": "job-script-prologue", "job-extra": "job-extra-directives",
           "header-skip": "job-directives-skip"}  # fmt: skip

LISTS = ("worker-extra-args", "job-script-prologue", "job-extra-directives", "job-directives-skip",
         "submit-command-extra", "cancel-command-extra")  # fmt: skip


def readJobqueue(name: str = SLURM.name) -> dict[str, Any]:
    """The settings of ``jobqueue.<name>`` as dask-jobqueue and the site's files give them."""
    import dask_jobqueue  # noqa: F401 (registers its defaults; only here, as other clusters do not need it)

    tree = dask.config.get(f"jobqueue.{name}")
    return {str(key).replace("_", "-"): value for key, value in tree.items()}


def checkOptions(options: Mapping[str, Any], adapter: Adapter = SLURM) -> None:
    """Check the settings of ``jobqueue.<name>``.

    Raises:
        ConfigurationFailure: a key is not known, or a value is missing or cannot be.
    """
    section = f"jobqueue.{adapter.name}"
    checkKeys(section, [*listDefaults(adapter.name), *RENAMED])
    for old, new in RENAMED.items():
        if options.get(old):
            raise ConfigurationFailure(f"{section}.{old} has no effect", f"it is called {new} now")
    for key in LISTS:
        checkList(section, key, options.get(key), adapter)
    if not isinstance(options.get("scheduler-options") or {}, Mapping):
        value = options["scheduler-options"]
        raise ConfigurationFailure(f"{section}.scheduler-options is {value!r}", "write settings below it")
    for key in ("job-cpu", "cores", "ncpus"):
        value = options.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigurationFailure(f"{section}.{key} is {value!r}", "write a number of processors")
    if options.get("processes") not in (None, 1):
        logger.warning("%s.processes is %s, but a job has one worker", section, options["processes"])
    checkMemory(options, adapter)
    checkInterface(options, section)


def checkList(section: str, key: str, value: Any, adapter: Adapter) -> None:
    """Raise ConfigurationFailure if a setting is no list of texts, or of HTCondor's no settings by name."""
    if adapter.pairs and key == "job-extra-directives":
        if not isinstance(value or {}, Mapping):
            raise ConfigurationFailure(f"{section}.{key} is {value!r}", "write settings below it: accounting_group: em")
    elif not isinstance(value or [], (list, tuple)) or not all(isinstance(one, str) for one in value or []):
        raise ConfigurationFailure(f"{section}.{key} is {value!r}", f"write a list of texts: ['{adapter.example}']")


def listDefaults(name: str) -> list[str]:
    """The keys that dask-jobqueue itself ships."""
    trees = (tree["jobqueue"][name] for tree in dask.config.defaults if name in tree.get("jobqueue", {}))
    return sorted({str(key) for tree in trees for key in tree})


def checkMemory(options: Mapping[str, Any], adapter: Adapter) -> None:
    """Raise ConfigurationFailure if it is not said how much memory a job may use, or not so that it is understood."""
    memory, section = options.get("memory"), f"jobqueue.{adapter.name}"
    if not memory:
        if adapter.memory and not any(options.get(key) for key in ("job-mem", "mem", "resource-spec")):
            raise ConfigurationFailure(f"{section}.memory is not set", "say how much a job may use, e.g. 32GB")
        return
    try:
        parse_bytes(memory)
    except (ValueError, TypeError):
        raise ConfigurationFailure(f"{section}.memory is {memory!r}", "write for example 32GB") from None


def checkInterface(options: Mapping[str, Any], section: str) -> None:
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
            f"{section}.{key} is {name!r}, which {os.uname().nodename} cannot be reached at: {error}",
            "name one that the nodes can reach; if it has another name on the nodes, give this host's as "
            f"{section}.scheduler-options.interface",
        ) from None
