"""Run when a daemon was killed: removes its pods."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from appion.base.failures import Failure
from appion.base.workers.kubernetes.access import readAccess
from appion.base.workers.kubernetes.api import Api, KubernetesError

#: How often it is tried, and how many seconds apart.
TRIES, PAUSE = 6, 10.0

def removeLeft(api: Api, names: Iterable[str]) -> bool:
    """Remove what is there of these DaskClusters, with all that is theirs; returns whether nothing is left."""
    try:
        for name in names:
            api.delete("daskclusters", name)
    except (KubernetesError, OSError, Failure):
        return False
    return True


def main(context: str, namespace: str, *names: str) -> None:
    """Remove what is left, however long Kubernetes takes to answer."""
    api = Api(readAccess(context or None), namespace)
    for _ in range(TRIES):
        if removeLeft(api, names):
            return
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
