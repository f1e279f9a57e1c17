"""What removes the pods of a daemon that was killed: a shell that waits for the daemon's end, then this module."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterable

from appion.base.failures import Failure
from appion.base.workers.kubernetes.access import readAccess
from appion.base.workers.kubernetes.api import Api, KubernetesError

#: Takes names line by line. At the end of its input, unless it was told that all is over, it becomes its arguments.
WAIT = """trap '' HUP INT TERM
while read -r word; do
    [ "$word" = over ] && exit
    set -- "$@" "$word"
done
exec "$@" """

#: How often it is tried, and how many seconds apart.
TRIES, PAUSE = 6, 10.0

#: Those that wait for the end of this process.
_staying: list[Warden] = []


class Warden:
    """The waiting shell, there until `dismiss`, or until this process ends in any way."""

    def __init__(self, context: str | None, namespace: str):
        command = [sys.executable, "-m", __spec__.name, context or "", namespace]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", WAIT, "appion", *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, text=True,
        )  # fmt: skip

    def note(self, name: str) -> None:
        """Take in the name of a cluster that is about to be made."""
        self._tell(name)

    def dismiss(self) -> None:
        """All is over: whoever closes has removed what it made."""
        self._tell("over")
        self._process.communicate()

    def stay(self) -> None:
        """Something is left: it is removed once this process has ended."""
        _staying.append(self)

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # somebody ended it; the next start of the run removes the pods
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()


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
