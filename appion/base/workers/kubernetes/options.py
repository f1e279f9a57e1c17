"""What can be wrong with the settings of `appion.kubernetes` before anybody is asked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure

KUBERNETES = "kubernetes"

CLUSTERIP, NODEPORT, LOADBALANCER = SERVICES = ("ClusterIP", "NodePort", "LoadBalancer")

#: The port of the scheduler, and those that Kubernetes has for NodePort.
PORT, NODE_PORTS = 8786, (30000, 32767)

#: Fields of a worker's pod that come from other settings.
OWN_FIELDS = {
    "containers": "image", "volumes": "volumes", "nodeSelector": "node_selector", "tolerations": "tolerations",
    "serviceAccountName": "service_account", "imagePullSecrets": "pull_secrets",
}  # fmt: skip


def checkKubernetes() -> None:
    """Raise ConfigurationFailure if a setting of `appion.kubernetes` does not fit."""
    if not setting("kubernetes.image"):
        raise _refuse("image", "name an image that has appion, Dask and the program")
    if setting("stage") != "none":
        raise ConfigurationFailure(f"setting appion.stage is {setting('stage')!r}", "with kubernetes write none")
    if int(setting("jobs.minimum")) > int(setting("jobs.maximum")):
        raise ConfigurationFailure(
            f"setting appion.jobs.minimum is {setting('jobs.minimum')}", "write no more than appion.jobs.maximum"
        )
    _checkService()
    _checkVolumes()
    if clash := OWN_FIELDS.keys() & setting("kubernetes.pod").keys():
        field = sorted(clash)[0]
        raise ConfigurationFailure(f"setting appion.kubernetes.pod has {field}", f"set kubernetes.{OWN_FIELDS[field]}")
    for name, value in setting("kubernetes.env").items():
        if not re.fullmatch(r"[A-Za-z_]\w*", str(name)) or isinstance(value, bool) or not isinstance(
            value, (str, int, float)
        ):
            raise ConfigurationFailure(
                f"setting appion.kubernetes.env has {name}: {value!r}", "write NAME: value, with quotes if need be"
            )


def checkMounted(folder: str, what: str) -> None:
    """Raise ConfigurationFailure if no volume is mounted that a folder can be in."""
    places = [str(mount["mountPath"]) for mount in setting("kubernetes.mounts")]
    if not any(os.path.commonpath([os.path.normpath(place), folder]) == os.path.normpath(place) for place in places):
        told = ", ".join(places) or "nothing"
        raise ConfigurationFailure(
            f"pods cannot see {what} {folder}: what is mounted is {told}",
            "add its volume to appion.kubernetes.volumes and mounts, under the path that it has here",
        )


def _checkService() -> None:
    kind, port = setting("kubernetes.service"), setting("kubernetes.port")
    if kind not in SERVICES:
        raise _refuse("service", f"one of: {', '.join(SERVICES)}")
    if kind == NODEPORT and not setting("kubernetes.address"):
        raise _refuse("address", "with service: NodePort name a node that this host reaches")
    if port is not None:
        low, high = NODE_PORTS if kind == NODEPORT else (1, 65535)
        if port != int(port) or not low <= port <= high:
            raise _refuse("port", f"write a whole number from {low} to {high}, or null")


def _checkVolumes() -> None:
    """Every mount is of a volume, and each volume is used; what Kubernetes thinks of the rest it says itself."""
    volumes, mounts = setting("kubernetes.volumes"), setting("kubernetes.mounts")
    for key, entries, needed in (("volumes", volumes, ("name",)), ("mounts", mounts, ("name", "mountPath"))):
        for entry in entries:
            if not isinstance(entry, Mapping) or not all(isinstance(entry.get(field), str) for field in needed):
                raise ConfigurationFailure(
                    f"setting appion.kubernetes.{key} has {entry!r}", f"write {{{', '.join(needed)}, …}}"
                )
    _checkKnown("mounts", [mount["name"] for mount in mounts], "volumes", [volume["name"] for volume in volumes])
    _checkKnown("volumes", [volume["name"] for volume in volumes], "mounts", [mount["name"] for mount in mounts])
    for mount in mounts:
        if not os.path.isabs(mount["mountPath"]):
            raise ConfigurationFailure(
                f"setting appion.kubernetes.mounts has mountPath {mount['mountPath']!r}", "write the whole path"
            )


def _checkKnown(key: str, names: Iterable[str], other: str, known: Iterable[str]) -> None:
    if missing := sorted(set(names) - set(known)):
        raise ConfigurationFailure(
            f"setting appion.kubernetes.{key} has {missing[0]!r}, which appion.kubernetes.{other} has not",
            "a volume and its mounts have the same name",
        )


def _refuse(key: str, remedy: str) -> ConfigurationFailure:
    value: Any = setting(f"kubernetes.{key}")
    return ConfigurationFailure(f"setting appion.kubernetes.{key} is {value!r}", remedy)
