"""What is made in Kubernetes: a Secret with the certificates, and a DaskCluster that Dask's operator makes pods of.

The fields are those of `kubernetes.dask.org/v1`, https://kubernetes.dask.org/en/latest/operator_resources.html.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from distributed import Security

from appion.base.config import setting
from appion.base.workers.jobs.adapter import findUser
from appion.base.workers.kubernetes.options import NODEPORT, PORT

#: What the pods of Dask's operator are labelled with, and what is ours.
NAME_LABEL, PART_LABEL, RUN_LABEL = "dask.org/cluster-name", "dask.org/component", "appion/run"

#: Where the certificates are in a pod, and the longest name of a DaskCluster.
TLS, LONGEST = "/etc/appion/tls", 53

#: Seconds that a worker waits for a scheduler, whose image may be on its way, and that a pod has for its end.
DEATH, GRACE = 300, 10


def calcRunLabel(rundir: Path) -> str:
    """What everything of a run folder is labelled with: a mark of its path and this user."""
    return hashlib.sha256(f"{findUser()} {rundir}".encode()).hexdigest()[:16]


def constructName(label: str, word: str) -> str:
    """The name of the DaskCluster, and of its Secret, of one start of a daemon; `word`: what tells it from others."""
    return f"appion-{label[:8]}-{word[:8].lower()}"[:LONGEST]


#: What takes a thing along when it is removed, as Kubernetes has it.
Owners = list[dict[str, Any]]


def constructMetadata(name: str, namespace: str, label: str, owners: Owners) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "appion", RUN_LABEL: label}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return metadata | ({"ownerReferences": owners} if owners else {})


def constructSecret(name: str, namespace: str, label: str, security: Security, owners: Owners) -> dict[str, Any]:
    """Key and certificate of all that belongs to one cluster."""
    files = security.get_tls_config_for_role("worker")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": constructMetadata(name, namespace, label, owners),
        "type": "kubernetes.io/tls",
        "data": {
            field: base64.b64encode(readPem(files[what]).encode()).decode()
            for field, what in (("tls.crt", "cert"), ("tls.key", "key"), ("ca.crt", "ca_file"))
        },
    }


def readPem(text: str) -> str:
    """What a site's file holds, or the text itself if it is none. Raises OSError: the file cannot be read."""
    return text if "\n" in text else Path(text).read_text()


def constructCluster(
    name: str, namespace: str, label: str, gpus: int, replicas: int, owners: Owners
) -> dict[str, Any]:
    """The DaskCluster, with so many workers that ask for so many GPUs each."""
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": constructMetadata(name, namespace, label, owners),
        "spec": {
            "idleTimeout": 0,
            "scheduler": {"spec": _constructSchedulerPod(name), "service": constructService(name)},
            "worker": {"replicas": replicas, "spec": _constructWorkerPod(name, namespace, gpus)},
        },
    }


def constructService(name: str) -> dict[str, Any]:
    """How the scheduler is reached."""
    kind, port = setting("kubernetes.service"), setting("kubernetes.port")
    entry = {"name": "tcp-comm", "protocol": "TCP", "port": findPort(), "targetPort": "tcp-comm"}
    if kind == NODEPORT and port is not None:
        entry["nodePort"] = int(port)
    return {"type": kind, "selector": {NAME_LABEL: name, PART_LABEL: "scheduler"}, "ports": [entry]}


def findPort() -> int:
    """The port at which the scheduler listens in its pod, and at which its Service does."""
    port = setting("kubernetes.port")
    return PORT if port is None or setting("kubernetes.service") == NODEPORT else int(port)


def nameService(name: str) -> str:
    """What Dask's operator calls the Service of a cluster's scheduler."""
    return f"{name}-scheduler"


def constructInnerAddress(name: str, namespace: str) -> str:
    """The address of the scheduler for pods."""
    return f"tls://{nameService(name)}.{namespace}.svc:{findPort()}"


def _constructSchedulerPod(name: str) -> dict[str, Any]:
    port = findPort()
    container = {
        "name": "scheduler",
        "image": setting("kubernetes.image"),
        "args": ["dask", "scheduler", "--protocol", "tls", "--port", str(port), "--no-dashboard", *_constructTLS()],
        "ports": [{"name": "tcp-comm", "containerPort": port, "protocol": "TCP"}],
        # a task that lost its worker comes back, and the daemon decides
        "env": _constructEnv({"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}),
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}},
        "volumeMounts": [{"name": "appion-tls", "mountPath": TLS, "readOnly": True}],
    }
    return _constructPod(name, container, [])


def _constructWorkerPod(name: str, namespace: str, gpus: int) -> dict[str, Any]:
    cpu, limits = setting("kubernetes.cpu"), {key: str(value) for key, value in setting("kubernetes.limits").items()}
    if gpus:
        limits[setting("kubernetes.gpu_resource")] = str(gpus)
    container = {
        "name": "worker",
        "image": setting("kubernetes.image"),
        "args": ["dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--protocol", "tls", "--nthreads", "1",
                 "--memory-limit", "0", "--no-nanny", "--no-dashboard", "--death-timeout", str(DEATH),
                 "--local-directory", "/tmp", "--preload", "appion.base.workers.jobs.jobworker", *_constructTLS()],
        "env": _constructEnv({
            "OMP_NUM_THREADS": str(max(1, int(cpu))),
            **setting("kubernetes.env"),
            "DASK_SCHEDULER_ADDRESS": constructInnerAddress(name, namespace),
        }),
        "resources": {
            "requests": {"cpu": f"{cpu:g}", "memory": setting("kubernetes.memory")},
            **({"limits": limits} if limits else {}),
        },
        "volumeMounts": [
            {"name": "appion-tls", "mountPath": TLS, "readOnly": True}, *map(dict, setting("kubernetes.mounts"))
        ],
    }  # fmt: skip
    pod = _constructPod(name, container, list(map(dict, setting("kubernetes.volumes"))))
    if setting("kubernetes.node_selector"):
        pod["nodeSelector"] = {key: str(value) for key, value in setting("kubernetes.node_selector").items()}
    return pod | {"terminationGracePeriodSeconds": GRACE} | dict(setting("kubernetes.pod"))


def _constructPod(name: str, container: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    """What scheduler and workers have in common. They are given no token: they ask Kubernetes nothing."""
    tls = {"name": "appion-tls", "secret": {"secretName": name, "defaultMode": 0o444}}
    pod = {"containers": [container], "volumes": [tls, *volumes], "automountServiceAccountToken": False,
           "enableServiceLinks": False}  # fmt: skip
    if account := setting("kubernetes.service_account"):
        pod["serviceAccountName"] = account
    if names := setting("kubernetes.pull_secrets"):
        pod["imagePullSecrets"] = [{"name": str(one)} for one in names]
    if tolerations := setting("kubernetes.tolerations"):
        pod["tolerations"] = list(map(dict, tolerations))
    return pod


def _constructEnv(variables: dict[str, Any]) -> list[dict[str, str]]:
    encrypted = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    return [{"name": name, "value": str(value)} for name, value in (encrypted | variables).items()]


def _constructTLS() -> list[str]:
    return ["--tls-ca-file", f"{TLS}/ca.crt", "--tls-cert", f"{TLS}/tls.crt", "--tls-key", f"{TLS}/tls.key"]
