"""The whole daemon on a real Grid Engine: killed, and its jobs end by themselves; every exposure is stored once."""

from __future__ import annotations

import pytest

from tests.faults.test_daemon_kill import checkOnce, count, finish, start
from tests.services.waiting import waitFor

SETTINGS = {
    "DASK_APPION__CLUSTER": "sge",
    "DASK_APPION__JOBS__MAXIMUM": "2",
    "DASK_APPION__JOBS__POLL": "0.5",
    "DASK_APPION__JOBS__LATENCY": "5",
    "DASK_APPION__JOBS__GPUS": "0",
    "DASK_JOBQUEUE__SGE__INTERFACE": "lo",
    "DASK_JOBQUEUE__SGE__JOB_SCRIPT_PROLOGUE": "['export CUDA_VISIBLE_DEVICES=0']",
}


@pytest.fixture
def gridenginedaemon(gridenginecluster, monkeypatch):
    """Daemons started in this test use the private Grid Engine."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return gridenginecluster


def test_P3_P4_P6_a_killed_daemon_leaves_no_job_and_every_exposure_is_stored_once(gridenginedaemon, tmp_path):
    number = 12
    daemon = start(tmp_path, number, 0.4)
    waitFor(lambda: len(count(tmp_path, "marker")) >= 3)
    other = gridenginedaemon.submit("exec sleep 300\n", "-N", "somebody")
    daemon.kill()
    daemon.communicate()
    waitFor(lambda: set(gridenginedaemon.listJobs()) == {other})  # by themselves, within half a minute
    code, out, err = finish(start(tmp_path, number, 0.4), timeout=600)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, number, lost=2)
    waitFor(lambda: set(gridenginedaemon.listJobs()) == {other})
