"""`runJob.py` as the web pages call it, against a Slurm of our own."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import dask.config
import pytest

from appion.base.store.job import updateJobStatus
from appion.base.store.path import savePathData
from appion.runjob import main as runjob
from appion.runjob.command import readRequest
from sinedon.models import appiondata
from tests.services.sessions import makeSession

ROOT = Path(__file__).resolve().parent.parent.parent
LINE = (ROOT / "tests" / "base" / "cli" / "data" / "commands.txt").read_text().splitlines()[1]
PROGRAM = "makeDDAlignMotionCor2_UCSF.py"
jobs = appiondata.ApAppionJobData.objects

#: Stands for the program: writes down what it was given.
STANDIN = f"""#!{sys.executable} -S
import json, os, sys
with open("heard.json.tmp", "w") as file:
    json.dump([sys.argv[1:], {{name: os.environ.get(name, "") for name in ("WRAPPED", "PATH", "SLURM_JOB_ID")}}], file)
os.rename("heard.json.tmp", "heard.json")
print("done")
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Time for the database, however busy this machine is."""
    monkeypatch.setenv("DASK_APPION__RUNJOB__PATIENCE", "300")
    with dask.config.set({"appion.runjob.patience": 300}):
        yield


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of commands that is searched first, with the stand-in and the wrapper of the recorded lines."""
    for name, text in ((PROGRAM, STANDIN), ("memcappion", '#!/bin/sh\nWRAPPED=yes exec "$@"\n')):
        path = tmp_path / "site" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'site'}:{os.environ['PATH']}")
    monkeypatch.setattr("appion.runjob.script.findCommands", lambda: str(tmp_path / "site"))
    monkeypatch.setattr("appion.base.config._commandline", {})
    return tmp_path / "site"


@pytest.fixture
def call(capsys):
    """A function that runs runJob.py in this process and returns exit code, standard output and standard error."""

    def run(*words):
        code = runjob.main([os.fspath(word) for word in words])
        return code, *capsys.readouterr()

    return run


def fakeSbatch(site, text):
    (site / "sbatch").write_text(f"#!/bin/sh\n{text}\n")
    (site / "sbatch").chmod(0o755)


def shadow(slurm, site, program, script):
    """Put a program of that name, which may fall back on `$REAL`, before the real one."""
    real = slurm.run("sh", "-c", f"command -v {program}").stdout.strip()
    (site / program).write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    (site / program).chmod(0o755)


def parseOutput(output):
    """As the web pages do."""
    return int(re.search(r"([0-9]+)$", output.removesuffix("\n"))[1])


def awaitFile(path):
    end = time.monotonic() + 600
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not appear; {list(path.parent.iterdir())}"
        time.sleep(0.05)
    return json.loads(path.read_text())


def makeCall(rundir):
    """Make the session, the job row and the recorded call of the web pages for it; return the row and the words."""
    made = makeSession(images=0, name="m25mar27a", projectid=1)
    path_id = savePathData(rundir)
    row = jobs.create(path_id=path_id, clusterpath_id=path_id, name="ddstack1.appionsub.job", jobtype="x")
    ours = {"rundir": rundir, "projectid": 1, "jobid": row.def_id, "expid": made.session_id}
    words = [re.sub(r"^--(rundir|projectid|jobid|expid)=.*", lambda match: f"--{match[1]}={ours[match[1]]}", word)
             for word in shlex.split(LINE)]  # fmt: skip
    return row, [str(ROOT / "bin" / words[0]), *words[1:]]


def testARecordedLineFromTheShell(slurmcluster, site, sqlitedatabase, tmp_path):
    rundir = tmp_path / "new" / "ddstack1"
    row, words = makeCall(rundir)
    words[2] = str(site / PROGRAM)  # by its path, as the folder of the installation's own commands comes first
    done = subprocess.run(["memcappion", *words], capture_output=True, text=True, timeout=600,
                          env={**os.environ, "SINEDON_CFG_PATH": str(sqlitedatabase.folder)})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    job = parseOutput(done.stdout)
    assert done.stdout == f"{job}\n"
    assert slurmcluster.awaitJob(job) == "COMPLETED"
    told = slurmcluster.readJob(job)
    assert (told["Partition"], told["TimeLimit"], told["NumNodes"]) == ("preprocessing", "5-00:00:00", "1")
    arguments, environment = awaitFile(rundir / "heard.json")
    assert arguments == [word for word in words[3:] if not word.startswith(("--ppn", "--nodes", "--wall", "--queue"))]
    assert environment["WRAPPED"] == "yes"
    assert environment["PATH"].startswith(str(ROOT / "bin"))
    assert (rundir / "ddstack1.appionsub.log").read_text() == "done\n"
    assert not rundir.stat().st_mode & 0o002
    assert shlex.split((rundir / "run_commands.log").read_text().splitlines()[1])[1:] == words[1:]
    changed = jobs.get(def_id=row.def_id)
    assert (changed.clusterjobid, changed.status, changed.jobtype) == (job, "Q", "x")


@pytest.mark.usefixtures("sqlitedatabase", "site")
def testTheProgramItselfAsAJobTakesItsRowFromQueuedToDone(slurmcluster, tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_APPION__MOTIONCORRECTION__EXECUTABLE", "motioncor-cpu")
    rundir = tmp_path / "ddstack1"
    row, words = makeCall(rundir)
    done = subprocess.run([*words, "--no-wait"], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert slurmcluster.awaitJob(parseOutput(done.stdout), timeout=600) == "COMPLETED"
    changed = jobs.get()
    assert (changed.def_id, changed.status, changed.clusterjobid) == (row.def_id, "D", parseOutput(done.stdout))
    assert "ended: nothing is left to do" in (rundir / "ddstack1.appionsub.log").read_text()


@pytest.mark.usefixtures("sqlitedatabase", "site")
@pytest.mark.parametrize("given", [["--jobtype=makeddrawframestack"], []])
def testWithoutARowOneIsMadeAndTheProgramIsTold(slurmcluster, call, tmp_path, given):
    """Its type is the one that the web pages count, also where nobody said so."""
    made = makeSession(images=0, projectid=1)
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'ddstack1'}", f"--expid={made.session_id}", *given)
    assert (code, errors) == (0, "")
    row = jobs.values("def_id", "clusterjobid", "status", "name", "jobtype", "session_id", "path__path").get()
    arguments = awaitFile(tmp_path / "ddstack1" / "heard.json")[0]
    assert row == {
        "def_id": int(arguments[-1].removeprefix("--jobid=")), "clusterjobid": parseOutput(output), "status": "Q",
        "name": "ddstack1.appionsub.job", "jobtype": "makeddrawframestack", "session_id": made.session_id,
        "path__path": str(tmp_path / "ddstack1"),
    }  # fmt: skip
    slurmcluster.awaitJob(row["clusterjobid"])


@pytest.mark.usefixtures("anydatabase", "site")
def testAJobThatStartedMeanwhileKeepsItsStatus(site, call, tmp_path):
    makeSession(images=0, projectid=1)
    row = jobs.create(status="R")
    fakeSbatch(site, "echo '77;cluster'")
    words = [PROGRAM, f"--rundir={tmp_path / 'd1'}", "--projectid=1", f"--jobid={row.def_id}"]
    assert call(*words) == (0, "77\n", "")
    assert jobs.values_list("clusterjobid", "status").get() == (77, "R")
    jobs.update(status="")
    call(*words)
    assert jobs.get().status == "Q"
    updateJobStatus(row.def_id, "R")
    assert call(*words[:-1], "--jobid=999")[:2] == (0, "77\n"), "an unknown row is a warning"


@pytest.mark.usefixtures("site")
def testHostileWordsArriveUnchangedAndRunNothing(slurmcluster, call, tmp_path):
    rundir = tmp_path / "it's a $(touch pwned) `touch pwned`; \"run\" {{ command }} %j é"
    words = ["--description=$(touch pwned)", "--description", "a\n#SBATCH --partition=none\n'\"\\", "--preset=*",
             "--x=`touch pwned`", "&& touch pwned", "; touch pwned", "", " ", "--mrclist={{ rundir }}", "$HOME", "~",
             "!!", "é\udcff"]  # fmt: skip
    code, output, errors = call("memcappion", PROGRAM, "--rundir", rundir, *words, "--no-commit")
    assert code == 0, errors
    job = parseOutput(output)
    assert slurmcluster.awaitJob(job) == "COMPLETED"
    heard = json.loads((rundir / "heard.json").read_text())
    assert heard[0] == [f"--rundir={rundir}", *words, "--no-commit"]
    assert heard[1]["WRAPPED"] == "yes"
    assert not list(tmp_path.rglob("pwned"))
    assert not Path("pwned").exists()
    assert readRequest(shlex.split((rundir / "run_commands.log").read_bytes().decode("utf-8", "surrogateescape"),
                                   comments=True)[1:]).command[-2] == words[-1]  # fmt: skip


@pytest.mark.usefixtures("slurmcluster", "site")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--queue=nope"], "invalid partition"),
        (["--queue=main", "--mem=999999"], "not accepted"),
        (["--queue=x;y"], "--queue='x;y' is not the name of a partition"),
        (["--ppn=two"], "--ppn='two' is not a number"),
        (["--nodes"], "--nodes needs a value"),
    ],
)
def testAJobThatIsRefusedPutsNothingOnStandardOutput(call, tmp_path, options, words):
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit", *options)
    assert (code, output) == (1, "")
    assert words in errors
    assert errors.startswith("error: ")


@pytest.mark.usefixtures("site")
def testAControllerThatIsDown(slurmcluster, call, tmp_path):
    slurmcluster.stopController()
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")
    assert (code, output) == (1, "")
    assert "Unable to contact slurm controller" in errors


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exec sleep 60", "did not answer within 0.3 s"),
        ("echo Submitted", "printed no number of a job: 'Submitted'"),
        ("echo 12; echo 13", "printed more than one number (12, 13)"),
        ("echo 12; echo no >&2; exit 3", "not accepted: no"),
        ("exit 3", "sbatch ended with 3"),
    ],
)
def testAnSbatchThatMisbehaves(site, call, monkeypatch, tmp_path, script, words):
    monkeypatch.setattr(runjob, "setting", lambda key: 0.3 if key == "runjob.timeout" and "sleep" in script else
                        {"runjob.timeout": 30}.get(key))  # fmt: skip
    fakeSbatch(site, script)
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")
    assert (code, output) == (1, "")
    assert words in errors


BANNER = """echo "Welcome to the Lonestar 5 Supercomputer"; echo "--> Verifying valid submit host (login1)...OK" """


@pytest.mark.parametrize(
    "script",
    [
        f"{BANNER}; $REAL \"$@\"; echo 'Have a nice day, 5 jobs run'",
        "$REAL \"$@\" | sed 's/^/[2026-11-26 12:00:05] /'",
        "shift; $REAL \"$@\" | sed 's/$/ on cluster lab/'; echo 'Loading cuda/12.1'",
    ],
)
@pytest.mark.usefixtures("site")
def testAWrapperThatPrintsMore(slurmcluster, site, call, tmp_path, script):
    shadow(slurmcluster, site, "sbatch", script)
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")
    assert (code, errors) == (0, "")
    assert [int(output)] == list(slurmcluster.listJobs()) or slurmcluster.awaitJob(int(output)) == "COMPLETED"
    assert slurmcluster.readJob(int(output))["JobName"] == "d1"


@pytest.mark.parametrize(
    "script",
    [
        '$REAL "$@" > /dev/null; echo "Batch job submission failed: Socket timed out on send/recv" >&2; exit 1',
        "$REAL \"$@\" > /dev/null; echo 'thank you, job taken'",
        "$REAL \"$@\" > /dev/null; exec sleep 60",
    ],
)
@pytest.mark.usefixtures("site")
def testAJobWhoseNumberWasLostIsFound(slurmcluster, site, call, tmp_path, monkeypatch, script):
    """Also beside another job of the same name and folder; what is not there is not made up."""
    slurmcluster.submit("sleep 60", "--job-name=d1", f"--chdir={tmp_path}", "--hold")
    monkeypatch.setattr(runjob, "setting", lambda key: {"runjob.timeout": 1 if "sleep" in script else 30}.get(key))
    shadow(slurmcluster, site, "sbatch", script)
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")
    assert (code, errors) == (0, "")
    assert f"Command={tmp_path}/d1/d1.appionsub.job appion-" in slurmcluster.run("scontrol", "show", "job",
                                                                                output.strip()).stdout  # fmt: skip
    shadow(slurmcluster, site, "sbatch", script.replace('$REAL "$@" > /dev/null', ":"))
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")
    assert (code, output) == (1, "")
    shadow(slurmcluster, site, "squeue", "exit 3")
    errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")[2]
    assert "squeue does not say whether the job is there" in errors


@pytest.mark.usefixtures("sqlitedatabase")
@pytest.mark.parametrize("reason", ["wrapper", "folder", "log"])
def testAProgramThatNeverStartsLeavesE(slurmcluster, site, call, tmp_path, reason):
    rundir = tmp_path / "ddstack1"
    row, words = makeCall(rundir)
    (site / "runJob.py").write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/bin/runJob.py "$@"\n')
    (site / "runJob.py").chmod(0o755)
    wrapper = "nowrapper" if reason == "wrapper" else "memcappion"
    harm = {"wrapper": ":", "folder": f"mv {rundir} {rundir}.away; mkdir {tmp_path}/logs",
            "log": f"rm -f {rundir}/*.log; mkdir {rundir}/ddstack1.appionsub.log"}[reason]  # fmt: skip
    template = tmp_path / "template.sh"
    shipped = (ROOT / "appion" / "runjob" / "slurm.sh").read_text()
    template.write_text(shipped.replace("giveUp() {", f"{harm}\ngiveUp() {{"))
    (tmp_path / "out").mkdir()
    template.write_text(template.read_text().replace("{{ directives }}", f"#SBATCH --output={tmp_path}/out/%j"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runjob, "setting", {"runjob.template": str(template), "runjob.timeout": 30}.get)
        code, output, errors = call(wrapper, *words[2:])
    assert (code, errors) == (0, "")
    assert slurmcluster.awaitJob(int(output)) == "FAILED"
    assert jobs.get(def_id=row.def_id).status == "E"
    log = rundir / "ddstack1.appionsub.log" if reason == "wrapper" else tmp_path / "out" / output.strip()
    told = {"wrapper": "nowrapper: not found", "folder": "No such file", "log": "Is a directory"}[reason]
    assert told in log.read_text()
    assert "says E now" in log.read_text()
    jobs.update(status="R")
    assert call("--not-started", f"--jobid={row.def_id}", "--projectid=1") == (0, "", "")
    assert jobs.get(def_id=row.def_id).status == "R"


def testWithoutSbatchOrAPlaceToWrite(call, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--no-commit")
    assert (code, output) == (1, "")
    assert "no sbatch" in errors
    (tmp_path / "file").touch()
    assert call(PROGRAM, f"--rundir={tmp_path / 'file' / 'd1'}")[:2] == (1, "")
    assert call()[:2] == (1, "")


@pytest.mark.parametrize("words", [["--jobid=5", "--projectid=1"], ["--expid=1"]])
def testADatabaseThatIsAwayIsAWarning(site, call, tmp_path, monkeypatch, words):
    (tmp_path / "sinedon.cfg").write_text(
        "[global]\nhost: 127.0.0.1\nport: 1\nuser: u\n[leginondata]\ndb: l\n[projectdata]\ndb: p\n[appiondata]\n")
    monkeypatch.setenv("SINEDON_CFG_PATH", str(tmp_path))
    fakeSbatch(site, "echo 12")
    code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", *words)
    assert (code, output) == (0, "12\n")
    assert errors.startswith("warning: ")
    assert "127.0.0.1:1" in errors


def testADatabaseThatSaysNothingHoldsNobodyUp(site, call, tmp_path, monkeypatch):
    monkeypatch.setattr(runjob, "updateJobRow", lambda *_: time.sleep(5))
    monkeypatch.setattr(runjob, "findCommands", lambda: str(site))  # where nobody notes it later
    fakeSbatch(site, "echo 12")
    with dask.config.set({"appion.runjob.patience": 0.1}):
        code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--jobid=5")
    assert (code, output) == (0, "12\n")
    assert "row 5 does not say so: the database does not answer within 0.1 s" in errors


@pytest.mark.usefixtures("anydatabase", "site")
def testWhatTheDatabaseHadNoTimeForIsNotedLater(site, call, tmp_path, monkeypatch):
    """By a process of its own: the page has its answer, and the row has the number that the page aborts the job by."""
    (site / "runJob.py").symlink_to(ROOT / "bin" / "runJob.py")
    monkeypatch.setattr(runjob, "findCommands", lambda: str(site))
    monkeypatch.setattr(runjob, "updateJobRow", lambda *_: time.sleep(600))
    makeSession(images=0, projectid=1)
    row = jobs.create(status="")
    fakeSbatch(site, "echo 77")
    with dask.config.set({"appion.runjob.patience": 0.1}):
        code, output, errors = call(PROGRAM, f"--rundir={tmp_path / 'd1'}", "--projectid=1", f"--jobid={row.def_id}")
    assert (code, output) == (0, "77\n")
    assert f"row {row.def_id} does not say so yet: the database does not answer" in errors
    end = time.monotonic() + 600
    while jobs.values_list("clusterjobid", "status").get() != (77, "Q"):
        assert time.monotonic() < end
        time.sleep(0.1)
