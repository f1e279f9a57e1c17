"""How each adapter reads what its scheduler was recorded to print, what it asks for, and what it types."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.workers.cluster import CLUSTERS, checkCluster
from appion.base.workers.jobs.adapter import Listed, calcOrder, findUser
from appion.base.workers.jobs.adapters import ADAPTERS
from appion.base.workers.jobs.answer import JobsError
from appion.base.workers.jobs.job import JOBS
from appion.base.workers.jobs.reconcile import isStuck
from appion.base.workers.jobs.script import checkJobs, constructJobOptions
from appion.doctor.finding import NOTE, TODO, runCheck
from appion.doctor.slurm import checkSlurm, nameScheduler
from tests.services.standins import PROGRAMS, StandIn

DATA = Path(__file__).parent / "data"
FILES = {"sge": "sge.xml", "pbs": "pbs.txt", "lsf": "lsf.json", "htcondor": "htcondor.json", "oar": "oar.json"}
RUN = Path("/data/my session/run 1")

RAN = "Job run at Fri Nov 27 at 03:44 on (node1:ncpus=4:mem=33554432kb:ngpus=1)"
HELD = "The job was suspended by the user while pending;"
EXPECTED = {
    "sge": {
        "7": Listed("RUNNING", "node1", "r"), "8": Listed("COMPLETING", "node2", ""), "9": Listed("PENDING", "", "qw"),
        "10": Listed("PENDING", "", "error (Eqw)"), "11": Listed("PENDING", "", "held (hqw)"),
        "4": Listed("ENDED", "", ""),
    },
    "pbs": {
        "7.pbsserver": Listed("RUNNING", "node1", RAN),
        "8.pbsserver": Listed("COMPLETING", "node2", "E"),
        "9.pbsserver": Listed("PENDING", "", "Not Running: Insufficient amount of resource: ngpus (R: 1 A: 0 T: 8)"),
        "10.pbsserver": Listed("PENDING", "", "Can Never Run: Insufficient amount of resource: ngpus (R: 9 A: 8 T: 8)"),
        "11.pbsserver": Listed("PENDING", "", "held (H)"),
    },
    "lsf": {
        "7": Listed("RUNNING", "node1", ""), "9": Listed("PENDING", "", "Load threshold reached: 2 hosts;"),
        "11": Listed("PENDING", "", f"held ({HELD})"),
        "4": Listed("CANCELLED", "node3", "TERM_OWNER: job killed by owner"),
        "5": Listed("FAILED", "node3", ""), "6": Listed("UNKWN", "node3", ""),
    },
    "htcondor": {
        "7.0": Listed("RUNNING", "node1.site", ""), "9.0": Listed("PENDING", "", ""),
        "11.0": Listed("PENDING", "", "held (via condor_hold (by user me))"), "4.0": Listed("CANCELLED", "", ""),
    },
    "oar": {
        "7": Listed("RUNNING", "node1", "R=2,W=12:0:0,J=B,N=LABEL (Karma=0.087,quota_ok)"),
        "9": Listed("PENDING", "", "Karma = 0.000"), "11": Listed("PENDING", "", "held (Hold)"),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_recorded_listings_are_read_whole_or_not_at_all(name):
    adapter, text = ADAPTERS[name], (DATA / FILES[name]).read_text()
    jobs = adapter.readListing(text, "LABEL")
    assert jobs == EXPECTED[name], "jobs of another name are none of ours"
    stuck = [number for number, job in jobs.items() if isStuck(job, adapter)]
    assert sorted(stuck, key=calcOrder) == [key for key in EXPECTED[name] if key.partition(".")[0] in ("10", "11")]
    assert adapter.readListing(f"Welcome to this cluster\n{text}", "LABEL") == jobs
    step = max(1, len(text) // 60)
    for end in range(0 if name != "htcondor" else 3, len(text.rstrip()) - 1, step):
        with pytest.raises(JobsError, match="printed"):
            adapter.readListing(text[:end], "LABEL")
    for garbage in ("Welcome", "error: unable to send message to qmaster", "{]", "null", "3", '"x"'):
        with pytest.raises(JobsError, match="printed"):
            adapter.readListing(garbage, "LABEL")
    spoilt = text.replace(min(jobs, key=calcOrder).partition(".")[0], "-1")
    with pytest.raises(JobsError, match="printed"):
        adapter.readListing(spoilt, "LABEL")


def test_no_jobs_are_no_error():
    assert ADAPTERS["htcondor"].readListing("\n", "x") == ADAPTERS["oar"].readListing("{}\n", "x") == {}
    assert ADAPTERS["pbs"].readListing("\nappion-end-of-jobs 0\n", "x") == {}
    assert ADAPTERS["lsf"].readListing('{"COMMAND":"bjobs","JOBS":0,"RECORDS":[]}', "x") == {}
    assert ADAPTERS["lsf"].isEmpty("bjobs: Job <appion-x> is not found (exit code 255)")
    assert not ADAPTERS["lsf"].isEmpty("bjobs: Failed in an LSF library call: Slave LIM configuration is not ready yet")


def test_a_job_of_pbs_that_ends_between_two_questions_is_no_error():
    pbs = ADAPTERS["pbs"]
    text = (DATA / "pbs.txt").read_text()
    gone = text.replace(" 0 7.pbsserver", " 153 5.pbsserver 7.pbsserver")
    assert set(pbs.readListing(gone, "LABEL")) == set(EXPECTED["pbs"])
    with pytest.raises(JobsError, match=r"without 5\.pbsserver"):
        pbs.readListing(text.replace(" 0 7.pbsserver", " 0 5.pbsserver 7.pbsserver"), "LABEL")


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("sge", "1234\n", "1234"), ("sge", 'Your job 1234 ("appion-x") has been submitted\n', "1234"),
        ("sge", "Welcome\n1234\n", "1234"), ("pbs", "1234.pbsserver\n", "1234.pbsserver"),
        ("pbs", "qsub: 3 jobs are yours\n1234.pbs-2.site\n", "1234.pbs-2.site"),
        ("lsf", "Job <1234> is submitted to queue <gpu>.\n", "1234"),
        ("lsf", "You have 5 jobs\nJob <1234> is submitted to default queue <normal>.\n", "1234"),
        ("htcondor", "Submitting job(s).\n1 job(s) submitted to cluster 1234.\n", "1234.0"),
        ("oar", "[ADMISSION RULE] 3 rules\nOAR_JOB_ID=1234\n", "1234"),
        *((name, text, None) for name in FILES for text in ("", "Thank you, your job is in queue 7", "7 8")),
        ("sge", "7\n8\n", None),
        ("lsf", "Job <7> is submitted to queue <x>.\nJob <8> is submitted to queue <x>.", None),
    ],
)  # fmt: skip
def test_the_number_of_a_job_is_told_for_certain_or_not_at_all(name, text, number):
    if number is not None:
        assert ADAPTERS[name].readNumber(text) == number
        assert ADAPTERS[name].number.fullmatch(number)
    else:
        with pytest.raises(JobsError, match=f"{ADAPTERS[name].programs[0]} printed"):
            ADAPTERS[name].readNumber(text)


@pytest.mark.parametrize(
    ("name", "text", "over"),
    [
        ("sge", 'qdel: denied: job "99" does not exist\nme has deleted job 2 (exit code 1)', True),
        ("sge", "qdel: error: unable to send message to qmaster (exit code 1)", False),
        ("sge", 'qdel: denied: job "9" does not exist\nme - you have no such right (exit code 1)', False),
        ("pbs", "qdel: Unknown Job Id 7.pbsserver (exit code 153)", True),
        ("pbs", "qdel: Job has finished 7.pbsserver (exit code 35)", True),
        ("pbs", "qdel: Unauthorized Request 7.pbsserver (exit code 159)", False),
        ("lsf", "bkill: Job <7>: Job has already finished (exit code 255)", True),
        ("lsf", "bkill: Job <7>: User permission denied (exit code 255)", False),
        ("htcondor", "condor_rm: Couldn't find/remove all jobs matching constraint x (exit code 1)", True),
        ("htcondor", "condor_rm: Can't connect to schedd (exit code 1)", False),
        ("oar", "oardel: Job 7 is already terminated (exit code 4)", True),
        ("oar", "oardel: You are not the right user (exit code 1)", False),
    ],
)
def test_a_job_that_has_ended_meanwhile_is_no_failure(name, text, over):
    assert ADAPTERS[name].isOver(text) == over


def test_cancelling_names_what_it_is_for():
    assert ADAPTERS["sge"].constructCancel("x", ["7", "8"]) == ("qdel", "7", "8")
    wanted = ("condor_rm", "-constraint", 'AppionRun == "x" && (ClusterId == 7 || ClusterId == 8)')
    assert ADAPTERS["htcondor"].constructCancel("x", ["7.0", "8.0"]) == wanted


def writeScript(name, gpus=(0,), excluded=(), **settings):
    with dask.config.set({f"jobqueue.{name}.{key}": value for key, value in {"memory": "2GiB", **settings}.items()}):
        options = constructJobOptions(RUN, gpus, excluded, ADAPTERS[name])
        return JOBS[name]("tls://10.0.0.1:4711", "appion-5", **options).job_script()


#: What stands in a script with GPU, four processors, and, where it can be, without node1 and node2.
ASKED = {
    "sge": ["#$ -N appion-run_1-", "#$ -S /bin/bash", "#$ -l gpu=1", "#$ -l h=!(node1|node2)", "#$ -r n",
            "h_rt=00:30:00", "#$ -wd '/data/my session/run 1'"],
    "pbs": ["#PBS -l select=1:ncpus=4:mem=2048mb:ngpus=1", "#PBS -S /bin/bash", "#PBS -r n", "walltime=00:30:00"],
    "lsf": ['#BSUB -gpu "num=1:j_exclusive=yes"', "#BSUB -n 4", "#BSUB -W 00:30", "#BSUB -rn",
            "#BSUB -R \"select[hname!='node1' && hname!='node2']\""],
    "htcondor": ["request_gpus = 1", "RequestCpus = 4", 'Requirements = Machine != "node1" && Machine != "node2"',
                 "periodic_remove = ", 'MY.AppionRun = "appion-run_1-'],
    "oar": ["#OAR -l /nodes=1/gpu=1,walltime=00:30:00", "#OAR --stdout=/dev/null"],
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_scripts_ask_for_what_a_worker_needs_and_hand_on_what_it_must_know(name):
    script = writeScript(name, excluded=["node1", "node2"], cores=4)
    for words in ASKED[name]:
        assert words in script, script
    assert script.count("exec ") == 2, "the log, and the worker in place of the shell"
    for words in ("export APPION_JOB=", "export APPION_JOB_GPUS=1", "--nthreads 1 ", "--no-nanny", "jobs.jobworker"):
        assert words in script, script
    assert ("APPION_JOB_END" in script) == (name != "htcondor")
    without = writeScript(name, gpus=())
    assert not any(word in without for word in ("gpu=", "gpus", "GPUS"))
    label = ADAPTERS[name].constructName(RUN)
    assert label in script
    assert len(label) <= (15 if name == "pbs" else 48)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("sge", {"job-extra-directives": ["-l tesla_gpu=1"]}), ("sge", {"resource-spec": "gpus=1"}),
        ("pbs", {"resource-spec": "select=1:ncpus=2:ngpus=2"}), ("lsf", {"job-extra-directives": ["-gpu num=2"]}),
        ("htcondor", {"job-extra-directives": {"request_gpus": 2}}), ("oar", {"resource-spec": "/host=1/gpudevice=1"}),
    ],
)  # fmt: skip
def test_a_site_that_asks_for_gpus_itself_is_asked_no_more(name, settings):
    script = writeScript(name, **settings).lower().replace("export appion_job_gpus=1", "")
    assert script.count("gpu") == 1, script


@pytest.mark.parametrize(
    ("name", "text", "seconds"),
    [
        ("sge", "01:30:00", 5400), ("sge", 3600, 3600), ("pbs", "36:00:00", 129600), ("lsf", "01:30", 5400),
        ("lsf", 90, 5400), ("oar", "2", 7200), ("oar", "1:30:00", 5400), ("oar", None, 7200),
        ("htcondor", None, math.inf), ("sge", None, math.inf),
    ],
)  # fmt: skip
def test_time_limits(name, text, seconds):
    assert ADAPTERS[name].parseWalltime(text) == seconds


@pytest.mark.parametrize("name", ["sge", "pbs", "lsf", "oar"])
def test_a_time_limit_that_is_none_is_an_error(name):
    with pytest.raises(ConfigurationFailure, match=rf"jobqueue\.{name}\.walltime is 'noon'"):
        ADAPTERS[name].parseWalltime("noon")


@pytest.mark.parametrize("name", FILES)
def test_what_does_not_fit_is_said_before_the_first_job(name, monkeypatch, tmp_path):
    adapter = ADAPTERS[name]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationFailure, match=f"cluster is {name}, but {adapter.programs[0]} is not in PATH"):
        checkJobs((0,), None, adapter)
    for program in adapter.programs:
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    section = f"jobqueue.{name}"
    with dask.config.set({"appion.cluster": name, f"{section}.memory": "1GB"}):
        assert checkCluster((0,), 30) == name in CLUSTERS
        for key, value, words in (
            ("interface", "ib9", r"interface is 'ib9', which"), ("job-extra-directives", 3, "directives is 3"),
            ("cores", 0, "write a number of processors"), ("memory", "much", "memory is 'much'"),
        ):  # fmt: skip
            with dask.config.set({f"{section}.{key}": value}), pytest.raises(ConfigurationFailure, match=words):
                checkJobs((0,), None, adapter)
        if adapter.memory:
            with dask.config.set({f"{section}.memory": None}), pytest.raises(ConfigurationFailure, match="is not set"):
                checkJobs((0,), None, adapter)
        if name != "htcondor":
            with pytest.raises(ConfigurationFailure, match=f"{section}.walltime is .*set it to more than"):
                checkJobs((0,), 1e6, adapter)
    (tmp_path / "x.yaml").write_text(f"jobqueue:\n  {name}:\n    memroy: 3GB\n")
    monkeypatch.setattr(dask.config, "paths", [str(tmp_path)])
    with pytest.raises(ConfigurationFailure, match=rf"unknown setting jobqueue\.{name}\.memroy .*did you mean"):
        checkJobs((0,), None, adapter)


def test_jobs_are_those_of_the_user_that_this_process_is_of():
    assert findUser() == subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert calcOrder("9.server") < calcOrder("12.server") < calcOrder("12.x")


@pytest.mark.parametrize("name", PROGRAMS)
def test_doctor_asks_how_jobs_are(name, monkeypatch, tmp_path):
    service = StandIn(name, tmp_path)
    for key in ("PATH", "STANDIN"):
        monkeypatch.setenv(key, service.environment[key])
    settings = {"memory": "1GB", **({} if name == "htcondor" else {"walltime": "12:00:00"})}
    with dask.config.set({"appion.cluster": name, **{f"jobqueue.{name}.{key}": settings[key] for key in settings}}):
        (finding,) = runCheck(nameScheduler(), checkSlurm)
        assert (finding.level, finding.subject) == (NOTE, ADAPTERS[name].title), finding
        assert "not tried before a run (" in finding.text
        assert ADAPTERS[name].constructName(Path("/tmp/doctor")) in finding.text
        program = "qselect" if name == "pbs" else ADAPTERS[name].programs[1]
        (service.folder / "bin" / program).write_text("#!/bin/sh\necho connection refused >&2; exit 1\n")
        (finding,) = runCheck(nameScheduler(), checkSlurm)
        assert finding.level == TODO, finding
        assert "connection refused" in finding.text
