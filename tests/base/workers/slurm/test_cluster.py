"""The pool on a real Slurm: it grows, works, shrinks, and gets over what happens to its jobs."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import dask.config
import pytest

from appion.base.failures import InfrastructureFailure
from appion.base.workers.cluster import checkCluster, constructCluster, redirectDaskLogs
from appion.base.workers.jobs import steward
from appion.base.workers.jobs.script import calcJobName
from appion.base.workers.pool import Pool
from appion.base.workers.scaling import Demand

ROOT = Path(__file__).parents[4]
SETTINGS = {
    "appion.cluster": "slurm",
    "appion.slurm.hold": 2,
    "appion.slurm.poll": 0.3,
    "appion.slurm.margin": 1,
    "appion.slurm.maximum": 4,
    "appion.slurm.node_failures": 2,
    "appion.pause": 0.3,
    "appion.pause_max": 1,
    "jobqueue.slurm.memory": "500MB",
    "jobqueue.slurm.interface": "lo",
}
FOUND = ("APPION_GPU", "SLURM_JOB_ID", "SLURMD_NODENAME", "OMP_NUM_THREADS")


def look(params):
    """What a worker finds in its environment, after so many seconds, unless it is on the node named as sick."""
    time.sleep(params.get("seconds", 0.1))
    if os.environ["SLURMD_NODENAME"] == params.get("sick"):
        raise InfrastructureFailure("the GPU is busy")
    return {name: os.environ.get(name) for name in FOUND} | {"pid": os.getpid()}


class Lab:
    """A pool, the Slurm under it, and everything that the pool had to tell."""

    def __init__(self, slurm, folder):
        self.slurm, self.folder, self.events, self.outcomes = slurm, folder, [], {}
        self.rundir = folder / "my run"
        self.pool = Pool(lambda: constructCluster((0,), None, self.rundir), 1, "test")

    def start(self, workers=1):
        """Start the pool and have so many workers come."""
        checkCluster((0,), 30)
        self.pool.start()
        self.tell(workers)
        self.wait(lambda: self.pool.countWorkers() >= workers)

    def tell(self, workers, needed=0.0):
        self.pool.tell(Demand(backlog=workers, seconds=300, needed=needed))

    def submit(self, *ids, **params):
        for image_id in ids:
            self.pool.submit(image_id, 1, look, params)

    def wait(self, condition, timeout=600):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, (self.events, self.pool.describe(), self.outcomes)
            self.outcomes.update(self.pool.collect(0.05))
            self.events += self.pool.takeNews()

    def collect(self, *ids):
        """Wait until these are back."""
        self.wait(lambda: all(one in self.outcomes for one in ids))
        return [self.outcomes.pop(one) for one in ids]

    def count(self, what):
        return sum(event["what"] == what for event in self.events)

    def shadow(self, program, script):
        """Put a program of that name, which may fall back on `$REAL`, before the real one."""
        real = self.slurm.run("sh", "-c", f"command -v {program}").stdout.strip()
        path = self.folder / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
        path.chmod(0o755)
        os.environ["PATH"] = f"{path.parent}:{os.environ['PATH']}"


@pytest.fixture
def lab(slurmcluster, tmp_path, monkeypatch):
    monkeypatch.setattr(steward, "INTERVAL", 0.2)
    monkeypatch.setattr("appion.base.workers.jobs.cluster.INTERVAL", 0.2)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", os.environ["PATH"])  # put back whatever a test does to it
    with dask.config.set(SETTINGS), redirectDaskLogs(tmp_path / "logs"):
        lab = Lab(slurmcluster, tmp_path)
        yield lab
        lab.pool.close()


def test_grows_with_the_backlog_works_and_shrinks_to_nothing(lab):
    lab.start(4)
    lab.submit(*range(8), seconds=0.3)
    outcomes = lab.collect(*range(8))
    results = [outcome.result for outcome in outcomes]
    assert {result["APPION_GPU"] for result in results} == {"0"}
    assert {result["OMP_NUM_THREADS"] for result in results} == {"1"}
    jobs = {result["SLURM_JOB_ID"] for result in results}
    assert len(jobs) == 4
    assert {outcome.worker for outcome in outcomes} == jobs
    assert {outcome.host for outcome in outcomes} <= set(lab.slurm.nodes)
    assert lab.pool.findLiveJobs() >= jobs
    lab.wait(lambda: lab.pool.describe()["jobs"] == {"working": 4, "starting": 0, "pending": 0, "unknown": 0})
    lab.tell(0)
    lab.wait(lambda: not lab.slurm.listJobs())
    lab.wait(lambda: lab.pool.describe()["planned"] == 0)
    assert lab.count("job submitted") == 4
    assert lab.count("jobs cancelled") == lab.count("job lost") == 0
    assert lab.pool.describe()["trouble"] == []
    lab.tell(1)
    lab.submit(9)
    assert lab.collect(9)[0].result
    lab.pool.close()
    lab.wait(lambda: not lab.slurm.listJobs())


def test_rests_only_when_no_job_is_there_or_wanted(lab):
    lab.start(1)
    lab.tell(0)
    assert not lab.pool.rest()  # the job is held for a while
    lab.wait(lambda: not lab.slurm.listJobs())
    lab.wait(lab.pool.rest)
    assert lab.pool.describe()["resting"]
    lab.tell(1)
    lab.pool.start()
    lab.tell(1)
    lab.submit(1)
    assert lab.collect(1)[0].result
    assert lab.count("jobs cancelled") == 0


def test_does_not_rest_while_workers_are_to_be_there(lab):
    with dask.config.set({"appion.slurm.minimum": 1}):
        lab.pool.start()
        assert not lab.pool.rest()
        lab.wait(lambda: lab.pool.countWorkers() == 1)
        assert not lab.pool.rest()


def test_one_worker_is_kept_warm_while_exposures_come(lab):
    with dask.config.set({"appion.slurm.warm": 60}):
        checkCluster((0,), 30)
        lab.pool.start()
        lab.pool.tell(Demand(quiet=0))
        lab.wait(lambda: lab.pool.countWorkers() == 1)
        lab.tell(3)
        lab.wait(lambda: lab.pool.countWorkers() == 3)
        lab.pool.tell(Demand(quiet=59))
        lab.wait(lambda: lab.count("jobs retired"))
        assert [len(event["jobs"]) for event in lab.events if event["what"] == "jobs retired"] == [2]
        lab.wait(lambda: len(lab.slurm.listJobs()) == 1)
        lab.pool.tell(Demand(quiet=61))
        lab.wait(lambda: not lab.slurm.listJobs())
        assert lab.count("job submitted") == 3


@pytest.mark.parametrize("how", ["scancel", "kill"])
def test_a_job_that_is_lost_while_it_works_is_replaced(lab, how):
    lab.start()
    lab.submit(1)
    first = lab.collect(1)[0]
    lab.submit(2, seconds=300)
    time.sleep(0.3)
    if how == "scancel":
        lab.slurm.run("scancel", first.worker)
    else:
        os.kill(first.result["pid"], signal.SIGKILL)
    outcome = lab.collect(2)[0]
    assert isinstance(outcome.failure, InfrastructureFailure)
    lab.submit(2)
    assert lab.collect(2)[0].worker not in ("", first.worker)
    assert lab.count("job lost") == 1


def test_a_pending_job_that_vanishes_is_replaced_and_nothing_is_done_while_squeue_fails(lab):
    broken = lab.folder / "broken"
    lab.shadow("squeue", f'[ -e {broken} ] && {{ echo "slurm_load_jobs error"; exit 0; }}; exec "$REAL" "$@"')
    with dask.config.set({"jobqueue.slurm.job-extra-directives": ["--begin=now+1hour"]}):
        checkCluster((0,), 30)
        lab.pool.start()
        lab.tell(1)
        lab.wait(lambda: lab.pool.describe().get("pending") == [("BeginTime", 1)])
        assert lab.pool.describe()["trouble"] == []
        assert lab.pool.describe()["jobs"]["pending"] == 1
        (job,) = lab.slurm.listJobs()
        broken.touch()
        lab.wait(lambda: lab.pool.describe()["trouble"])
        assert "slurm_load_jobs error" in lab.pool.describe()["trouble"][0]
        lab.slurm.run("scancel", str(job))
        lab.slurm.awaitJob(job)
        time.sleep(1)
        assert not lab.slurm.listJobs()
        assert lab.count("job lost") == 0
        broken.unlink()
        lab.wait(lambda: lab.slurm.listJobs())
        assert job not in lab.slurm.listJobs()
        lab.wait(lambda: lab.count("squeue answers again") == 1 and lab.count("job lost") == 1)
    lab.pool.close()
    lab.wait(lambda: not lab.slurm.listJobs())


def test_when_slurm_takes_no_jobs_it_says_why_and_goes_on_when_it_does(lab):
    broken, calls = lab.folder / "broken", lab.folder / "calls"
    broken.touch()
    lab.shadow("sbatch", f'[ -e {broken} ] && {{ echo x >> {calls}; echo "no such account" >&2; exit 1; }}; '
               'exec "$REAL" "$@"')  # fmt: skip
    checkCluster((0,), 30)
    lab.pool.start()
    lab.tell(4)
    lab.wait(lambda: calls.exists() and len(calls.read_text()) >= 2 * 6)
    trouble = lab.pool.describe()["trouble"]
    assert len(trouble) == 1
    assert "Slurm does not take jobs since" in trouble[0]
    assert "no such account" in trouble[0]
    before, began = len(calls.read_text()) // 2, time.monotonic()
    time.sleep(2)
    assert len(calls.read_text()) // 2 - before <= 1 + time.monotonic() - began  # one at a time, once a second
    broken.unlink()
    lab.submit(1)
    assert lab.collect(1)[0].result
    lab.wait(lambda: lab.pool.countWorkers() == 4)
    assert lab.pool.describe()["trouble"] == []
    assert lab.count("submitting fails") == lab.count("submitting works again") == 1


def test_when_jobs_die_before_they_work_few_are_submitted_and_their_last_words_told(lab):
    broken, python = lab.folder / "broken", lab.folder / "python"
    broken.touch()
    python.write_text(f'#!/bin/sh\n[ -e {broken} ] && {{ echo "no disk here"; exit 1; }}\nexec "$@"\n')
    python.chmod(0o755)
    with dask.config.set({"jobqueue.slurm.python": f"{python} {sys.executable}"}):
        checkCluster((0,), 30)
        lab.pool.start()
        lab.tell(4)
        lab.wait(lambda: lab.count("job lost") >= 6)
        assert lab.count("job submitted") <= lab.count("job lost") + 1
        trouble = lab.pool.describe()["trouble"]
        assert "jobs end before they work" in trouble[0]
        assert "no disk here" in trouble[0]
        broken.unlink()
        lab.wait(lambda: lab.pool.countWorkers() == 4)
        assert lab.count("jobs start again") == 1


def test_a_worker_whose_job_ends_soon_takes_nothing_and_another_comes(lab):
    with dask.config.set({"jobqueue.slurm.walltime": "0:40"}):
        lab.start()
        lab.tell(1, needed=38)
        time.sleep(5)
        lab.submit(1)
        assert lab.collect(1)[0].refused
        outcome = None
        while outcome is None or outcome.refused:  # the next may have been slow to start
            lab.submit(1)
            (outcome,) = lab.collect(1)
        assert outcome.result
        assert lab.count("job submitted") >= 2


def test_a_sick_node_is_not_used_any_more(lab):
    lab.start(3)  # two GPUs on a node: one worker is elsewhere
    sick = lab.slurm.nodes[0]
    ids = list(range(100))
    while not lab.count("node excluded"):
        lab.submit(*ids[:3], sick=sick)
        outcomes = lab.collect(*ids[:3])
        assert {outcome.host for outcome in outcomes if outcome.failure} <= {sick, os.uname().nodename, "127.0.0.1"}
        ids = ids[3:]
    lab.wait(lambda: lab.pool.describe()["trouble"] == [f"node {sick} is not used: the GPU is busy"])
    lab.wait(lambda: lab.pool.countWorkers() == 3 and lab.count("job submitted") == 5)
    lab.submit(*ids[:6], sick=sick)
    assert all(outcome.result for outcome in lab.collect(*ids[:6]))
    lab.pool.close()
    lab.start(3)  # what is known of the nodes outlives the cluster
    lab.wait(lambda: lab.pool.describe()["excluded"] == 1)
    jobs = [lab.slurm.readJob(job) for job, state in lab.slurm.listJobs().items() if state == "RUNNING"]
    assert [job["ExcNodeList"] for job in jobs] == [sick] * 3


def test_jobs_of_a_killed_daemon_go_and_a_lost_scheduler_is_replaced(lab):
    left = lab.slurm.submit("sleep 300", f"--job-name={calcJobName(lab.rundir)}")
    other = lab.slurm.submit("sleep 300", "--job-name=somebody")
    lab.start()
    lab.wait(lambda: left not in lab.slurm.listJobs())
    lab.submit(1)
    first = lab.collect(1)[0].worker
    lab.submit(2, seconds=300)
    lab.pool._cluster.sync(lab.pool._cluster.scheduler.close)
    assert not lab.pool.isAlive()
    lab.pool.abandon()
    lab.pool.close()
    lab.start()
    lab.submit(2)
    assert lab.collect(2)[0].worker != first
    assert other in lab.slurm.listJobs()
    lab.pool.close()
    lab.wait(lambda: set(lab.slurm.listJobs()) == {other})


BANNER = 'echo "Welcome to the Lonestar 5 Supercomputer"; echo "--> Verifying job request: {0}...OK"; echo {0}; '


def test_wrappers_that_print_more_than_slurm_harm_nobody(lab):
    """Banners name another job of the same user, and time stamps stand before lines; the work gets done."""
    other = lab.slurm.submit("sleep 300", "--job-name=somebody")
    banner = BANNER.format(other)
    lab.shadow("sbatch", f'{banner} "$REAL" "$@" | sed "s/^/Submitted batch job /"; echo "{other} jobs run"')
    lab.shadow("squeue", f'{banner} echo "CLUSTER: lab"; "$REAL" "$@" | sed "s/^/$(date "+%F %T") /"; {banner}')
    lab.shadow("scancel", f'{banner} "$REAL" "$@"; {banner}')
    lab.start(2)
    lab.submit(1, 2)
    assert all(outcome.result for outcome in lab.collect(1, 2))
    lab.wait(lambda: lab.pool.describe()["jobs"]["working"] == 2)
    assert lab.count("job submitted") == 2
    assert lab.pool.describe()["trouble"] == []
    lab.slurm.run("scontrol", "hold", str(other))
    lab.pool.close()
    lab.wait(lambda: set(lab.slurm.listJobs()) == {other})


@pytest.mark.parametrize("squeue", ["", "blind"])
def test_a_number_that_is_misread_is_never_cancelled(lab, squeue):
    """sbatch prints the number of somebody else's job, plainly: it is not ours, as squeue does not show it as ours."""
    other = lab.slurm.submit("sleep 300", "--job-name=somebody")
    lab.shadow("sbatch", f'"$REAL" "$@" > /dev/null; echo {other}')
    calls = lab.folder / "cancelled"
    lab.shadow("scancel", f'echo "$@" >> {calls}; exec "$REAL" "$@"')
    if squeue:  # a wrapper that hands on no options but the format, and so lists everybody's jobs
        lab.shadow("squeue", 'for word; do case $word in --format=*) exec "$REAL" --states=all "$word"; esac; done')
    checkCluster((0,), 30)
    lab.pool.start()
    lab.tell(1)
    lab.wait(lambda: lab.count("jobs cancelled"))  # the one that was really submitted is one that nobody knows
    lab.pool.close()
    lab.wait(lambda: set(lab.slurm.listJobs()) == {other})
    assert str(other) not in calls.read_text().split()


def test_an_answer_without_a_number_is_a_failed_submission_and_the_job_is_found(lab):
    lab.shadow("sbatch", 'echo "Thank you, your 1 job is in queue 7"; "$REAL" "$@" > /dev/null')
    checkCluster((0,), 30)
    lab.pool.start()
    lab.tell(1)
    lab.wait(lambda: lab.count("submitting fails") and lab.count("jobs cancelled"))
    trouble = lab.pool.describe()["trouble"][0]
    assert "Slurm does not take jobs since" in trouble
    assert "Thank you, your 1 job is in queue 7" in trouble
    assert "sbatch --parsable" in trouble
    lab.pool.close()
    lab.wait(lambda: not lab.slurm.listJobs())


@pytest.mark.parametrize("harm", ["sed '$d' | tr -d '\\n' | head -c -9", "grep -v JOBID", "cut -c 1-20"])
def test_a_listing_that_is_cut_off_changes_nothing_and_says_what_to_do(lab, harm):
    lab.start(2)
    jobs = set(lab.slurm.listJobs())
    broken = lab.folder / "broken"
    lab.shadow("squeue", f'echo hello; [ -e {broken} ] || exec "$REAL" "$@"; "$REAL" "$@" | {harm}')
    broken.touch()
    lab.wait(lambda: lab.pool.describe()["trouble"])
    assert "if it is a wrapper of the site, have it" in lab.pool.describe()["trouble"][0]
    broken.unlink()
    lab.wait(lambda: lab.count("squeue answers again"))
    assert set(lab.slurm.listJobs()) == jobs
    assert lab.count("job lost") == lab.count("jobs cancelled") == 0


def test_jobs_that_only_a_person_can_start_are_told_of_once(lab, caplog):
    held = {"jobqueue.slurm.job-extra-directives": ["--hold"]}
    with dask.config.set(held):
        checkCluster((0,), 30)
        lab.pool.start()
        lab.tell(2)
        lab.wait(lambda: lab.pool.describe().get("pending") == [("JobHeldUser", 2)])
        lab.wait(lambda: lab.pool.describe()["trouble"])
        (trouble,) = lab.pool.describe()["trouble"]
        assert trouble.startswith("no job can start before somebody does something since ")
        assert "JobHeldUser (jobs " in trouble
        assert f"scontrol release {','.join(map(str, sorted(lab.slurm.listJobs())))})" in trouble
        time.sleep(1)
        assert lab.count("jobs are stuck") == 1
        for job in lab.slurm.listJobs():
            lab.slurm.run("scontrol", "release", str(job))
        lab.wait(lambda: lab.pool.countWorkers() == 2)
        lab.wait(lambda: lab.pool.describe()["trouble"] == [])
    assert lab.count("jobs are stuck") == lab.count("jobs can start again") == 1
    assert sum("no job can start" in record.getMessage() for record in caplog.records) == 1
