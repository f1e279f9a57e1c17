"""The whole daemon on a Dask scheduler of other processes: restarted, blind workers, wrong certificates."""

from __future__ import annotations

import json

import pytest

from tests.faults.test_daemon_kill import checkOnce, count, finish, start, waitFor
from tests.faults.test_slurm_pool import readEvents
from tests.services.daskscheduler import DaskScheduler, asVariables


@pytest.fixture
def service(tmp_path_factory, monkeypatch):
    """A scheduler with certificates; daemons that are started in this test are told of it."""
    service = DaskScheduler(tmp_path_factory.mktemp("dask"))
    settings = {"appion.cluster": service.address, "appion.elsewhere.poll": "0.5", **service.settings}
    for name, value in asVariables(settings).items():
        monkeypatch.setenv(name, value)
    service.startScheduler()
    yield service
    service.stop()


def readStatus(folder):
    return json.loads((folder / "run/.appion/status.json").read_text())


def test_P2_P4_P7_a_scheduler_elsewhere_is_killed_and_restarted_and_every_exposure_is_stored_once(service, tmp_path):
    service.startWorkers(3)
    number = 50
    daemon = start(tmp_path, number, 0.5)
    waitFor(lambda: len(count(tmp_path, "marker")) >= 15)
    service.killScheduler()
    waitFor(lambda: any("is not there" in line for line in readStatus(tmp_path)["workers"]["trouble"]))
    service.startScheduler()
    code, out, err = finish(daemon)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, number, lost=6)
    events = readEvents(tmp_path)
    assert {"scheduler away", "scheduler back", "handed back"} <= {event["what"] for event in events}
    assert not [event for event in events if event["what"] in ("failed", "set aside")]
    assert not readStatus(tmp_path)["workers"].get("trouble")
