"""What Kubernetes says of pods, in its own words, and what follows from it; nothing here asks anybody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from appion.base.workers.kubernetes.manifest import PART_LABEL

#: Why a container waits that waits for a person. (CrashLoopBackOff is tried again by Kubernetes itself.)
PERSON = frozenset({
    "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "CreateContainerConfigError",
})  # fmt: skip

#: Why a container waits while all is well.
WELL = frozenset({"", "ContainerCreating", "PodInitializing"})

#: What the scheduler says where a pod may find a place without anybody doing something.
MAY_FIT = re.compile(r"Insufficient|Too many pods|free ports|not ready|unreachable|disk-pressure|memory-pressure")

#: Why no pod is made at all, where that may be otherwise later.
QUOTA = "exceeded quota"


@dataclass(frozen=True)
class Pod:
    """One pod.

    Attributes:
        part: scheduler or worker. worker: what Dask calls the worker in it, which is the name of its Deployment.
        node: where it is. state: pending, starting, running or lost (it runs no more).
        ready: whether its container runs and says so.
        words: what keeps it from running, or why it runs no more, as Kubernetes says it.
        stuck: whether that waits for a person.
        died: how its container ended last, with how often it was started again; empty if it never did.
    """

    name: str
    part: str
    worker: str = ""
    node: str = ""
    state: str = "starting"
    ready: bool = False
    words: str = ""
    stuck: bool = False
    died: str = ""
    restarts: int = 0


def readPod(raw: Mapping[str, Any]) -> Pod:
    """A pod out of a list of Kubernetes."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    container = (status.get("containerStatuses") or [{}])[0]
    state, words, stuck = _judge(metadata, status, container)
    env = (entry for one in spec.get("containers") or [] for entry in one.get("env") or [])
    return Pod(
        name=metadata["name"],
        part=(metadata.get("labels") or {}).get(PART_LABEL, ""),
        worker=next((entry.get("value", "") for entry in env if entry.get("name") == "DASK_WORKER_NAME"), ""),
        node=spec.get("nodeName") or "",
        state=state,
        ready=state == "running" and bool(container.get("ready")),
        words=words,
        stuck=stuck,
        died=_readEnd(container.get("lastState") or {}),
        restarts=int(container.get("restartCount") or 0),
    )


def _judge(
    metadata: Mapping[str, Any], status: Mapping[str, Any], container: Mapping[str, Any]
) -> tuple[str, str, bool]:
    """State and words of a pod, and whether it waits for a person."""
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    phase = status.get("phase")
    if phase in ("Failed", "Succeeded") or metadata.get("deletionTimestamp"):
        disruption = conditions.get("DisruptionTarget", {})
        said = _join(status) or _join(disruption) or _readEnd(container.get("state") or {})
        return "lost", said or ("it was deleted" if metadata.get("deletionTimestamp") else str(phase)), False
    waiting = (container.get("state") or {}).get("waiting") or {}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        words = _join(scheduled)
        return "pending", words, scheduled.get("reason") == "Unschedulable" and not MAY_FIT.search(words)
    if waiting:
        reason = waiting.get("reason") or ""
        return "starting", "" if reason in WELL else _join(waiting), reason in PERSON
    if terminated := _readEnd(container.get("state") or {}):
        return "starting", terminated, False
    return ("running" if phase == "Running" else "starting" if "PodScheduled" in conditions else "pending"), "", False


def _join(said: Mapping[str, Any]) -> str:
    """Reason and message of something that Kubernetes says."""
    return " ".join(": ".join(filter(None, (said.get("reason"), said.get("message")))).split())


def _readEnd(state: Mapping[str, Any]) -> str:
    """How a container ended; empty if it did not."""
    if not (ended := state.get("terminated")):
        return ""
    return f"{_join(ended) or 'Ended'} (exit code {ended.get('exitCode', 'not known')})"


def describeWaits(pods: Iterable[Pod], working: frozenset[str]) -> list[tuple[str, list[str], bool]]:
    """Why pods do not work, the most frequent first: words, names of the pods, whether it waits for a person."""
    groups: dict[tuple[str, bool], list[str]] = {}
    for pod in pods:
        if pod.words and pod.state != "lost" and pod.worker not in working:
            groups.setdefault((pod.words, pod.stuck), []).append(pod.name)
    return [(words, names, stuck) for (words, stuck), names in sorted(groups.items(), key=lambda one: -len(one[1]))]


def isAllStuck(pods: Iterable[Pod], working: frozenset[str]) -> bool:
    """Whether nothing can be computed before a person does something: the scheduler, or all workers, cannot start."""
    there = [pod for pod in pods if pod.state != "lost"]
    workers = [pod for pod in there if pod.part == "worker"]
    if any(pod.stuck for pod in there if pod.part == "scheduler"):
        return True
    return bool(workers) and not working and all(pod.stuck for pod in workers)


def countPods(pods: Iterable[Pod], working: frozenset[str]) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """How many workers' pods work, are starting or pending, and why those wait, in a word."""
    there = [pod for pod in pods if pod.part == "worker" and pod.state != "lost"]
    words = {"running": "starting"}
    states = Counter("working" if pod.worker in working else words.get(pod.state, pod.state) for pod in there)
    reasons = Counter(pod.words.partition(":")[0] or "pending" for pod in there if pod.state == "pending")
    return {"working": 0, "starting": 0, "pending": 0, "unknown": 0} | states, reasons.most_common()


def readWarning(events: Iterable[Mapping[str, Any]], name: str) -> tuple[str, bool]:
    """The last warning about something of a cluster, and whether it waits for a person; empty if there is none."""
    ours = [event for event in events if str((event.get("involvedObject") or {}).get("name", "")).startswith(name)]
    if not ours:
        return "", False
    last = max(ours, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    words = _join(last)[:500]
    return words, last.get("reason") == "FailedCreate" and QUOTA not in words
