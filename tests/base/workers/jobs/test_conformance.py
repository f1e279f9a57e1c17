"""What every adapter must do, on Slurm and Grid Engine for real and on stand-ins for the others.

The jobs are real ones of the scheduler, but the workers of most only sleep: what is tried is what becomes of jobs.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import time
from pathlib import Path

import dask.config
import pytest

from appion.base.workers.cluster import checkCluster, constructCluster, redirectDaskLogs
from appion.base.workers.jobs import steward
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.pool import Pool
from appion.base.workers.scaling import Demand
from tests.services.standins import PROGRAMS, StandIn

MAXIMUM = 3

#: Directive with which a job is submitted on hold.
HOLD = {"slurm": ["--hold"], "sge": ["-h"], "pbs": ["-h"], "lsf": ["-H"], "htcondor": {"hold": True}, "oar": ["--hold"]}

#: How a scheduler says that it has taken a job of a number.
TAKEN = {
    "slurm": "{}", "sge": "{}", "pbs": "{}", "lsf": "Job <{}> is submitted to default queue <normal>.",
    "htcondor": "1 job(s) submitted to cluster {}.", "oar": "OAR_JOB_ID={}",
}  # fmt: skip

#: A number that no job has.
NOBODY = {"pbs": "60000000.pbsserver"}


ROOT = Path(__file__).parents[4]


def look(_params):
    """What a worker finds in its environment."""
    names = ("APPION_GPU", "OMP_NUM_THREADS", "APPION_JOB_END", "DASK_APPION__POLL")
    return {name: os.environ.get(name) for name in names}


class Bench:
    """A pool on one scheduler, and everything that the pool had to tell."""

    def __init__(self, name, service, folder, monkeypatch):
        self.name, self.adapter, self.service, self.folder = name, ADAPTERS[name], service, folder
        self.rundir, self.events, self.gpus = folder / "my run", [], ()
        self.label = self.adapter.constructName(self.rundir)
        self.mode = folder / "mode"
        self.mode.write_text("exec sleep 300")
        worker = folder / "worker"
        worker.write_text(f"#!/bin/sh\n. {shlex.quote(str(self.mode))}\n")
        worker.chmod(0o755)
        self.settings = {f"jobqueue.{name}.python": shlex.quote(str(worker))}
        self.calls = folder / "calls"
        self.calls.touch()
        for program in self.adapter.programs:
            self._shadow(program, monkeypatch)
        self.pool = Pool(lambda: constructCluster(self.gpus, None, self.rundir), 1, "test")

    def _shadow(self, program, monkeypatch):
        """Put a program before the real one that does what it is told in shell; each call is noted."""
        found = self.service.run("sh", "-c", f"command -v {program}").stdout.strip()
        rule, path = self.folder / f"{program}.rule", self.folder / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'#!/bin/sh\nREAL={found}\necho {program} "$@" >> {self.calls}\n'
            f'[ -e {rule} ] && . {rule}\nexec "$REAL" "$@"\n'
        )
        path.chmod(0o755)
        if not os.environ["PATH"].startswith(str(path.parent)):
            monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    def rule(self, which, script):
        """Have the program that submits (0), lists (1) or cancels (2) do this first; empty: nothing."""
        path = self.folder / f"{self.adapter.programs[which]}.rule"
        if script:
            path.with_suffix(".new").write_text(f"{script}\n")
            path.with_suffix(".new").rename(path)
        else:
            path.unlink()

    def count(self, which):
        return sum(line.startswith(f"{self.adapter.programs[which]} ") for line in self.calls.read_text().splitlines())

    def start(self, workers, **settings):
        with dask.config.set({**self.settings, **settings}):
            checkCluster(self.gpus, 30)
            self.pool.start()
        looks = self.pool._cluster.steward
        looks._patience = dataclasses.replace(looks._patience, listed=1.0)
        self.tell(workers)

    def tell(self, workers):
        self.pool.tell(Demand(backlog=workers, seconds=300))

    def jobs(self):
        """All jobs there are, whoever's."""
        return set(map(str, self.service.listJobs()))

    def submitOther(self, name):
        """Submit a job under this name, past the pool; returns its number."""
        before = self.jobs()
        script = self.folder / f"{name}.sh"
        word = {"slurm": "#SBATCH -J", "sge": "#$ -N", "pbs": "#PBS -N", "lsf": "#BSUB -J"}.get(self.name, "#")
        script.write_text(f"#!/bin/sh\n{word} {name}\nexec sleep 300\n")
        command = {
            "lsf": ("sh", "-c", f"bsub < {script}"), "oar": ("oarsub", "-n", name, "sleep 300"),
            "sge": ("qsub", "-S", "/bin/sh", "-o", "/dev/null", "-j", "y", str(script)),
            "slurm": ("sbatch", "--output=/dev/null", str(script)), "pbs": ("qsub", str(script)),
            "htcondor": ("condor_submit", str(script)),
        }[self.name]  # fmt: skip
        if self.name == "htcondor":
            script.write_text(f"MY.AppionRun = \"{name}\"\nArguments = \"-c 'sleep 300'\"\nQueue\n")
        done = self.service.run(*command)
        assert done.returncode == 0, done
        (number,) = self.jobs() - before
        return number

    def wait(self, condition, timeout=600):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, (self.events, self.pool.describe())
            self.pool.collect(0.02)
            self.events += self.pool.takeNews()

    def waitForTrouble(self, *words):
        self.wait(lambda: any(all(word in line for word in words) for line in self.pool.describe().get("trouble", ())))

    def tellOf(self, what):
        return [event for event in self.events if event["what"] == what]


@pytest.fixture(params=list(ADAPTERS))
def bench(request, tmp_path, monkeypatch):
    name = request.param
    if name in PROGRAMS:
        service = StandIn(name, tmp_path / "standin")
        for key in ("PATH", "STANDIN"):
            monkeypatch.setenv(key, service.environment[key])
    else:
        service = request.getfixturevalue({"slurm": "slurmcluster", "sge": "gridenginecluster"}[name])
    monkeypatch.setattr(steward, "INTERVAL", 0.1)
    monkeypatch.setattr("appion.base.workers.jobs.cluster.INTERVAL", 0.1)
    settings = {
        "appion.cluster": name, "appion.jobs.hold": 1, "appion.jobs.poll": 0.1, "appion.jobs.margin": 1,
        "appion.jobs.maximum": MAXIMUM, "appion.jobs.node_failures": 0, "appion.pause": 0.1, "appion.pause_max": 0.5,
        f"jobqueue.{name}.interface": "lo", f"jobqueue.{name}.memory": "200MB",
    }  # fmt: skip
    folder = tmp_path / "bench"
    folder.mkdir()
    with dask.config.set(settings), redirectDaskLogs(tmp_path / "logs"):
        bench = Bench(name, service, folder, monkeypatch)
        yield bench
        bench.pool.close()
    deadline = time.monotonic() + 60
    while bench.jobs() and name in PROGRAMS:
        assert time.monotonic() < deadline, bench.jobs()
        service.run(*ADAPTERS[name].programs[2:], *bench.jobs())


def test_a_worker_comes_knows_its_job_and_works(bench, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DASK_APPION__POLL", "7")
    section = f"jobqueue.{bench.name}"
    told = {f"{section}.job-script-prologue": ["export CUDA_VISIBLE_DEVICES='0'", 'echo "it\'s ready"']}
    bench.settings = told
    bench.gpus = (0,)
    bench.start(1)
    bench.wait(lambda: bench.pool.countWorkers() == 1)
    (number,) = bench.jobs()
    outcomes = {}
    bench.pool.submit(1, 1, look, {})
    deadline = time.monotonic() + 600
    while not outcomes and time.monotonic() < deadline:
        outcomes.update(bench.pool.collect(0.05))
    outcome = outcomes[1]
    assert (outcome.failure, outcome.worker) == (None, number)
    if bench.adapter.excludes:
        assert outcome.host == bench.pool._cluster.steward.findNode(number) != ""
    assert outcome.result["APPION_GPU"] == "0"
    assert int(outcome.result["OMP_NUM_THREADS"]) >= 1
    assert (outcome.result["APPION_JOB_END"] is None) == (bench.name == "htcondor")
    assert outcome.result["DASK_APPION__POLL"] == "7"
    log = bench.rundir / "logs" / f"{bench.label}-{number}.log"
    assert "it's ready" in log.read_text()
    bench.tell(0)
    bench.wait(lambda: bench.jobs() == set())
    assert bench.count(2) == 0, "it was retired"


def test_submissions_that_fail_and_jobs_that_vanish_are_made_good(bench):
    bench.rule(0, 'echo "the queue is closed" >&2; exit 1')
    bench.start(1)
    bench.waitForTrouble(f"{bench.adapter.title} does not take jobs since", "the queue is closed")
    assert bench.jobs() == set()
    bench.rule(0, f"echo '{TAKEN[bench.name].format(NOBODY.get(bench.name, 60000000))}'; exit 0")
    bench.wait(lambda: bench.tellOf("job lost"))
    assert f"{bench.adapter.title} knows it no more" in bench.tellOf("job lost")[0]["reason"]
    bench.rule(0, "")
    bench.wait(lambda: bench.pool.describe()["jobs"]["starting"] == len(bench.jobs()) == 1)
    assert bench.count(2) == 0, "what was never listed is not cancelled"
    bench.pool.close()
    bench.wait(lambda: bench.jobs() == set())


def test_jobs_that_die_at_once_are_few_and_their_last_words_told(bench):
    bench.mode.write_text('echo "no disk here"; exit 1')
    bench.start(MAXIMUM)
    bench.waitForTrouble("jobs end before they work since", "no disk here")
    bench.wait(lambda: len(bench.tellOf("job lost")) >= MAXIMUM + 1)
    assert len(bench.tellOf("job submitted")) <= len(bench.tellOf("job lost")) + 1
    bench.mode.write_text("exec sleep 300")
    bench.wait(lambda: bench.pool.describe()["jobs"]["starting"] == 1)  # one is tried until it works


def test_an_unreadable_listing_changes_nothing_and_there_are_never_too_many(bench):
    bench.start(MAXIMUM + 2)
    bench.wait(lambda: bench.pool.describe().get("jobs", {}).get("starting") == MAXIMUM)
    jobs, title = bench.jobs(), bench.adapter.title
    assert len(jobs) == MAXIMUM
    for harm in ('echo "connection refused" >&2; exit 1', '"$REAL" "$@" | head -c 40; exit 0', "echo Welcome; exit 0"):
        bench.rule(1, harm)
        before, calls = bench.count(1), (bench.count(0), bench.count(2))
        bench.waitForTrouble(f"{title} does not say how jobs are since")
        bench.wait(lambda before=before: bench.count(1) >= before + 3)
        assert (bench.count(0), bench.count(2)) == calls
        assert bench.jobs() == jobs
        bench.rule(1, "")
        bench.wait(lambda: bench.pool.describe()["trouble"] == [])
    assert bench.jobs() == jobs


def test_held_jobs_are_told_of_with_what_to_type(bench):
    bench.start(2, **{f"jobqueue.{bench.name}.job-extra-directives": HOLD[bench.name]})
    with dask.config.set({f"jobqueue.{bench.name}.job-extra-directives": HOLD[bench.name]}):
        bench.waitForTrouble("no job can start before somebody does something since", "release with:")
        bench.wait(lambda: len(bench.jobs()) == 2)
        assert [number for _, number in bench.pool.describe()["pending"]] == [2]
        (trouble,) = bench.pool.describe()["trouble"]
        remedy = re.search(r"release with: ([^)]*)\)", trouble)[1]
        assert bench.service.run(*remedy.split()).returncode == 0
        bench.wait(lambda: bench.pool.describe()["jobs"]["starting"] == 2)
        bench.wait(lambda: bench.pool.describe()["trouble"] == [])


def test_only_what_is_listed_under_the_name_of_this_run_is_cancelled(bench):
    """One job is somebody's, one was left by a daemon that was killed, and then the number of a third is misread."""
    other, left = bench.submitOther("somebody"), bench.submitOther(bench.label)
    bench.start(1)
    bench.wait(lambda: left not in bench.jobs() and len(bench.jobs()) == 2)
    (ours,) = bench.jobs() - {other}
    bench.rule(0, f'"$REAL" "$@" > /dev/null; echo \'{TAKEN[bench.name].format(other.removesuffix(".0"))}\'; exit 0')
    bench.service.run(bench.adapter.programs[2], ours)
    bench.wait(lambda: ours in [event["job"] for event in bench.tellOf("job lost")])  # somebody cancelled it
    bench.wait(lambda: len(bench.tellOf("jobs cancelled")) >= 2)  # one that nobody knows has taken its place
    bench.pool.close()
    bench.wait(lambda: bench.jobs() == {other})
    bench.service.run(bench.adapter.programs[2], other)
