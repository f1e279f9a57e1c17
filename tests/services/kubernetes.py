"""A stand-in for Kubernetes with Dask's operator: a few calls of its API, and pods that are processes of this host.

What is created must fit the published schemas. What pods suffer is set by the test: see `suffer` and `evict`.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.base.workers.kubernetes.schemas import validate
from tests.services.daskscheduler import ROOT, endGroup

NAMESPACE, TOKEN = "lab", "token-that-nobody-is-shown"
TLS = "/etc/appion/tls"
PATH = re.compile(
    r"/(?:api|apis/[a-z0-9.]+)/v1/(?:namespaces/(?P<namespace>[^/]+)/)?(?P<kind>\w+)(?:/(?P<name>[^/]+))?"
)
KINDS = {"DaskCluster": "daskclusters", "Secret": "secrets", "Pod": "pods", "Event": "events", "Service": "services",
         "Deployment": "deployments"}  # fmt: skip


class Refused(Exception):
    """Kubernetes says no: status and message."""


class Kubernetes:
    """The cluster.

    Attributes:
        things: all there is, by kind and name.
        suffering: status of pods of a part (scheduler, worker) that do not come up; none of their processes runs.
        refusals: what is answered instead, by method and kind, as status and message.
        calls: method and kind of every call.
        operated: whether Dask's operator runs.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.things: dict[tuple[str, str], dict[str, Any]] = {}
        self.suffering: dict[str, dict[str, Any]] = {}
        self.refusals: dict[tuple[str, str], tuple[int, str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.operated = True
        self.processes: dict[str, subprocess.Popen] = {}
        self.replicas: list[int] = []
        self._ids = itertools.count(1)
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), constructHandler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump({
            "current-context": "lab",
            "contexts": [{"name": "lab", "context": {"cluster": "here", "user": "me", "namespace": NAMESPACE}}],
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}"}}],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
        }))  # fmt: skip

    def constructSettings(self, folder: Path) -> dict[str, Any]:
        """The settings of a site whose pods see a folder of this host."""
        return {
            "appion.cluster": "kubernetes",
            "appion.kubernetes.image": "registry.lab/appion:1",
            "appion.kubernetes.volumes": [{"name": "data", "hostPath": {"path": str(folder)}}],
            "appion.kubernetes.mounts": [{"name": "data", "mountPath": str(folder)}],
            "appion.kubernetes.service": "LoadBalancer",
            "appion.kubernetes.port": self.port,
            "appion.jobs.poll": 0.5,
            "appion.elsewhere.poll": 0.5,
        }

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for kind, name in list(self.things):
                if kind == "daskclusters":
                    self.delete(kind, name)

    # -- what a test does ------------------------------------------------------------------------------------------

    def list(self, kind: str, part: str = "") -> list[dict[str, Any]]:
        with self._lock:
            found = [thing for (one, _), thing in self.things.items() if one == kind]
        return [thing for thing in found if not part or thing["metadata"]["labels"]["dask.org/component"] == part]

    def names(self, kind: str, part: str = "") -> list[str]:
        return [thing["metadata"]["name"] for thing in self.list(kind, part)]

    def evict(self, name: str, message: str) -> None:
        """End a pod as a node does that is short of something; another one takes its place."""
        self._fail(name, {"phase": "Failed", "reason": "Evicted", "message": message})

    def warn(self, about: str, reason: str, message: str) -> None:
        with self._lock:
            name = f"{about}.{next(self._ids)}"
            self.things["events", name] = {
                "metadata": {"name": name, "labels": {}}, "type": "Warning", "reason": reason, "message": message,
                "involvedObject": {"name": about}, "lastTimestamp": f"2026-11-27T00:00:{len(self.things):02}Z",
            }  # fmt: skip

    def heal(self, *but: str) -> None:
        """Pods that suffer come up, except those of some parts."""
        with self._lock:
            self.suffering = {part: status for part, status in self.suffering.items() if part in but}
            for pod in self.list("pods"):
                suffers = pod["metadata"]["labels"]["dask.org/component"] in but or pod["status"]["phase"] == "Failed"
                if not suffers and pod["metadata"]["name"] not in self.processes:
                    self._run(pod)

    # -- what the API does -----------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: Any) -> dict[str, Any]:
        parts = urlsplit(path)
        match = PATH.fullmatch(parts.path)
        assert match, path
        kind, name = match["kind"], match["name"] or ""
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self._lock:
            self.calls.append((method, kind))
            if (method, kind) in self.refusals:
                raise Refused(*self.refusals[method, kind])
            if kind == "selfsubjectaccessreviews":
                validate(body)
                asked = body["spec"]["resourceAttributes"]
                return {"status": {"allowed": ("MAY", f"{asked['verb']} {asked['resource']}") not in self.refusals}}
            assert match["namespace"] == NAMESPACE
            if method == "POST":
                return self.create(kind, body)
            if method == "GET" and not name:
                return {"items": [thing for thing in self.list(kind) if isChosen(thing, query)]}
            if (kind, name) not in self.things:
                raise Refused(404, f'{kind} "{name}" not found')
            if method == "PATCH":
                return self.patch(kind, name, body)
            return self.delete(kind, name) if method == "DELETE" else self.things[kind, name]

    def create(self, kind: str, thing: dict[str, Any]) -> dict[str, Any]:
        name = thing["metadata"]["name"]
        if (kind, name) in self.things:
            raise Refused(409, f'{kind} "{name}" already exists')
        validate(thing)
        assert KINDS[thing["kind"]] == kind
        thing["metadata"]["uid"] = f"uid-{next(self._ids)}"
        self.things[kind, name] = thing
        if kind == "secrets":
            self.heal(*self.suffering)
        if kind == "daskclusters" and self.operated:
            spec = thing["spec"]["scheduler"]
            self._own(thing, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{name}-scheduler"},
                              "spec": spec["service"]})  # fmt: skip
            ingress = [{"ip": "127.0.0.1"}]
            self.things["services", f"{name}-scheduler"]["status"] = {"loadBalancer": {"ingress": ingress}}
            self._deploy(thing, f"{name}-scheduler", "scheduler", spec["spec"])
            self._scale(thing)
        return thing

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> dict[str, Any]:
        thing = self.things[kind, name]
        merge(thing, change)
        validate({key: value for key, value in thing.items() if key != "status"})
        if kind == "daskclusters":
            self._scale(thing)
        return thing

    def delete(self, kind: str, name: str) -> dict[str, Any]:
        thing = self.things.pop((kind, name))
        if kind == "pods":
            self._end(name)
            self._replace(thing)
        for other, owned in [(key, owned["metadata"].get("ownerReferences", [])) for key, owned in self.things.items()]:
            if other in self.things and any(owner["uid"] == thing["metadata"]["uid"] for owner in owned):
                self.delete(*other)
        return {"status": "Success"}

    # -- what Dask's operator and the nodes do ---------------------------------------------------------------------

    def _own(self, owner: dict[str, Any], thing: dict[str, Any]) -> None:
        thing["metadata"]["ownerReferences"] = [{"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
                                                 "kind": owner["kind"], "apiVersion": owner["apiVersion"]}]  # fmt: skip
        thing["metadata"].setdefault("labels", {})
        thing["metadata"]["uid"] = f"uid-{next(self._ids)}"
        self.things[KINDS[thing["kind"]], thing["metadata"]["name"]] = thing

    def _scale(self, cluster: dict[str, Any]) -> None:
        """More workers, if there are too few. It never has to choose who goes: it could not ask Dask."""
        name, worker = cluster["metadata"]["name"], cluster["spec"]["worker"]
        there = len(self.list("deployments", "worker"))
        self.replicas.append(worker["replicas"])
        assert there <= worker["replicas"], "Dask's operator would have to choose a worker"
        for _ in range(worker["replicas"] - there):
            self._deploy(cluster, f"{name}-default-worker-{next(self._ids):010x}", "worker", worker["spec"])

    def _deploy(self, cluster: dict[str, Any], name: str, part: str, spec: dict[str, Any]) -> None:
        spec = json.loads(json.dumps(spec))
        if part == "worker":
            spec["containers"][0]["env"].append({"name": "DASK_WORKER_NAME", "value": name})
        labels = {**cluster["metadata"]["labels"], "dask.org/cluster-name": cluster["metadata"]["name"],
                  "dask.org/component": part}  # fmt: skip
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
                      "template": spec}  # fmt: skip
        self._own(cluster, deployment)
        self._replace({"metadata": {"ownerReferences": [{"uid": deployment["metadata"]["uid"]}]}})

    def _replace(self, gone: dict[str, Any]) -> None:
        """Another pod of the Deployment that a pod was of, if that is still there."""
        (owner,) = gone["metadata"]["ownerReferences"]
        for deployment in self.list("deployments"):
            if deployment["metadata"]["uid"] == owner["uid"]:
                name = f"{deployment['metadata']['name']}-{next(self._ids):05x}"
                pod = {"apiVersion": "v1", "kind": "Pod", "spec": json.loads(json.dumps(deployment["template"])),
                       "metadata": {"name": name, "labels": deployment["metadata"]["labels"]}}  # fmt: skip
                validate(pod)
                self._own(deployment, pod)
                part = deployment["metadata"]["labels"]["dask.org/component"]
                if part in self.suffering:
                    pod["status"] = json.loads(json.dumps(self.suffering[part]))
                else:
                    self._run(pod)

    def _run(self, pod: dict[str, Any]) -> None:
        """Start the process of a pod, and have it started again when it ends."""
        name = pod["metadata"]["name"]
        pod["spec"]["nodeName"] = "node1"
        pod["status"] = constructStatus("Pending", {"waiting": {"reason": "ContainerCreating"}})
        if ("secrets", nameSecret(pod)) not in self.things:
            return
        pod["status"] = constructStatus("Running", {"running": {}}, ready=True)
        self.processes[name] = self._start(pod)
        threading.Thread(target=self._follow, args=(pod, self.processes[name]), daemon=True).start()

    def _follow(self, pod: dict[str, Any], process: subprocess.Popen) -> None:
        code = process.wait()
        name = pod["metadata"]["name"]
        with self._lock:
            if self.processes.get(name) is not process:
                return
            (container,) = pod["status"]["containerStatuses"]
            reason = "OOMKilled" if code == -9 else "Error" if code else "Completed"
            container["lastState"] = {"terminated": {"reason": reason, "exitCode": code if code >= 0 else 128 - code}}
            container["restartCount"] += 1
            self.processes[name] = process = self._start(pod)
        self._follow(pod, process)

    def _fail(self, name: str, status: dict[str, Any]) -> None:
        with self._lock:
            self._end(name)
            self.things["pods", name]["status"] = status
            self._replace(self.things["pods", name])

    def _end(self, name: str) -> None:
        if process := self.processes.pop(name, None):
            endGroup(process)

    def _start(self, pod: dict[str, Any]) -> subprocess.Popen:
        """What a container runs: its files and addresses are elsewhere here."""
        (container,) = pod["spec"]["containers"]
        secret = nameSecret(pod)
        folder = self.folder / secret
        folder.mkdir(exist_ok=True)
        for file, data in self.things["secrets", secret]["data"].items():
            (folder / file).write_bytes(base64.b64decode(data))
        env = {entry["name"]: re.sub(r"[\w-]+-scheduler\.\w+\.svc", "127.0.0.1", entry["value"])
               for entry in container["env"]}  # fmt: skip
        words = [re.sub(r"\$\((\w+)\)", lambda match: env[match[1]], word) for word in container["args"]]
        assert words[0] == "dask"
        command = [sys.executable, "-m", f"distributed.cli.dask_{words[1]}", *words[2:]]
        rest = {name: value for name, value in os.environ.items() if not name.startswith(("DASK_", "KUBE"))}
        with open(self.folder / f"{pod['metadata']['name']}.log", "ab") as log:
            return subprocess.Popen(
                [re.sub(rf"^/tmp$|{TLS}", str(folder), word) for word in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd=self.folder, env=rest | {"PYTHONPATH": str(ROOT)} | env,
            )  # fmt: skip


def constructStatus(phase: str, state: dict[str, Any], ready: bool = False) -> dict[str, Any]:
    """The status of a pod that has a node; `state`: of its container."""
    container = {"name": "one", "ready": ready, "restartCount": 0, "state": state, "lastState": {}}
    return {"phase": phase, "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [container]}  # fmt: skip


def constructUnschedulable(message: str) -> dict[str, Any]:
    """The status of a pod that has none."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def nameSecret(pod: dict[str, Any]) -> str:
    """The Secret that a pod waits for."""
    return next(one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one)


def isChosen(thing: dict[str, Any], query: dict[str, str]) -> bool:
    """Whether a thing is what a label selector or field selector finds."""
    if selector := query.get("labelSelector"):
        key, value = selector.split("=")
        return thing["metadata"].get("labels", {}).get(key) == value
    assert query in ({}, {"fieldSelector": "type=Warning"}, {"limit": "1"})
    return True


def merge(thing: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            merge(thing.setdefault(key, {}), value)
        else:
            thing[key] = value


def constructHandler(service: Kubernetes) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handleCall(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    raise Refused(401, "Unauthorized")
                if self.command == "PATCH":
                    assert self.headers["Content-Type"] == "application/merge-patch+json"
                status, said = 200, service.answer(self.command, self.path, json.loads(body) if body else None)
            except Refused as refused:
                status, said = refused.args[0], {"kind": "Status", "message": refused.args[1]}
            except Exception as error:
                status, said = 422, {"kind": "Status", "message": f"{type(error).__name__}: {error}"[:500]}
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = handleCall

        def log_message(self, *_arguments: Any) -> None:
            """Nothing is printed."""

    return Handler
