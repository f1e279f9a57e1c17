"""P21: the keeper starts the daemons of every session by itself, may be killed at any moment, and starts none twice."""

from __future__ import annotations

import json

import pytest

from appion.base.records.keeping import keeperEventsPath
from sinedon.models import appiondata
from tests.faults.keepground import LINE, Ground

SLURM = {
    "DASK_APPION__CLUSTER": "slurm",
    "DASK_APPION__JOBS__MAXIMUM": "2",
    "DASK_APPION__JOBS__POLL": "0.5",
    "DASK_APPION__JOBS__LATENCY": "60",
    "DASK_JOBQUEUE__SLURM__MEMORY": "1500MB",
    "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
    "DASK_JOBQUEUE__SLURM__WALLTIME": "08:00:00",
}

PROFILES = [
    {"name": "krios", "microscope": "Krios", "preset": ["e?n", "fcn"], "commands": [LINE]},
    {"name": "other", "microscope": "Glacios", "commands": [LINE]},
]


@pytest.fixture
def makeGround(tmp_path, monkeypatch):
    """A function that makes a ground with these profiles; all that it started ends with the test."""
    grounds = []

    def make(profiles=PROFILES, **settings):
        grounds.append(Ground(tmp_path, monkeypatch, profiles, **settings))
        return grounds[-1]

    yield make
    for ground in grounds:
        ground.close()


@pytest.mark.usefixtures("mariadatabase", "slurmcluster")
def test_P21_five_sessions_without_a_command_typed(makeGround, monkeypatch):
    """Of five sessions one has a broken gain, one ends at once, one is a person's; keeper and daemons are killed."""
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    ground = makeGround()
    ground.addSession("26nov27a", "enn")
    ground.addSession("26nov27b", "esn")
    ground.addSession("26nov27c", "enn", norm=True)
    ground.breakGain("26nov27c")
    ground.addSession("26nov27d", "fcn")
    ground.declareFinished("26nov27d")
    ground.addSession("26nov27e", "enn")
    ground.startByHand("26nov27e")
    ground.waitFor(lambda: appiondata.ApAppionJobData.objects.exists(), "the person's job")
    ground.start()
    ground.waitFor(lambda: ground.readStates().get("26nov27a") == "starting", "the first start")
    ground.kill()
    ground.start()
    ground.waitFor(lambda: ground.isHeld("26nov27a") and ground.isHeld("26nov27b"), "the first daemons")
    ground.expose("26nov27a", 2)
    ground.waitFor(lambda: ground.countStored("26nov27a") >= 1, "results")
    ground.waitFor(lambda: ground.countStored("26nov27e") == 2, "results of the person's run")
    ground.killDaemons()
    ground.expose("26nov27b", 2)
    ground.waitFor(lambda: ground.readRun("26nov27a").starts == 2, "another start")
    ground.kill()
    ground.start()
    for name, made in ground.made.items():
        if name != "26nov27c":
            ground.waitFor(lambda name=name, made=made: ground.countStored(name) == len(made.image_ids), name)
    checkStates(ground)
    for name in ("26nov27a", "26nov27b", "26nov27d", "26nov27e"):
        ground.checkStoredOnce(name)
    for name in ("26nov27a", "26nov27b", "26nov27c", "26nov27d"):
        ground.checkNeverTwice(name)


def checkStates(ground):
    """What the keeper says: whom it leaves alone, and what a person has to mend."""
    states = {"26nov27a": "running", "26nov27b": "running", "26nov27c": "refused", "26nov27d": "ended",
              "26nov27e": "alien"}  # fmt: skip
    ground.waitFor(lambda: ground.readStates() == states, "all as it should be")
    refused = ground.readRun("26nov27c")
    assert "norm" in refused.reason
    assert refused.next_try is None
    assert ground.readRun("26nov27e").rundir == str(ground.findFolder("26nov27e") / "ddstack1")
    assert ground.read().trouble == []


@pytest.mark.usefixtures("mariadatabase")
def test_P21_five_daemons_share_two_places(makeGround):
    """Live sessions take the places of backlog, who shall hurry that of a live one; in the end all is done."""
    ground = makeGround([PROFILES[0]], keep={"runs": 2})
    old, new = ["26nov26a", "26nov26b", "26nov26c"], ["26nov27d", "26nov27e"]
    for name in old:
        ground.addSession(name, "enn", days=1)
    ground.start()
    ground.waitFor(lambda: list(ground.readStates().values()).count("running") == 2, "two places taken")
    for name in new:
        ground.addSession(name, "enn")
    ground.waitFor(lambda: {ground.readStates().get(name) for name in new} == {"running"}, "live before backlog")
    assert {ground.readStates()[name] for name in old} == {"waiting"}
    assert ground.appion("keep", "--prefer", old[2]).returncode == 0
    ground.waitFor(lambda: ground.readStates()[old[2]] == "running", "who shall hurry before live")
    for name in ground.made:
        ground.declareFinished(name)
    ground.waitFor(lambda: set(ground.readStates().values()) == {"ended"}, "the end of all")
    for name in ground.made:
        ground.checkStoredOnce(name)
        ground.checkNeverTwice(name)
    holding = set()
    for event in map(json.loads, keeperEventsPath(ground.state).read_text().splitlines()):
        change = holding.add if event["what"] in ("starting", "running") else holding.discard
        change(event["session"])
        assert len(holding) <= 2


@pytest.mark.usefixtures("mariadatabase")
def test_P21_daemons_as_jobs_of_the_web_pages_kind(makeGround, slurmcluster):
    """By runJob.py: killed while the jobs are submitted, the keeper finds them again, and there is one for each."""
    line = f"{LINE} --ppn=1 --mem=1 --walltime=2"
    ground = makeGround([PROFILES[0] | {"commands": [line], "start": "runjob"}])
    names = ["26nov27a", "26nov27b"]
    for name in names:
        ground.addSession(name, "enn")
    ground.start()
    ground.waitFor(lambda: ground.readStates() == dict.fromkeys(names, "starting"), "two starts")
    ground.kill()
    ground.start()
    for name in names:
        ground.waitFor(lambda name=name: ground.countStored(name) == 2, f"results of {name}")
    ground.waitFor(lambda: ground.readStates() == dict.fromkeys(names, "running"), "two that run")
    assert len(slurmcluster.listJobs()) == 2
    for name in names:
        ground.checkStoredOnce(name)
        ground.checkNeverTwice(name)
        assert ground.readRun(name).starts == 1
    numbers = appiondata.ApAppionJobData.objects.values_list("clusterjobid", "status")
    assert {(job, "R") for job in slurmcluster.listJobs()} == set(numbers)
    slurmcluster.cancelJobs()
    ground.waitFor(lambda: ground.readRun(names[0]).state != "running", "the end of a job to be seen")
