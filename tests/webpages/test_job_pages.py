"""Pages of jobs: the menu's counts, the list of jobs and their logs, abort, and a run that is repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from appion.demo.commands import constructCtfCommand, constructMotionCorCommand, findCommand
from tests.webpages.filled import Filled, Row, insertWebJob

ROOT = Path(__file__).resolve().parents[2]

#: Names under which runs of the demo could have been started as well, and be repeated.
OTHER_NAMES = (
    "ctffind4.py", "ctffind5.py", "makeDDAlignMotionCor2_UCSF.py", "makeDDAlignMotionCor3.py", "motioncor3.py",
)  # fmt: skip

#: The list of jobs: where a job ran, by three ways of saying it.
JOBS = """
SELECT j.*, p.path, d.path AS dmfpath, c.path AS clusterpath FROM ApAppionJobData j
LEFT JOIN ApPathData p ON j.`REF|ApPathData|path` = p.DEF_id
LEFT JOIN ApPathData d ON j.`REF|ApPathData|dmfpath` = d.DEF_id
LEFT JOIN ApPathData c ON j.`REF|ApPathData|clusterpath` = c.DEF_id
WHERE j.`REF|leginondata|SessionData|session` = %s ORDER BY j.DEF_id
"""

#: Runs that can be repeated: those of a job, with the preset that they were told.
REPEATABLE = """
SELECT r.DEF_id AS id, n.name AS program, u.name AS username, s.name AS session, v.value AS preset, j.jobtype
FROM ScriptProgramRun r
JOIN ScriptProgramName n ON r.`REF|ScriptProgramName|progname` = n.DEF_id
JOIN ScriptUserName u ON r.`REF|ScriptUserName|username` = u.DEF_id
JOIN ApAppionJobData j ON r.`REF|ApAppionJobData|job` = j.DEF_id
JOIN leginondb.SessionData s ON j.`REF|leginondata|SessionData|session` = s.DEF_id
JOIN ScriptParamValue v ON v.`REF|ScriptProgramRun|progrun` = r.DEF_id
JOIN ScriptParamName o ON v.`REF|ScriptParamName|paramname` = o.DEF_id AND o.name = 'preset'
WHERE s.name = 'demo' ORDER BY r.DEF_id
"""


def testMenuCountsBothRunsWhileTheyRunAndAfter(filled: Filled):
    assert filled.running == {("makeddrawframestack", "R"): 1, ("ctfestimate", "R"): 1}
    assert filled.countJobs() == {("makeddrawframestack", "D"): 1, ("ctfestimate", "D"): 1}
    runs = filled.readOne(
        "SELECT count(*) AS number FROM ApAceRunData WHERE `REF|leginondata|SessionData|session` = %s AND "
        "(hidden IS NULL OR hidden = 0)",
        filled.session_id,
    )
    assert runs["number"] == 1


def testListOfJobsSaysWhereTheyRan(filled: Filled):
    jobs = {row["jobtype"]: row for row in filled.read(JOBS, filled.session_id)}
    plan = filled.plan
    for jobtype, rundir in (("makeddrawframestack", plan.rundir), ("ctfestimate", plan.ctf_rundir)):
        job = jobs[jobtype]
        assert (job["path"], job["clusterpath"]) == (str(rundir), str(rundir))
        assert job["name"] == f"{rundir.name}.appionsub.job"
        assert job["user"]
        assert job["cluster"]
    web = jobs["ctfestimate"]
    assert (web["DEF_id"], web["dmfpath"], web["status"]) == (filled.ctf_job, "", "D"), "the page's own row, no second"


@pytest.mark.usefixtures("_rowsRemoved")
def testAbortedJobEndsAndStaysAborted(filled: Filled, tmp_path: Path):
    """The job is submitted as a page does; this cluster runs it at once and calls it by the number of its process."""
    (tmp_path / "sbatch").write_text(
        '#!/bin/sh\nfor script; do case "$script" in -*) ;; *) break ;; esac; done\n'
        'setsid bash "$script" < /dev/null > /dev/null 2>&1 &\necho $!\n'
    )
    (tmp_path / "sbatch").chmod(0o755)
    environment = filled.environment | {"PATH": f"{tmp_path}:{filled.environment['PATH']}"}
    rundir = filled.plan.rundir
    job_id = insertWebJob(filled, rundir, "makeddrawframestack")
    command = [*findCommand(["runJob.py"]), *constructMotionCorCommand(filled.plan)]
    command += ["--jobtype=makeddrawframestack", "--ppn=1", "--nodes=1", "--walltime=2", f"--jobid={job_id}"]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=600).stdout
    process_id = int(said.split()[-1])
    try:
        job = waitForJob(filled, job_id, "R")
        log = Path(job["path"]) / job["name"].replace(".job", ".log")
        waitUntil(lambda: log.exists() and "of 5 done" in log.read_text(), log)
        filled.read("UPDATE ApAppionJobData SET status = 'A' WHERE DEF_id = %s AND user = %s", job_id, job["user"])
        os.kill(process_id, signal.SIGTERM)
        waitUntil(lambda: not isAlive(process_id), log)
    finally:
        if isAlive(process_id):
            os.killpg(process_id, signal.SIGKILL)
    assert job["clusterjobid"] == process_id
    after = filled.readOne("SELECT * FROM ApAppionJobData WHERE DEF_id = %s", job_id)
    assert (after["status"], after["jobtype"], after["clusterjobid"]) == ("A", "makeddrawframestack", process_id)
    assert "stays A" in "\n".join(log.read_text().splitlines()[-10:]), "what the page shows of the log"
    log.unlink()


def waitForJob(filled: Filled, job_id: int, status: str) -> Row:
    """Wait until a job has a status and its number, and return its line in the list of jobs."""

    def read() -> Row:
        return next(row for row in filled.read(JOBS, filled.session_id) if row["DEF_id"] == job_id)

    waitUntil(lambda: read()["status"] == status and read()["clusterjobid"] is not None, filled.plan.rundir)
    return read()


def waitUntil(condition, place: Path, timeout: float = 600) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, place.read_text() if place.is_file() else place
        time.sleep(0.1)


def isAlive(process_id: int) -> bool:
    """Whether a process, no child of ours, is there and has not ended."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def testEveryRunOfTheSessionCanBeRepeated(filled: Filled):
    runs = {run["jobtype"]: run for run in filled.read(REPEATABLE)}
    originals = {
        "makeddrawframestack": constructMotionCorCommand(filled.plan),
        "ctfestimate": constructCtfCommand(filled.plan),
    }
    assert {jobtype: run["preset"] for jobtype, run in runs.items()} == {
        "makeddrawframestack": "enn", "ctfestimate": "enn-a"}  # fmt: skip
    for jobtype, original in originals.items():
        run = runs[jobtype]
        line = constructAgain(filled, run["id"], run["program"])
        runDry(filled, line)  # with the results of the run there: its options count as the same
        anew = [runDry(filled, f"{words} --no-continue") for words in (line, " ".join(original))]
        assert anew[0] == anew[1] != "", line


def listOtherNames() -> list[str]:
    """Return those of the names that this package has."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    return [name for name in OTHER_NAMES if name in scripts]


@pytest.mark.parametrize("filled", ["init"], indirect=True)
@pytest.mark.parametrize("name", listOtherNames())
@pytest.mark.usefixtures("_rowsRemoved")
def testARunIsRepeatedUnderTheNameItWasStartedWith(filled: Filled, tmp_path: Path, name: str):
    original = [name, "--runname=again", f"--rundir={tmp_path / 'again'}", "--session=demo", "--projectid=1",
                "--preset=nothing", "--no-wait", "--description=it's 5 o'clock; really", "--commit"]  # fmt: skip
    if name.startswith("ctffind"):
        original += ["--defstep=0.1", "--resmax=4"]
    else:
        original += ["--align", "--Patchrows=0", "--gpuids=0"]
    subprocess.run(findCommand(original), env=filled.environment, check=True, capture_output=True, timeout=600)
    run = filled.read(REPEATABLE)[-1]
    jobtype = "ctfestimate" if name.startswith("ctffind") else "makeddrawframestack"
    assert (run["session"], run["preset"], run["jobtype"]) == ("demo", "nothing", jobtype), "what the menu counts"
    runDry(filled, constructAgain(filled, run["id"], run["program"]))


def constructAgain(filled: Filled, run_id: int, program: str) -> str:
    """Return the command line that the page for repeating a run makes of the recorded options.

    The form appends what it thinks is missing, whether or not it is.
    """
    usages = filled.read(
        "SELECT v.`usage` AS text FROM ScriptParamValue v "
        "JOIN ScriptParamName n ON v.`REF|ScriptParamName|paramname` = n.DEF_id "
        "WHERE v.`REF|ScriptProgramRun|progrun` = %s ORDER BY v.DEF_id",
        run_id,
    )
    again = f"--expid={filled.session_id} --projectid=1 --jobtype={program.lower()}"
    return " ".join([f"{program}.py", *(row["text"] for row in usages), again])


def runDry(filled: Filled, line: str) -> str:
    """Have a shell run a line without doing anything, and return what it printed."""
    done = subprocess.run(
        ["bash", "-c", f"{line} --dry-run"], env=filled.environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
    return done.stdout
