"""The script of a job, what is checked before the first one, and how long a worker has to live."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import dask.config
import pytest

from appion.base.config import checkSettings
from appion.base.failures import ConfigurationFailure
from appion.base.workers.jobs import jobworker
from appion.base.workers.jobs.job import SlurmJob
from appion.base.workers.jobs.options import checkOptions, readJobqueue
from appion.base.workers.jobs.script import (
    calcJobName,
    checkJobs,
    constructDirectives,
    constructExports,
    constructJobOptions,
    constructSubmitEnvironment,
    parseWalltime,
)
from appion.base.workers.task import runTask

GOLDEN = Path(__file__).parent / "data" / "jobscript.sh"
SITE = {
    "jobqueue.slurm.queue": "gpu",
    "jobqueue.slurm.account": "cryoem",
    "jobqueue.slurm.walltime": "12:00:00",
    "jobqueue.slurm.memory": "32GB",
    "jobqueue.slurm.job-cpu": 4,
    "jobqueue.slurm.interface": "ib0",
    "jobqueue.slurm.local-directory": "/scratch",
    "jobqueue.slurm.job-extra-directives": ["--qos=live", "--exclude=n7"],
    "jobqueue.slurm.job-script-prologue": ["module load cuda"],
}


@pytest.fixture
def plain(monkeypatch):
    """An environment with nothing in it that a job script would take over but what is set here."""
    for name in list(os.environ):
        if name.startswith(("DASK_", "SLURM_", "LD_LIBRARY", "PYTHONPATH")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/opt/programs with blank:/usr/bin")
    monkeypatch.setenv("DASK_APPION__POLL", "7")


@pytest.mark.usefixtures("plain")
def test_job_script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # dask-jobqueue makes no folder, whatever it is told
    with dask.config.set(SITE):
        options = constructJobOptions(Path("/data/my session/run 1"), (0, 1), ["n2"])
        script = SlurmJob(scheduler="tcp://10.0.0.1:4711", name="appion-5", **options).job_script()
    script = script.replace(sys.executable, "/opt/python")
    assert script == GOLDEN.read_text(), f"if this is meant, write it to {GOLDEN}:\n{script}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("plain")
def test_gpus_are_asked_for_once_and_only_if_needed():
    def ask(gpus, given=(), number=1):
        with dask.config.set({"appion.slurm.gpus": number}):
            lines = constructDirectives(Path("/run"), gpus, {"job-extra-directives": list(given)})
        return [line for line in lines if "gpu" in line]

    assert ask(()) == []
    assert ask((0, 1, 2)) == ["--gres=gpu:1"]
    assert ask((0,), number=2) == ["--gres=gpu:2"]
    assert ask((0,), number=0) == []
    assert ask((0,), ["--gres=gpu:a100:1"]) == ["--gres=gpu:a100:1"]


def test_jobs_of_a_folder_have_a_name_of_their_own():
    assert calcJobName(Path("/a/run")) != calcJobName(Path("/b/run"))
    assert calcJobName(Path("/a/run, 100%")).startswith("appion-run__100_-")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 1800), ("2:30", 150), ("01:00:00", 3600), ("1-00", 86400), ("1-02:30", 95400), ("2-00:00:10", 172810),
     (None, math.inf), ("UNLIMITED", math.inf), ("'00:30:00'", 1800), (90, 5400)],
)  # fmt: skip
def test_walltime(text, seconds):
    assert parseWalltime(text) == seconds


def test_what_a_job_lacks_is_said_before_the_first_one(monkeypatch, tmp_path):
    for program in ("sbatch", "squeue", "scancel"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    site = SITE | {"jobqueue.slurm.interface": "lo"}
    with dask.config.set(site):
        checkJobs((0,), 3600)
        with pytest.raises(ConfigurationFailure, match="more than 12:02:00"):
            checkJobs((0,), 12 * 3600)
    for key, value, words in (
        ("jobqueue.slurm.memory", None, "memory is not set"),
        ("jobqueue.slurm.walltime", "noon", "'noon'"),
        ("jobqueue.slurm.memory", "much", "memory is 'much'"),
        ("jobqueue.slurm.interface", "ib0", r"interface is 'ib0', which .* cannot be reached at.*'lo'"),
        ("jobqueue.slurm.scheduler-options", {"interface": "ib1"}, r"scheduler-options\.interface is 'ib1'"),
        ("jobqueue.slurm.scheduler-options", 3, "scheduler-options is 3"),
        ("jobqueue.slurm.job-extra-directives", "--qos=live", "write a list of texts"),
        ("jobqueue.slurm.job-extra-directives", {"--qos": "live"}, "write a list of texts"),
        ("jobqueue.slurm.job-cpu", "four", "a number of processors"),
        ("jobqueue.slurm.job-extra", ["--qos=live"], "job-extra has no effect .*job-extra-directives"),
        ("appion.slurm.maximum", 0, "maximum is 0"),
    ):
        with dask.config.set({**site, key: value}), pytest.raises(ConfigurationFailure, match=words):
            checkJobs((0,), None)
    for options in ({"interface": "lo"}, {"host": "127.0.0.1"}):  # the nodes' has another name
        with dask.config.set({**SITE, "jobqueue.slurm.scheduler-options": options}):
            checkJobs((0,), None)
    (tmp_path / "squeue").unlink()
    with dask.config.set(site), pytest.raises(ConfigurationFailure, match="squeue is not in PATH"):
        checkJobs((0,), None)


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("jobqueue:\n  slurm:\n    memroy: 3GB\n", {}, r"slurm\.memroy \(from .*\).*mean jobqueue\.slurm\.memory\?"),
        ("jobqueue:\n  slurm:\n    job_extra_directive: []\n", {}, r"did you mean .*slurm\.job-extra-directives\?"),
        ("jobqueue:\n  slurm:\n    gpus: 2\n", {}, r"unknown setting jobqueue\.slurm\.gpus .*there are account, "),
        ("jobqueue:\n  slurm: 3\n", {}, "the value of `jobqueue.slurm` is 3"),
        ("", {"DASK_JOBQUEUE__SLURM__WALLTIM": "1"}, "DASK_JOBQUEUE__SLURM__WALLTIM.*did you mean .*walltime"),
    ],
)
def test_misspelt_settings_of_jobs(monkeypatch, tmp_path, text, environment, words):
    (tmp_path / "x.yaml").write_text(text)
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationFailure, match=words):
        checkOptions({"memory": "1GB"})


@pytest.mark.usefixtures("plain")
def test_what_dask_jobqueue_knows_is_no_mistake(monkeypatch, tmp_path):
    lines = "".join(f"    {key.replace('-', '_')}: null\n" for key in readJobqueue())
    (tmp_path / "x.yaml").write_text(f"jobqueue:\n  pbs: {{}}\n  slurm:\n{lines}")
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    monkeypatch.setenv("DASK_JOBQUEUE__SLURM__SCHEDULER_OPTIONS__PORT", "0")
    checkOptions({"memory": "1GB"})
    checkSettings()


def test_a_daemon_that_is_a_job_itself_does_not_pass_on_what_it_was_given(monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    for name in ("SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "1")
    found = constructSubmitEnvironment()
    assert found["SLURM_CONF"] == "/etc/slurm.conf"
    assert not {"SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "CUDA_VISIBLE_DEVICES"} & set(found)
    assert readJobqueue()["walltime"]


def test_a_worker_takes_nothing_that_it_cannot_finish(monkeypatch):
    assert runTask(str, 1, needed=1e9).result == "1"  # on a worker without an end
    now = time.monotonic()
    monkeypatch.setattr(jobworker, "life", (now - 1000, now + 100))
    outcome = runTask(str, 1, needed=110)
    assert (bool(outcome.refused), outcome.result, outcome.failure) == (True, None, None)
    assert runTask(str, 1, needed=90).result == "1"
    monkeypatch.setattr(jobworker, "life", (now, now + 100))  # new: no other could do better
    assert runTask(str, 1, needed=1e9).result == "1"


def test_the_end_of_a_job_is_what_slurm_says_or_the_script(monkeypatch):
    for name in ("SLURM_JOB_END_TIME", "APPION_JOB_END"):
        monkeypatch.delenv(name, raising=False)
    assert jobworker.calcLife() is None
    line = constructExports("0:100")[-1]
    told = subprocess.run(["sh", "-c", f"{line}; echo $APPION_JOB_END"], capture_output=True, text=True, check=True)
    monkeypatch.setenv("APPION_JOB_END", told.stdout.strip())
    start, end = jobworker.calcLife()
    assert 70 < end - start < 101
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 50))
    start, end = jobworker.calcLife()
    assert 20 < end - start < 51
