"""`appion doctor` in the words it prints."""

import copy
import json
import re
import time

import dask.config
import dask_jobqueue  # noqa: F401 (its settings have to be there before they are put back)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.failures import ConfigurationFailure
from appion.cli import main
from appion.doctor.database import judgeClocks
from appion.doctor.finding import TODO, Finding, runCheck
from appion.doctor.size import LOAD, calcWorkersNeeded
from tests.services.mariadb import MariaDB
from tests.services.sessions import makeSession


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A function that makes a program; these are the only ones in PATH."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(dask.config, "paths", list(dask.config.paths))
    before = copy.deepcopy(dask.config.config)
    dask.config.set({"appion.motioncorrection.executable": "motioncor-cpu", "appion.ctffind.executable": "ctffind-cpu"})

    def make(name, text):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
        return folder / name

    yield make
    dask.config.config.clear()
    dask.config.config.update(before)


@pytest.fixture
def consult(capsys):
    """A function that runs `appion doctor` and returns its exit code and lines."""

    def run(*words):
        code = main(["doctor", *map(str, words)])
        return code, capsys.readouterr().out.splitlines()

    return run


@pytest.mark.usefixtures("sqlitedatabase", "commands")
def testAHealthyLaboratory(consult, tmp_path):
    made = makeSession(images=0, root=tmp_path, projectid=1)
    (tmp_path / made.image_path).mkdir(parents=True, exist_ok=True)
    code, lines = consult(f"--rundir={tmp_path / 'ddstack1'}")
    text = "\n".join(lines)
    assert code == 0, text
    assert lines[-1] == "All is well."
    assert {line.split()[0] for line in lines[:-1]} == {"well", "note"}
    assert re.search(r"^well   database    ap1 of project 1: SQLite, .*ap1.sqlite3; nothing is missing$", text, re.M)
    assert re.search(r"^well   program     motioncor-cpu \S+ \(.*\): computes on processors", text, re.M)
    assert re.search(rf"^well   session     images of {made.name}: .* can be written to, \d+ GB left$", text, re.M)
    assert re.search(r"^well   run folder  .*ddstack1 is to be made: ", text, re.M)
    assert not (tmp_path / "ddstack1").exists()
    assert not list(tmp_path.glob(".appion-doctor*"))


@pytest.mark.usefixtures("commands")
@pytest.mark.usefixtures("mariadb")
def testADatabaseThatIsDown(consult, tmp_path, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PATH")
        server = MariaDB(tmp_path / "mariadb").start()
        server.stop()
    (tmp_path / "sinedon.cfg").write_text(server.constructConfig())
    (tmp_path / "sinedon.cfg").chmod(0o600)  # it holds a password
    for step, program in (("MOTIONCORRECTION", "motioncor-cpu"), ("CTFFIND", "ctffind-cpu")):
        monkeypatch.setenv(f"DASK_APPION__{step}__EXECUTABLE", program)
    code, lines = consult(f"--config={tmp_path}")
    assert code == 1
    assert lines[-1] == "1 thing to do"
    line = next(line for line in lines if " database " in line)
    assert line.startswith("TO DO  database    [leginondata] cannot open database 'leginondb' on 127.0.0.1:")
    assert f"Start the server, or correct {tmp_path / 'sinedon.cfg'}" in line


@pytest.mark.usefixtures("classicdatabase", "commands")
def testAnOldInstallationOnMyISAM(consult, mariadb):
    mariadb.execute("ALTER TABLE ap1.ApAppionJobData DROP COLUMN status")
    code, lines = consult("--projectid=1")
    assert code == 1
    text = "\n".join(lines)
    assert re.search(r"^note   database    leginondb: 127.0.0.1:\d+, server \S+, \d+ tables MyISAM; older than this "
                     r"package: \d+ tables and \d+ columns are missing \(what is missing reads as empty", text, re.M)
    assert re.search(r"^TO DO  database    ap1 of project 1: .*: 0 tables and 1 columns are missing\n"
                     r" +-> run: sinedon init --appiondb ap1$", text, re.M)
    assert re.search(r"^well   clock       within 5 s of the database server's$", text, re.M)
    mariadb.execute("ALTER TABLE ap1.ApAppionJobData ADD status VARCHAR(1)", "DROP TABLE ap1.ApGCtfFindParamsData")
    text = "\n".join(consult("--projectid=1")[1])
    assert re.search(r"^note   database    ap1 of project 1: .*: 1 tables and 0 columns are missing \(only gctffind.py "
                     r"needs it; sinedon check lists them\)$", text, re.M)
    assert "well   rights      a run may store its results" in text
    code, lines = consult("--projectid=77")
    assert code == 1
    assert any(line.startswith("TO DO  database    project 77 has no Appion database") for line in lines)


@pytest.mark.usefixtures("commands")
def testAUserWhoMayOnlyRead(consult, limited):
    limited.grant("SELECT ON *.*")
    code, lines = consult("--projectid=1")
    text = "\n".join(lines)
    assert code == 1
    assert re.search(r"^TO DO  rights      user 'limited'@'127.0.0.1' has no right to INSERT on table ap1.\w+\n"
                     r" +-> type: GRANT INSERT, UPDATE ON ap1.\* TO 'limited'@'127.0.0.1'$", text, re.M)
    assert re.search(r"^ +-> type: GRANT INSERT ON leginondb.\* TO 'limited'@'127.0.0.1'$", text, re.M)
    assert text.count("TO DO  rights") == 2
    limited.revoke("SELECT ON *.*")
    limited.grant("SELECT ON leginondb.SessionData")
    text = "\n".join(consult("--projectid=1")[1])
    assert "GRANT SELECT, INSERT, UPDATE ON projectdb.* TO 'limited'@'127.0.0.1'" in text


@pytest.mark.usefixtures("sqlitedatabase")
def testProgramsMissingBadAndUntried(consult, commands, tmp_path):
    def look(executable):
        dask.config.set({"appion.motioncorrection.executable": executable})
        return "\n".join(consult()[1])

    assert (
        "TO DO  program     program 'motioncor9' is not an executable file\n"
        "                   -> correct the setting motioncorrection.executable" in look("motioncor9")
    )
    text = look(None)
    assert "TO DO  program     no MotionCor2 was found: none of motioncor2, MotionCor2, MotionCor3, motioncor3" in text
    assert f"is in {tmp_path}/commands; the setting motioncorrection.executable names none" in text
    assert "; to compute on processors with what ships here: export DASK_APPION__MOTIONCORRECTION__EXECUTABLE" in text
    assert "no MotionCor3" not in text, "the same is told once"
    three = commands("motioncor3", "echo MotionCor3 version 1.1.2")
    text = look(None)
    assert f"well   program     motioncor3 1.1.2 ({three})\n" in text
    assert "note   program     makeDDAlignMotionCor2_UCSF.py: no MotionCor2 was found: motioncor3 1.1.2" in text
    bad = commands("MotionCor3_1.2.2", "echo MotionCor3 version 1.2.2")
    assert f"TO DO  program     motioncor3 1.2.2 ({bad}) writes wrong dose-weighted images\n" in look(str(bad))
    untried = commands("MotionCor2_9.9.9", "echo MotionCor2 version 9.9.9")
    text = look(str(untried))
    assert f"note   program     motioncor2 9.9.9 ({untried}) has not been tried" in text
    broken = commands("MotionCor2", "echo libcufft.so.10: cannot open shared object file; exit 127")
    text = look(str(broken))
    assert f"TO DO  program     motioncor2 of unknown version ({broken}) cannot be run on this host" in text
    assert "TO DO  GPU         none seen on this host (no nvidia-smi)\n" in text
    commands("nvidia-smi", "echo '0, NVIDIA A40, 46068 MiB, 535.54'")
    assert "well   GPU         0, NVIDIA A40, 46068 MiB, 535.54" in look(str(untried))
    commands("nvidia-smi", "echo no devices were found; exit 6")
    assert "TO DO  GPU         nvidia-smi shows none: no devices were found\n" in look(str(untried))


@pytest.mark.usefixtures("sqlitedatabase")
def testSlurmIsAskedWithTheSettingsOfTheWorkers(slurm, consult, commands, monkeypatch, tmp_path):
    def look():
        return next(line for line in "\n".join(consult()[1]).split("\n") if " Slurm " in line)

    dask.config.set({"appion.cluster": "slurm"})
    assert look().startswith("TO DO  Slurm       appion.cluster is slurm, but sbatch is not in PATH")
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, slurm.environment[name])
    assert "Slurm       jobqueue.slurm.memory is not set" in look()
    given = {"queue": "preprocessing", "memory": "1GB", "walltime": "02:00:00"}
    dask.config.set({f"jobqueue.slurm.{key}": value for key, value in given.items()})
    assert re.match(r"well   Slurm       takes the job of a worker \(.*-p preprocessing.*-t 02:00:00.*\): "
                    r"Job \d+ to start at .* in partition preprocessing", look())  # fmt: skip
    dask.config.set({"jobqueue.slurm.interface": "ib0"})
    assert look().startswith("TO DO  Slurm       jobqueue.slurm.interface is 'ib0', which ")
    dask.config.set({"jobqueue.slurm.interface": "lo", "jobqueue.slurm.queue": "gpu"})
    assert re.match(r"TO DO  Slurm       does not take the job of a worker: .*invalid partition", look())
    dask.config.set({"appion.cluster": "local"})
    assert look().startswith("well   Slurm       runJob.py can submit: Job ")
    commands("sbatch", "echo no such host >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path / "commands"))
    assert look() == "note   Slurm       runJob.py could not submit from here: no such host"


def testWrongSettingsAreFound(consult, commands, monkeypatch):
    commands("none", "")
    monkeypatch.setenv("DASK_APPION__POL", "5")
    code, lines = consult()
    assert code == 1
    assert lines[0].startswith("TO DO  settings    unknown setting appion.pol (from environment variable")
    assert main(["doctor", "--config=/nowhere"]) == 2


def testASiteFileThatIsBroken(capsys, commands, tmp_path):
    commands("none", "")
    (tmp_path / "jobqueue.yaml").write_text("jobqueue:\n  slurm: [\n")
    assert main(["doctor", f"--config={tmp_path}"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{tmp_path}/jobqueue.yaml, line 3" in told.err
    (tmp_path / "jobqueue.yaml").write_text("appion:\n  cluster: slurm\njobqueue:\n  slurm:\n    memroy: 1GB\n")
    for program in ("sbatch", "squeue", "scancel"):
        commands(program, "")
    main(["doctor", f"--config={tmp_path}"])
    assert "did you mean jobqueue.slurm.memory?" in capsys.readouterr().out


def testAFolderThatCannotBeUsed(consult, commands, tmp_path):
    commands("none", "")
    (tmp_path / "file").touch()
    assert "TO DO  run folder  run folder:" in "\n".join(consult(f"--rundir={tmp_path / 'file'}")[1])
    dask.config.set({"appion.free_space": 1e9})
    assert " GB left (appion.free_space: 1e+09)" in "\n".join(consult(f"--rundir={tmp_path}")[1])


def testACheckThatFailsOrHangsIsAFindingToo():
    def fail():
        yield Finding("well", "disk", "so far")
        raise OSError(5, "Input/output error")

    assert [finding.level for finding in runCheck("disk", fail)] == ["well", TODO]
    hung = runCheck("disk", lambda: time.sleep(30) or [], patience=0.1)
    assert [str(finding) for finding in hung] == ["TO DO  disk        it does not answer within 0.1 s"]


def testClocks():
    assert judgeClocks(-4.0).level == "well"
    assert judgeClocks(-42.0).text == "this host is 42 s behind the database server"
    assert judgeClocks(3600.0).level == TODO


@given(rate=st.floats(0.1, 1e5), seconds=st.floats(0.1, 1e5))
def testWorkersAreBusyForAtMostTheLoadAndNoneIsTooMany(rate, seconds):
    needed = calcWorkersNeeded(rate, seconds)
    work = rate * seconds / 3600
    assert work <= LOAD * needed * (1 + 1e-9)
    assert needed == 1 or work > LOAD * (needed - 1) * (1 - 1e-9)


def testSize(consult, tmp_path):
    assert consult("--size", "--rate=300", "--seconds=40") == (
        0, ["5 workers for 300 exposures per hour of 40 s each: 3.3 busy on average, 67 % of the time (at most 80 %)"]
    )  # fmt: skip
    assert consult("--size", "--rate=300")[0] == 2
    (tmp_path / ".appion").mkdir()
    status = {"arriving_per_hour": 90.0, "seconds_per_exposure": 30.0, "workers": {"planned": 1}}
    (tmp_path / ".appion" / "status.json").write_text(json.dumps(status))
    lines = consult("--size", f"--rundir={tmp_path}")[1]
    assert lines[0].startswith("1 worker for 90 exposures per hour of 30 s each: 0.75 busy")
    assert lines[1] == "the run has 1: enough"
    assert consult("--size", f"--rundir={tmp_path}", "--rate=300")[1][1] == "the run has 1: too few"
    status["arriving_per_hour"] = None
    (tmp_path / ".appion" / "status.json").write_text(json.dumps(status))
    assert consult("--size", f"--rundir={tmp_path}")[0] == 2
    with pytest.raises(ConfigurationFailure, match="--rate=-1 is not a number above zero"):
        calcWorkersNeeded(-1, 5)
