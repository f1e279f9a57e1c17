"""Where Kubernetes is and who asks: a kubeconfig, or the service account of the pod that the daemon runs in.

Tokens and keys stay in here: no text of this module has one in it. Fields of a kubeconfig as in
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]

from appion.base.failures import ConfigurationFailure

#: What a pod finds of its service account.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

#: Seconds for a program that gets a token.
PATIENCE = 30.0

REMEDY = "set KUBECONFIG, or appion.kubernetes.context to one of its contexts; try: kubectl get daskclusters"


@dataclass(frozen=True)
class Access:
    """Where to ask, and as whom.

    Attributes:
        server: address of Kubernetes' API.
        namespace: the one of the context or pod.
        security: how its certificate is checked, and the daemon's own, if it has one; None: it is on this host.
        findToken: returns the token to show, empty if there is none.
        pod: name of the pod that this is, empty outside of Kubernetes.
        proxy: address of a proxy, empty if there is none.
    """

    server: str
    namespace: str = "default"
    security: ssl.SSLContext | None = field(default=None, repr=False)
    findToken: Callable[[], str] = field(default=lambda: "", repr=False)
    pod: str = ""
    proxy: str = ""


def readAccess(context: str | None = None) -> Access:
    """Where Kubernetes is: by the kubeconfig if there is one, else by what this pod finds.

    Raises:
        ConfigurationFailure: neither says it, or something is wrong in it.
    """
    given = os.environ.get("KUBECONFIG", "")
    paths = [Path(part) for part in given.split(os.pathsep) if part] or [Path.home() / ".kube" / "config"]
    if not given and not context and not paths[0].exists() and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _readAccount()
    if len(paths) > 1:
        raise ConfigurationFailure(f"KUBECONFIG names {len(paths)} files: {given}", "name one")
    path = paths[0]
    try:
        config = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigurationFailure(f"where Kubernetes is is not known: {path}: {error.strerror}", REMEDY) from error
    except (yaml.YAMLError, UnicodeDecodeError):  # its words stay untold: there may be a token among them
        raise ConfigurationFailure(f"the kubeconfig {path} is no YAML", REMEDY) from None
    try:
        return _readContext(path, config, context)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else type(error).__name__
        raise ConfigurationFailure(f"the kubeconfig {path} is not whole: {what}", REMEDY) from None
    except (OSError, ssl.SSLError) as error:
        told = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or type(error).__name__
        raise ConfigurationFailure(f"the kubeconfig {path} names what cannot be used: {told}", REMEDY) from None


def _readContext(path: Path, config: Mapping[str, Any], context: str | None) -> Access:
    name = context or config.get("current-context")
    if not name:
        raise ConfigurationFailure(f"the kubeconfig {path} has no current context", REMEDY)
    chosen = _find(path, config, "context", name)
    cluster = _find(path, config, "cluster", chosen["cluster"])
    user = _find(path, config, "user", chosen["user"]) if chosen.get("user") else {}
    server = str(cluster["server"]).rstrip("/")
    security = None
    if not checkServer(server):
        authority = "certificate-authority"
        security = ssl.create_default_context(
            cafile=_place(path, cluster.get(authority)), cadata=_decode(cluster, f"{authority}-data")
        )
        if cluster.get("insecure-skip-tls-verify"):
            raise ConfigurationFailure(
                f"the kubeconfig {path} has insecure-skip-tls-verify for {name}",
                f"give {authority}-data: whoever is between could take the token",
            )
        _loadCertificate(security, path, user)
    return Access(server, chosen.get("namespace") or "default", security, _constructToken(path, user),
                  proxy=cluster.get("proxy-url") or "")  # fmt: skip


def checkServer(server: str) -> bool:
    """Whether an address is without encryption, on this host. Raises ConfigurationFailure: it is elsewhere, or none."""
    parts = urlsplit(server)
    if parts.scheme == "https" and parts.hostname:
        return False
    if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"):
        return True
    raise ConfigurationFailure(f"the address of Kubernetes is {server!r}", "it must begin with https://")


def _find(path: Path, config: Mapping[str, Any], what: str, name: str) -> dict[str, Any]:
    """The entry of that name in one of the lists of a kubeconfig."""
    for entry in config.get(f"{what}s") or []:
        if entry["name"] == name:
            return entry[what]
    raise ConfigurationFailure(f"the kubeconfig {path} has no {what} {name!r}", REMEDY)


def _place(path: Path, name: str | None) -> str | None:
    """A file that a kubeconfig names: relative to it."""
    return None if not name else str(path.parent / name)


def _decode(entry: Mapping[str, Any], key: str) -> str | None:
    return base64.b64decode("".join(entry[key].split()), validate=True).decode() if entry.get(key) else None


def _loadCertificate(security: ssl.SSLContext, path: Path, user: Mapping[str, Any]) -> None:
    """Take in the certificate that the kubeconfig has for a user; ssl reads it from files only."""
    with tempfile.TemporaryDirectory() as folder:  # for this user alone
        names = []
        for what in ("client-certificate", "client-key"):
            name = _place(path, user.get(what))
            if text := _decode(user, f"{what}-data"):
                name = os.path.join(folder, what)
                Path(name).write_text(text)
            names.append(name)
        if names[0]:
            security.load_cert_chain(names[0], names[1])


def _constructToken(path: Path, user: Mapping[str, Any]) -> Callable[[], str]:
    """What returns the token: read or got anew each time it is asked for, as it may have changed."""
    if token := user.get("token"):
        return lambda: str(token)
    if file := _place(path, user.get("tokenFile")):
        return lambda: Path(file).read_text().strip()
    if plugin := user.get("exec"):
        command = [str(plugin["command"]), *map(str, plugin.get("args") or [])]
        extra = {str(entry["name"]): str(entry["value"]) for entry in plugin.get("env") or []}
        spec = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
        return lambda: callPlugin(command, extra | {"KUBERNETES_EXEC_INFO": json.dumps(spec)}, path.parent)
    if user.get("auth-provider") or user.get("username"):
        raise ConfigurationFailure(f"the kubeconfig {path} has a user with auth-provider or a password",
                                   "use a token, a certificate or exec, as newer versions of kubectl do")  # fmt: skip
    return lambda: ""


def callPlugin(command: list[str], extra: dict[str, str], folder: Path) -> str:
    """The token that a program of the site or cloud gets, as kubectl has it.

    Raises:
        ConfigurationFailure: it is not there. OSError: it fails; what it said is not told.
    """
    try:
        done = subprocess.run(command, env=os.environ | extra, cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=PATIENCE)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OSError(f"{command[0]}, which gets the token, does not end") from None
    except FileNotFoundError:
        raise ConfigurationFailure(f"{command[0]}, which gets the token, is not there", "install it") from None
    try:
        return str(json.loads(done.stdout)["status"]["token"])
    except (ValueError, KeyError, TypeError):
        raise OSError(f"{command[0]}, which gets the token, gave none (exit code {done.returncode})") from None


def _readAccount() -> Access:
    """By the service account of this pod."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        security = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        namespace = (ACCOUNT / "namespace").read_text().strip()
    except OSError as error:
        raise ConfigurationFailure(
            f"this pod has no service account: {ACCOUNT}: {error.strerror}", "give it one, or set KUBECONFIG"
        ) from error
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    return Access(server, namespace, security, lambda: (ACCOUNT / "token").read_text().strip(), os.uname().nodename)
