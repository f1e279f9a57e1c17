"""The few calls of Kubernetes' API that are made, each a request of its own; addresses as in its reference."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from appion.base.failures import ConfigurationFailure
from appion.base.workers.kubernetes.access import Access

#: Seconds for an answer, and the most of it that is read.
PATIENCE, LONGEST = 10.0, 64 * 2**20

#: Where each kind of thing is.
GROUPS = {
    "daskclusters": "/apis/kubernetes.dask.org/v1", "deployments": "/apis/apps/v1", "pods": "/api/v1",
    "secrets": "/api/v1", "services": "/api/v1", "events": "/api/v1",
    "selfsubjectaccessreviews": "/apis/authorization.k8s.io/v1",
}  # fmt: skip

#: What a daemon does with each; docs/security.md has it as a Role.
RIGHTS = {
    "daskclusters": ("create", "get", "list", "patch", "delete"), "pods": ("get", "list", "delete"),
    "deployments": ("delete",), "secrets": ("create",), "services": ("get",), "events": ("list",),
}  # fmt: skip

#: What a person has to change: who asks, what may be asked, what Dask's operator brings, what is asked for.
FINAL = {
    401: "is the token or certificate in the kubeconfig still good? try: kubectl get daskclusters",
    403: "give the account the rights that docs/security.md lists",
    404: "have Dask's operator installed, and the namespace made",
    422: "correct appion.kubernetes",
}  # fmt: skip


class KubernetesError(Exception):
    """Kubernetes says no, in its own words; `status`: the number by which it does."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token is shown to nobody else."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


class Api:
    """Asks for things of one namespace."""

    def __init__(self, access: Access, namespace: str):
        self.access, self.namespace = access, namespace
        handlers: list[Any] = [_NoRedirect]
        if access.security is not None:
            handlers.append(urllib.request.HTTPSHandler(context=access.security))
        if access.proxy or access.security is None:
            handlers.append(urllib.request.ProxyHandler({"https": access.proxy} if access.proxy else {}))
        self._opener = urllib.request.build_opener(*handlers)

    def create(self, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", self._place(kind), manifest)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self._call("GET", self._place(kind, name))

    def list(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """All of a kind that a label selector or field selector finds."""
        items = self._call("GET", f"{self._place(kind)}?{urlencode(query)}").get("items")
        if not isinstance(items, list):
            raise KubernetesError(200, f"the list of {kind} is none")
        return items

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> dict[str, Any]:
        """Change some fields (a merge patch)."""
        return self._call("PATCH", self._place(kind, name), change, "application/merge-patch+json")

    def delete(self, kind: str, name: str) -> None:
        """Remove something, and what it owns; nothing if it is not there."""
        try:
            self._call("DELETE", self._place(kind, name), {"propagationPolicy": "Background"})
        except KubernetesError as error:
            if error.status != 404:
                raise

    def mayDo(self, kind: str, verb: str) -> bool:
        """Whether this account may do something."""
        group = GROUPS[kind].split("/")[2] if GROUPS[kind].startswith("/apis/") else ""
        asked = {"namespace": self.namespace, "group": group, "resource": kind, "verb": verb}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                  "spec": {"resourceAttributes": asked}}  # fmt: skip
        return bool(self._call("POST", f"{GROUPS['selfsubjectaccessreviews']}/selfsubjectaccessreviews", review)
                    .get("status", {}).get("allowed"))  # fmt: skip

    def _place(self, kind: str, name: str = "") -> str:
        return f"{GROUPS[kind]}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    def _call(self, method: str, path: str, body: Any = None, content: str = "application/json") -> dict[str, Any]:
        """What Kubernetes answers.

        Raises:
            KubernetesError: it says no. OSError: it does not answer.
        """
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "appion"}
        if token := self.access.findToken():
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.access.server + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                return json.loads(answer.read(LONGEST))
        except urllib.error.HTTPError as error:
            with error:
                raise KubernetesError(error.code, readStatus(error)) from None
        except urllib.error.URLError as error:
            reason = error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason))
            raise reason from None
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from None
        except ValueError:
            raise OSError("what it answers is no JSON") from None


def readStatus(error: urllib.error.HTTPError) -> str:
    """Why Kubernetes says no: the message of its Status, or how HTTP calls it."""
    try:
        message = json.loads(error.read(2**20))["message"]
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        message = error.reason
    return " ".join(f"{error.code} {message}".split())[:1000]


def explainRefusal(error: KubernetesError) -> ConfigurationFailure | None:
    """What only a person can change; None: it may be otherwise later."""
    remedy = FINAL.get(error.status)
    return None if remedy is None else ConfigurationFailure(f"Kubernetes refuses: {error}", remedy)
