"""The whole daemon with pods of a stand-in for Kubernetes: run, evicted, unschedulable, killed."""

from __future__ import annotations

import json

import pytest

from tests.faults.test_daemon_kill import checkOnce, count, finish, start, waitFor
from tests.faults.test_slurm_pool import readEvents
from tests.services.daskscheduler import asVariables
from tests.services.kubernetes import Kubernetes


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
    assert {"cluster made", "pods asked for", "pod works"} <= {event["what"] for event in events}
    assert not [event for event in events if event["what"] == "set aside"]
    assert max(service.replicas) == 2
    assert not service.things
    assert not service.processes
