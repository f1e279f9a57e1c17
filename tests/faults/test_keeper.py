"""P21: the keeper starts the daemons of every session by itself, may be killed at any moment, and starts none twice."""

from __future__ import annotations

import pytest

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
    ground.killDaemons()
    ground.expose("26nov27b", 2)
    ground.waitFor(lambda: ground.readRun("26nov27a").starts == 2, "another start")
    ground.kill()
    ground.start()
    for name, made in ground.made.items():
        if name != "26nov27c":
            ground.waitFor(lambda name=name, made=made: ground.countStored(name) == len(made.image_ids), name)
    ground.waitFor(lambda: ground.readStates().get("26nov27d") == "ended", "the end of a finished session")
    checkStates(ground)
    for name in ("26nov27a", "26nov27b", "26nov27d", "26nov27e"):
        ground.checkStoredOnce(name)
    for name in ("26nov27a", "26nov27b", "26nov27c", "26nov27d"):
        ground.checkNeverTwice(name)


def checkStates(ground):
    """What the keeper says: whom it leaves alone, and what a person has to mend."""
    assert ground.readStates() == {"26nov27a": "running", "26nov27b": "running", "26nov27c": "refused",
                                   "26nov27d": "ended", "26nov27e": "alien"}  # fmt: skip
    refused = ground.readRun("26nov27c")
    assert "norm" in refused.reason
    assert refused.next_try is None
    assert ground.readRun("26nov27e").rundir == str(ground.findFolder("26nov27e") / "ddstack1")
    assert ground.read().trouble == []
