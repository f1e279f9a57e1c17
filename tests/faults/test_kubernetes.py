"""The whole daemon with pods of a stand-in for Kubernetes: run, evicted, unschedulable, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from tests.faults.test_daemon_kill import checkOnce, count, finish, start
from tests.faults.test_slurm_pool import readEvents
from tests.services.daskscheduler import asVariables
from tests.services.kubernetes import TOKEN, Kubernetes, constructStatus, constructUnschedulable
from tests.services.waiting import waitFor


@pytest.fixture
def service(tmp_path_factory, tmp_path, monkeypatch):
    """A cluster of which daemons that are started in this test are told."""
    service = Kubernetes(tmp_path_factory.mktemp("kubernetes"))
    settings = service.constructSettings(tmp_path) | {"appion.jobs.maximum": 2, "appion.jobs.latency": 1}
    for name, value in asVariables({key: str(value) for key, value in settings.items()}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KUBECONFIG", str(service.kubeconfig))
    yield service
    service.stop()


def readStatus(folder):
    return json.loads((folder / "run/.appion/status.json").read_text())


def test_P2_P4_a_run_on_pods_one_of_which_is_evicted(service, tmp_path):
    number = 14
    daemon = start(tmp_path, number, 0.5)
    waitFor(lambda: len(count(tmp_path, "marker")) >= 3)
    assert readStatus(tmp_path)["workers"]["cluster"] == "kubernetes"
    service.evict(service.names("pods", "worker")[0], "The node was low on resource: memory.")
    code, out, err = finish(daemon)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, number, lost=4)
    events = readEvents(tmp_path)
    assert [event["reason"] for event in events if event["what"] == "pod lost"] == [
        "Evicted: The node was low on resource: memory."
    ]  # fmt: skip
    assert {"cluster made", "pod works"} <= {event["what"] for event in events}
    assert not [event for event in events if event["what"] == "set aside"]
    assert max(service.replicas) == 2
    assert not service.things
    assert not service.processes
    told = out + err + "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN not in told
    assert "PRIVATE KEY" not in told


def waitForTrouble(folder, words):
    waitFor(lambda: any(words in line for line in readWorkers(folder).get("trouble", [])))
    return next(line for line in readWorkers(folder)["trouble"] if words in line)


def readWorkers(folder):
    try:
        return readStatus(folder)["workers"]
    except OSError:
        return {}


def test_pods_that_cannot_be_scheduled_are_told_of_in_the_schedulers_words_and_come_up_later(service, tmp_path):
    service.suffering["worker"] = constructUnschedulable("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    daemon = start(tmp_path, 3, 0.1)
    told = waitForTrouble(tmp_path, "Insufficient")
    assert "pods do not work yet since" in told
    assert "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu. (pod appion-" in told
    workers = readWorkers(tmp_path)
    assert (workers["stuck"], workers["pending"][0][0]) == (None, "Unschedulable")
    service.heal()
    code, out, err = finish(daemon)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, 3)
    assert {"pods wait", "pods wait no more"} <= {event["what"] for event in readEvents(tmp_path)}


def test_an_image_that_cannot_be_pulled_waits_for_a_person_and_a_run_that_does_not_wait_says_so(
    service, tmp_path, monkeypatch
):
    monkeypatch.setenv("DASK_APPION__NOWAIT_PATIENCE", "1")
    message = 'Back-off pulling image "registry.lab/appion:1"'
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
    service.suffering["scheduler"] = service.suffering["worker"] = constructStatus("Pending", waiting)
    code, out, err = finish(start(tmp_path, 3, 0.1))
    assert code == 0, err
    assert out.startswith(f"no job can start before somebody does something: ImagePullBackOff: {message}")
    assert "kubectl describe pods -n lab -l dask.org/cluster-name=appion-" in out
    events = readEvents(tmp_path)
    assert {"pods are stuck"} <= {event["what"] for event in events}
    assert not [event for event in events if event["what"] in ("failed", "set aside")]
    assert not service.things


def test_P3_killed_daemon_leaves_no_pod(service, tmp_path):
    daemon = start(tmp_path, 8, 2)
    waitFor(lambda: len(count(tmp_path, "start")) >= 2)
    os.killpg(daemon.pid, signal.SIGKILL)
    daemon.communicate()
    waitFor(lambda: not service.things)
    assert not service.processes
    code, out, err = finish(start(tmp_path, 8, 0.1))
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, 8)
    assert not service.things


def test_what_a_daemon_left_is_removed_by_the_next_and_nothing_else(service, tmp_path):
    daemon = start(tmp_path, 2, 100)
    waitFor(lambda: len(count(tmp_path, "start")) == 2)
    left = service.names("daskclusters")
    for child in findChildren(daemon.pid):  # what would remove it is killed first, as with the whole host
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    daemon.kill()
    daemon.communicate()
    other = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {},
             "metadata": {"name": "other", "labels": {"appion/run": "0" * 16}}}  # fmt: skip
    service.create("secrets", other)
    assert service.names("daskclusters") == left
    daemon = start(tmp_path, 2, 0.1)
    code, out, err = finish(daemon)
    assert (code, out) == (0, "nothing is left to do\n"), err
    events = [event for event in readEvents(tmp_path) if event.get("reason") == "left by an earlier daemon"]
    assert [(event["what"], event["clusters"]) for event in events] == [("pods removed", left)]
    assert list(service.things) == [("secrets", "other")]


def findChildren(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def test_sigterm_waits_for_what_runs_and_removes_all(service, tmp_path):
    daemon = start(tmp_path, 30, 1, "wait=1")
    waitFor(lambda: len(count(tmp_path, "marker")) >= 2)
    daemon.terminate()
    code, out, err = finish(daemon)
    assert (code, out) == (0, "stopped\n"), err
    assert count(tmp_path, "start") == count(tmp_path, "marker")
    assert not service.things
    assert not service.processes


def test_what_cannot_be_removed_at_the_end_is_removed_after_it(service, tmp_path, monkeypatch):
    answer = service.answer

    def refuse(method, path, body):
        if "daskclusters" in path and count(tmp_path, "marker"):  # before, it may be asked for after a slow answer
            service.refusals["DELETE", "daskclusters"] = 500, "etcdserver: request timed out"
        return answer(method, path, body)

    with monkeypatch.context() as patch:
        patch.setattr(service, "answer", refuse)
        code, out, err = finish(start(tmp_path, 2, 0.1))
        assert (code, out) == (0, "nothing is left to do\n"), err
        checkOnce(tmp_path, 2)
        assert service.names("daskclusters")
    service.refusals.clear()
    waitFor(lambda: not service.things)
