"""What pods say, as Kubernetes' reference has it, and what follows."""

from __future__ import annotations

import pytest

from appion.base.workers.kubernetes.pods import countPods, describeWaits, isAllStuck, readPod, readWarning
from tests.services.kubernetes import constructStatus, constructUnschedulable

INSUFFICIENT = "0/4 nodes are available: 1 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint {gpu: }."
NOWHERE = "0/4 nodes are available: 4 node(s) didn't match Pod's node affinity/selector."
UNBOUND = 'persistentvolumeclaim "runs" not found'


def make(status, part="worker", name="w1", **metadata):
    container = {"name": "one", "env": [{"name": "DASK_WORKER_NAME", "value": f"{name}-worker"}]}
    return readPod({
        "metadata": {"name": name, "labels": {"dask.org/component": part}, **metadata},
        "spec": {"nodeName": "node1", "containers": [container]}, "status": status,
    })  # fmt: skip


def wait(reason, message=""):
    return constructStatus("Pending", {"waiting": {"reason": reason, "message": message}})


@pytest.mark.parametrize(("status", "state", "words", "stuck"), [
    (constructStatus("Running", {"running": {}}, ready=True), "running", "", False),
    ({"phase": "Pending"}, "pending", "", False),
    (constructUnschedulable(INSUFFICIENT), "pending", f"Unschedulable: {INSUFFICIENT}", False),
    (constructUnschedulable(NOWHERE), "pending", f"Unschedulable: {NOWHERE}", True),
    (constructUnschedulable(UNBOUND), "pending", f"Unschedulable: {UNBOUND}", True),
    (wait("ContainerCreating"), "starting", "", False),
    (wait("ErrImagePull", "not\n  found"), "starting", "ErrImagePull: not found", True),
    (wait("ImagePullBackOff", "Back-off"), "starting", "ImagePullBackOff: Back-off", True),
    (wait("CreateContainerConfigError", 'secret "s" not found'), "starting",
     'CreateContainerConfigError: secret "s" not found', True),
    (wait("CrashLoopBackOff", "back-off 10s"), "starting", "CrashLoopBackOff: back-off 10s", False),
    ({"phase": "Failed", "reason": "Evicted", "message": "low on memory."}, "lost", "Evicted: low on memory.", False),
    ({"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "reason": "PreemptionByScheduler",
                                         "message": "gone"}]}, "lost", "PreemptionByScheduler: gone", False),
    ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]},
     "lost", "OOMKilled (exit code 137)", False),
])  # fmt: skip
def test_states_are_told_in_the_words_of_kubernetes(status, state, words, stuck):
    pod = make(status)
    assert (pod.state, pod.words, pod.stuck) == (state, words, stuck)
    assert (pod.worker, pod.node, pod.part) == ("w1-worker", "node1", "worker")


def test_a_container_that_was_started_again_says_how_it_ended():
    status = constructStatus("Running", {"running": {}}, ready=True)
    status["containerStatuses"][0] |= {
        "restartCount": 2, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    }  # fmt: skip
    assert (make(status).restarts, make(status).died) == (2, "OOMKilled (exit code 137)")
    assert make(constructStatus("Running", {"running": {}}), deletionTimestamp="2026").words == "it was deleted"


def test_the_run_is_stuck_if_nothing_can_come_up_without_a_person():
    well, pulls = make(constructStatus("Running", {"running": {}}, ready=True)), make(wait("ErrImagePull"), name="w2")
    waits, scheduler = make(constructUnschedulable(INSUFFICIENT), name="w3"), make(wait("ErrImagePull"), "scheduler")
    assert isAllStuck([pulls], frozenset())
    assert not isAllStuck([pulls, well], frozenset({well.worker}))
    assert not isAllStuck([pulls, waits], frozenset())
    assert not isAllStuck([], frozenset())
    assert isAllStuck([well, scheduler], frozenset({well.worker}))
    assert [names for _, names, _ in describeWaits([pulls, waits, well, pulls], frozenset())] == [["w2", "w2"], ["w3"]]
    counts, reasons = countPods([pulls, waits, well, scheduler], frozenset({well.worker}))
    assert (counts, reasons) == ({"working": 1, "starting": 1, "pending": 1, "unknown": 0}, [("Unschedulable", 1)])


def test_the_last_warning_about_the_cluster_counts():
    def warn(about, reason, message, when):
        return {"involvedObject": {"name": about}, "reason": reason, "message": message, "lastTimestamp": when}

    mount, quota = "MountVolume.SetUp failed", 'pods "c-x" is forbidden: exceeded quota: gpus'
    events = [warn("c-worker", "FailedMount", mount, "2026-01-02"), warn("d", "FailedMount", "x", "2026-01-03")]
    assert readWarning(events, "c-") == (f"FailedMount: {mount}", False)
    assert readWarning([*events, warn("c-w", "FailedCreate", quota, "2026-01-04")], "c-")[1] is False
    assert readWarning([warn("c-w", "FailedCreate", "violates PodSecurity", "2026")], "c-")[1] is True
    assert readWarning(events, "e-") == ("", False)
