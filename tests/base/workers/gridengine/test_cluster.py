"""The pool on a real Grid Engine: it grows, works, replaces what is lost and shrinks; what a job asks for is taken."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import dask.config
import pytest

from appion.base.workers.cluster import checkCluster, constructCluster, redirectDaskLogs
from appion.base.workers.jobs import steward
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.jobs.job import JOBS
from appion.base.workers.jobs.script import constructJobOptions
from appion.base.workers.pool import Pool
from appion.base.workers.scaling import Demand
from appion.doctor.finding import runCheck
from appion.doctor.slurm import checkSlurm, nameScheduler

ROOT = Path(__file__).parents[4]
SETTINGS = {
    "appion.cluster": "sge",
    "appion.jobs.hold": 1,
    "appion.jobs.poll": 0.3,
    "appion.jobs.margin": 1,
    "appion.jobs.maximum": 3,
    "appion.pause": 0.3,
    "appion.pause_max": 1,
    "jobqueue.sge.interface": "lo",
    # What a site's prolog or resource map does.
    "jobqueue.sge.job-script-prologue": ["export CUDA_VISIBLE_DEVICES=0"],
}
FOUND = ("APPION_GPU", "APPION_JOB", "JOB_ID", "APPION_NODE", "OMP_NUM_THREADS", "APPION_JOB_END", "SHELL")


def look(params):
    """What a worker finds in its environment, after so many seconds."""
    time.sleep(params.get("seconds", 0.1))
    return {name: os.environ.get(name) for name in FOUND} | {"pid": os.getpid()}


@pytest.fixture
def lab(gridenginecluster, tmp_path, monkeypatch):
    monkeypatch.setattr(steward, "INTERVAL", 0.2)
    monkeypatch.setattr("appion.base.workers.jobs.cluster.INTERVAL", 0.2)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with dask.config.set(SETTINGS), redirectDaskLogs(tmp_path / "logs"):
        lab = Lab(gridenginecluster, tmp_path / "my run")
        yield lab
        lab.pool.close()


class Lab:
    """A pool, the Grid Engine under it, and everything that the pool had to tell."""

    def __init__(self, service, rundir):
        self.service, self.rundir, self.events, self.outcomes = service, rundir, [], {}
        self.pool = Pool(lambda: constructCluster((0,), None, rundir), 1, "test")

    def start(self, workers):
        checkCluster((0,), 30)
        self.pool.start()
        self.tell(workers)
        self.wait(lambda: self.pool.countWorkers() >= workers)

    def tell(self, workers):
        self.pool.tell(Demand(backlog=workers, seconds=300))

    def wait(self, condition, timeout=600):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, (self.events, self.pool.describe(), self.outcomes)
            self.outcomes.update(self.pool.collect(0.05))
            self.events += self.pool.takeNews()

    def collect(self, *ids):
        self.wait(lambda: all(one in self.outcomes for one in ids))
        return [self.outcomes.pop(one) for one in ids]


def test_grows_works_replaces_what_is_lost_and_shrinks_to_nothing(lab):
    lab.start(2)
    for image_id in range(4):
        lab.pool.submit(image_id, 1, look, {"seconds": 0.3})
    outcomes = lab.collect(*range(4))
    jobs = {outcome.worker for outcome in outcomes}
    assert jobs == {outcome.result["JOB_ID"] for outcome in outcomes} == set(map(str, lab.service.listJobs()))
    assert {outcome.host for outcome in outcomes} == {"localhost"}
    found = outcomes[0].result
    assert (found["APPION_GPU"], found["OMP_NUM_THREADS"]) == ("0", "1")
    assert int(found["APPION_JOB_END"]) > time.time()
    logs = sorted((lab.rundir / "logs").glob("appion-my_run-*.log"))
    assert {path.stem.rpartition("-")[2] for path in logs} == jobs
    lab.pool.submit(9, 1, look, {"seconds": 300})
    time.sleep(0.3)
    for job in jobs:
        lab.service.run("qdel", job)
    assert lab.collect(9)[0].failure
    lab.wait(lambda: lab.pool.countWorkers() == 2 and not jobs & set(map(str, lab.service.listJobs())))
    assert sum(event["what"] == "job lost" for event in lab.events) == 2
    lab.tell(0)
    lab.wait(lambda: not lab.service.listJobs())
    assert lab.pool.describe()["trouble"] == []


def writeScript(excluded=()):
    options = constructJobOptions(Path("/tmp"), (0,), excluded, ADAPTERS["sge"])
    return JOBS["sge"]("tls://127.0.0.1:1", "appion-1", **options).job_script()


def test_jobs_are_kept_away_from_hosts(gridengine):
    def ask(script):
        done = subprocess.run(
            ["qsub", "-w", "v"], env=gridengine.environment, input=script, capture_output=True, text=True, timeout=600
        )
        return done.stdout + done.stderr

    with dask.config.set(SETTINGS):
        assert "found suitable queue" in ask(writeScript())
        assert "found suitable queue" in ask(writeScript(["node1", "node2"]))
        assert "no suitable queues" in ask(writeScript(["node1", "localhost"]))


@pytest.mark.usefixtures("sqlitedatabase", "gridenginecluster")
def test_doctor_has_it_try_the_job_of_a_worker(monkeypatch):
    def look():
        return str(next(iter(runCheck(nameScheduler(), checkSlurm))))

    with dask.config.set(SETTINGS):
        assert look().startswith("TO DO  Grid Engine jobqueue.sge.walltime is 00:30:00, but a program may run for")
        with dask.config.set({"jobqueue.sge.walltime": "12:00:00", "jobqueue.sge.queue": "main.q"}):
            assert look().startswith("well   Grid Engine takes the job of a worker (-N appion-doctor-")
            with dask.config.set({"jobqueue.sge.resource-spec": "gpu=9"}):
                assert look().startswith("TO DO  Grid Engine does not take the job of a worker: ")
            with dask.config.set({"jobqueue.sge.queue": "nope.q"}):
                assert 'unknown queue "nope.q"' in look()
            monkeypatch.setenv("SGE_QMASTER_PORT", "1")
            assert "TO DO  Grid Engine does not take the job of a worker: " in look()
