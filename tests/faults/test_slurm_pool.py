"""The whole daemon on a real Slurm: killed, its jobs cancelled; every exposure is stored once, and no job is left."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.faults.test_daemon_kill import checkOnce, count, finish, readNotes, start
from tests.services.waiting import waitFor

SETTINGS = {
    "DASK_APPION__CLUSTER": "slurm",
    "DASK_APPION__SLURM__MAXIMUM": "3",
    "DASK_APPION__SLURM__POLL": "0.5",
    "DASK_APPION__SLURM__LATENCY": "5",
    "DASK_JOBQUEUE__SLURM__MEMORY": "500MB",
    "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
}


@pytest.fixture
def slurmdaemon(slurmcluster, monkeypatch):
    """Daemons started in this test use the private Slurm."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return slurmcluster


def readEvents(folder):
    return [json.loads(line) for line in (folder / "run/.appion/events.jsonl").read_text().splitlines()]


def test_P3_P4_daemon_killed_and_jobs_cancelled_on_slurm_every_exposure_stored_once(slurmdaemon, tmp_path):
    number = 40
    daemon = start(tmp_path, number, 0.4)
    waitFor(lambda: len(count(tmp_path, "marker")) >= 3)
    daemon.kill()
    daemon.communicate()
    left = set(slurmdaemon.listJobs())
    daemon = start(tmp_path, number, 0.4)
    waitFor(lambda: len(count(tmp_path, "marker")) >= 12)
    assert not left & set(slurmdaemon.listJobs())  # what the killed one left was cancelled by its successor
    slurmdaemon.run("scancel", *map(str, slurmdaemon.listJobs()))
    waitFor(lambda: len(count(tmp_path, "marker")) >= 20)
    waitFor(lambda: killWorker(tmp_path))
    code, out, err = finish(daemon, timeout=600)
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, number, lost=4)
    assert max(count(tmp_path, "start").values()) <= 4  # once, and once more for each of three losses
    waitFor(lambda: not slurmdaemon.listJobs())
    events = readEvents(tmp_path)
    assert {"job submitted", "job lost", "computed", "stored"} <= {event["what"] for event in events}
    assert not [event for event in events if event["what"] == "set aside" or event.get("class") == "image"]
    jobs = {event["job"] for event in events if event["what"] == "job submitted"}
    places = [(event["host"], event["worker"]) for event in events if event["what"] in ("computed", "failed")]
    assert {host for host, _ in places} <= {*slurmdaemon.nodes, os.uname().nodename}
    assert {worker for _, worker in places} <= jobs


def test_P6_jobs_of_a_killed_daemon_that_still_wait_are_cancelled(slurmdaemon, tmp_path, monkeypatch):
    slurmdaemon.run("scontrol", "update", f"NodeName={','.join(slurmdaemon.nodes)}", "State=DRAIN", "Reason=full")
    other = slurmdaemon.submit("sleep 300", "--job-name=somebody")
    go = slowDown(slurmdaemon, tmp_path, monkeypatch)
    daemon = start(tmp_path, 3, 0.1)
    waitFor(lambda: len(slurmdaemon.listJobs()) > 1)  # the daemon does not know of it yet
    assert set(slurmdaemon.listJobs().values()) == {"PENDING"}
    daemon.kill()
    daemon.communicate()
    go.touch()
    waitFor(lambda: set(slurmdaemon.listJobs()) == {other})


def killWorker(folder):
    """Kill the worker that began last, and say whether it was still there: those of cancelled jobs are gone."""
    worker = int([words for words in readNotes(folder) if words[0] == "start"][-1][2])
    try:
        os.kill(worker, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def slowDown(slurm, folder, monkeypatch):
    """Have sbatch say the number of a job that it submitted only when there is a certain file; returns its path."""
    go, program = folder / "go", folder / "bin/sbatch"
    program.parent.mkdir()
    found = slurm.run("sh", "-c", "command -v sbatch").stdout.strip()
    program.write_text(
        f'#!/bin/sh\nsaid=$({found} "$@")\nuntil [ -e {go} ]; do sleep 0.1; done\nprintf "%s\\n" "$said"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return go


def test_sigterm_waits_for_what_runs_and_leaves_no_job(slurmdaemon, tmp_path):
    daemon = start(tmp_path, 30, 0.5, "wait=1")
    waitFor(lambda: len(count(tmp_path, "marker")) >= 2)
    daemon.terminate()
    code, out, err = finish(daemon)
    assert (code, out) == (0, "stopped\n"), err
    assert count(tmp_path, "start") == count(tmp_path, "marker")
    waitFor(lambda: not slurmdaemon.listJobs())


def test_settings_that_do_not_fit_are_an_error_at_once(slurmdaemon, tmp_path, monkeypatch):
    monkeypatch.delenv("DASK_JOBQUEUE__SLURM__MEMORY")
    code, _, err = finish(start(tmp_path, 1, 0.1))
    assert code == 1
    assert "jobqueue.slurm.memory is not set" in err
    assert not slurmdaemon.listJobs()
