"""Kubernetes: does it answer, has it Dask's operator, and may this account do what a daemon does?"""

from __future__ import annotations

from appion.base.config import setting
from appion.base.workers.kubernetes.access import readAccess
from appion.base.workers.kubernetes.api import RIGHTS, Api, KubernetesError, explainRefusal
from appion.base.workers.kubernetes.options import checkKubernetes
from appion.doctor.finding import TODO, WELL, Finding

TITLE = "Kubernetes"


def checkPods() -> Finding:
    """Ask Kubernetes; nothing is made.

    Raises:
        ConfigurationFailure: a setting is wrong, or it is not known where Kubernetes is.
    """
    checkKubernetes()
    access = readAccess(setting("kubernetes.context"))
    api = Api(access, setting("kubernetes.namespace") or access.namespace)
    where = f"{access.server}, namespace {api.namespace}"
    try:
        missing = [f"{verb} {kind}" for kind, verbs in RIGHTS.items() for verb in verbs if not api.mayDo(kind, verb)]
        if missing:
            return Finding(TODO, TITLE, f"this account may not {', '.join(missing)} ({where})",
                           "give it the rights that docs/security.md lists")  # fmt: skip
        api.list("daskclusters", limit="1")
    except KubernetesError as error:
        refusal = explainRefusal(error)
        return Finding(TODO, TITLE, f"says no: {error} ({where})", refusal.remedy if refusal else "ask who runs it")
    except OSError as error:
        return Finding(TODO, TITLE, f"does not answer: {error} ({where})", "is the address in the kubeconfig right?")
    return Finding(WELL, TITLE, f"takes what a daemon asks for; the image and the volumes are tried by a run ({where})")
