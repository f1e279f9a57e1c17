"""The DaskCluster of a daemon: made, looked at, scaled and removed. Each call raises KubernetesError or OSError."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import Any

from distributed import Security

from appion.base.config import setting
from appion.base.workers.doors import constructSecurity
from appion.base.workers.kubernetes import leftover
from appion.base.workers.kubernetes.api import Api, KubernetesError
from appion.base.workers.kubernetes.manifest import (
    NAME_LABEL,
    RUN_LABEL,
    calcRunLabel,
    constructCluster,
    constructInnerAddress,
    constructName,
    constructSecret,
    findPort,
    nameService,
)
from appion.base.workers.kubernetes.options import CLUSTERIP, NODEPORT
from appion.base.workers.kubernetes.pods import Pod, readPod, readWarning
from appion.base.workers.warden import Warden


class Estate:
    """What is in Kubernetes.

    Args:
        gpus: how many a worker asks for.

    Attributes:
        name: of the DaskCluster; empty while there is none.
        tried: names of all that this daemon had made, or tried to.
        security: what the daemon shows its scheduler.
    """

    def __init__(self, api: Api, rundir: Path, gpus: int):
        self.api, self._gpus, self.label = api, gpus, calcRunLabel(rundir)
        self.name = ""
        self.tried: set[str] = set()
        self.security: Security | None = None
        self._warden: Warden | None = None
        self._address = ""

    def make(self, replicas: int) -> None:
        """Make a DaskCluster of a new name with so many workers, and its Secret, which the pods wait for."""
        if self._warden is None:
            self._warden = Warden(leftover.__name__, setting("kubernetes.context") or "", self.api.namespace)
        name = constructName(self.label, uuid.uuid4().hex)
        self._warden.note(name)
        self.tried.add(name)
        self.security = constructSecurity()
        made = self.api.create("daskclusters", constructCluster(
            name, self.api.namespace, self.label, self._gpus, replicas, self._findOwners()
        ))  # fmt: skip
        owner = {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": name, "uid": made["metadata"]["uid"]}
        secret = constructSecret(name, self.api.namespace, self.label, self.security, [owner])
        try:
            self.api.create("secrets", secret)
        except (KubernetesError, OSError):
            with contextlib.suppress(KubernetesError, OSError):  # else the warden does, or the next try
                self.api.delete("daskclusters", name)
            raise
        self.name, self._address = name, ""

    def _findOwners(self) -> list[dict[str, Any]]:
        """The pod that this is, if it is one of this namespace: what belongs to it is removed with it."""
        if self.api.access.pod and self.api.access.namespace == self.api.namespace:
            with contextlib.suppress(KubernetesError):  # it may not look
                uid = self.api.get("pods", self.api.access.pod)["metadata"]["uid"]
                return [{"apiVersion": "v1", "kind": "Pod", "name": self.api.access.pod, "uid": uid}]
        return []

    def removeStrangers(self) -> list[str]:
        """Remove what an earlier daemon or try of this run left; returns the names of the clusters."""
        found = self.api.list("daskclusters", labelSelector=f"{RUN_LABEL}={self.label}")
        strangers = sorted({item["metadata"]["name"] for item in found} - {self.name})
        for name in strangers:
            self.api.delete("daskclusters", name)
        return strangers

    def isThere(self) -> bool:
        """Whether nobody has removed the DaskCluster."""
        try:
            return not self.api.get("daskclusters", self.name)["metadata"].get("deletionTimestamp")
        except KubernetesError as error:
            if error.status == 404:
                return False
            raise

    def forget(self) -> None:
        """There is no cluster any more."""
        self.name = self._address = ""

    def listPods(self) -> list[Pod]:
        return [readPod(raw) for raw in self.api.list("pods", labelSelector=f"{NAME_LABEL}={self.name}")]

    def readWarning(self) -> tuple[str, bool]:
        """The last warning about what belongs to the cluster, see :func:`pods.readWarning`."""
        return readWarning(self.api.list("events", fieldSelector="type=Warning"), self.name)

    def scale(self, replicas: int) -> None:
        """Have so many workers."""
        self.api.patch("daskclusters", self.name, {"spec": {"worker": {"replicas": replicas}}})

    def removeWorker(self, worker: str) -> None:
        """Remove the Deployment of a worker. Dask's operator would choose another, not knowing which are idle."""
        self.api.delete("deployments", worker)

    def restartPod(self, name: str) -> None:
        """End a pod; Kubernetes makes another one."""
        self.api.delete("pods", name)

    def findAddress(self) -> str:
        """Where this daemon reaches the scheduler; empty if it cannot be told yet."""
        if not self._address and self.name:
            self._address = self._askAddress()
        return self._address

    def _askAddress(self) -> str:
        kind, host, port = setting("kubernetes.service"), setting("kubernetes.address"), findPort()
        if kind == CLUSTERIP:
            return f"tls://{host}:{port}" if host else constructInnerAddress(self.name, self.api.namespace)
        service = self.api.get("services", nameService(self.name))
        if kind == NODEPORT:
            port = next((entry["nodePort"] for entry in service["spec"]["ports"] if "nodePort" in entry), 0)
        elif not host:
            ingress = (service.get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
            host = ingress[0].get("ip") or ingress[0].get("hostname")
        return f"tls://{f'[{host}]' if ':' in host else host}:{port}" if host and port else ""

    def close(self, quiet: bool) -> None:
        """Remove everything; what cannot be removed now is left to the warden, once this process has ended.

        Args:
            quiet: whether nobody else is in the middle of something here.
        """
        removed = False
        try:
            if self.name:
                self.api.delete("daskclusters", self.name)
            removed = quiet
        finally:
            self.name = ""
            if self._warden is not None and removed:
                self._warden.dismiss()
            elif self._warden is not None:
                self._warden.stay()
            self._warden = None
