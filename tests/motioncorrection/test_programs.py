"""Which program corrects the movies of a run: by the command, never another one, and never one in silence."""

import json
import shlex
import shutil
import sys
from pathlib import Path

import dask.config
import mrcfile
import pytest

import sinedon
from appion.base.programs.identify import askProgram
from appion.cli import main as mainAppion
from appion.motioncorrection.cli.main import main
from sinedon.models import appiondata, leginondata
from tests.motioncorrection import test_main as whole
from tests.motioncorrection.test_external import FAKE

session = whole.session
pytestmark = [pytest.mark.parametrize("anydatabase", ["sqlite"], indirect=True)]

#: Programs need a shell and nothing more.
PLAIN_PATH = "/usr/bin:/bin"


@pytest.fixture
def programs(tmp_path, monkeypatch, session):  # noqa: ARG001 (which changes PATH before)
    """A function that puts programs, by file name, kind and version, into a PATH with no others."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{PLAIN_PATH}")

    def install(**kinds):
        askProgram.cache_clear()
        shutil.rmtree(folder)
        folder.mkdir()
        for name, (kind, version) in kinds.items():
            script = folder / name
            script.write_text(f'#!/bin/sh\nKIND={kind} VERSION={version} exec {sys.executable} {FAKE} "$@"\n')
            script.chmod(0o755)

    return install


def start(made, tmp_path, capsys, *more):
    """Run the command; return its exit code and what it said."""
    words = whole.constructArguments(made, tmp_path, *more)
    code = main(words)
    sinedon.setup(1)
    return code, capsys.readouterr()


def readRun(made, tmp_path):
    """Return folder, options record, status and events of the run."""
    rundir = tmp_path / "appion" / made.name / "ddstack" / "ddstack1"
    events = [json.loads(line) for line in (rundir / ".appion" / "events.jsonl").read_text().splitlines()]
    record, status = (json.loads((rundir / ".appion" / name).read_text()) for name in ("options.json", "status.json"))
    return rundir, record, status, events


def test_capitalsInPathAreUsedAndNotTheProcessor(session, programs, tmp_path, capsys):
    """With only MotionCor2 and MotionCor3 in PATH, motioncor-cpu once corrected whole frames, without a word."""
    programs(MotionCor2=("motioncor2", "1.6.4"), MotionCor3=("motioncor3", "1.1.2"))
    code, said = start(session, tmp_path, capsys, "--dry-run", "--limit=1")
    assert code == 0
    line = json.loads(said.out)
    assert line["argv"][0] == str(tmp_path / "programs" / "MotionCor2")
    assert "-Patch 7 5" in " ".join(line["argv"])
    assert line["outputs"][-1].endswith("_st_Log.motioncor2.txt")
    code, said = start(session, tmp_path, capsys)
    assert (code, "motioncor2 1.6.4 (" in said.err) == (0, True)
    rundir, record, status, events = readRun(session, tmp_path)
    expected = {"kind": "motioncor2", "path": str(tmp_path / "programs" / "MotionCor2"), "version": "1.6.4"}
    assert record["external"] == expected
    assert status["external"] == expected
    computed = [event for event in events if event["what"] == "computed"]
    assert len(computed) == 3
    assert {(event["program"], event["program_version"]) for event in computed} == {("motioncor2", "1.6.4")}
    assert next(event for event in events if event["what"] == "started")["program"] == "motioncor2"
    for name in session.filenames:
        log = (rundir / f"{name}_st_Log.motioncor2.txt").read_text().splitlines()
        assert log[0].startswith("# motioncor2 1.6.4 (")
    for pair in appiondata.ApDDAlignImagePairData.objects.all():
        row = leginondata.AcquisitionImageData.objects.get(pk=pair.result_id)
        with mrcfile.open(Path(session.image_path) / row.mrc_image) as mrc:
            assert "made by motioncor2 1.6.4" in mrc.get_labels()
    mainAppion(["status", str(rundir)])
    assert f"  program: motioncor2 1.6.4 ({tmp_path}/programs/MotionCor2)\n" in capsys.readouterr().out
    mainAppion(["explain", str(rundir), session.filenames[0]])
    told = capsys.readouterr().out
    assert "program=motioncor2  program_version=1.6.4" in told
    assert "_st_Log.motioncor2.txt" in told


def test_missingProgramEndsWithTheLineThatChoosesTheProcessor(session, programs, tmp_path, capsys):
    programs()
    code, said = start(session, tmp_path, capsys)
    assert code == 2
    assert "no MotionCor2 was found: none of motioncor2, MotionCor2, MotionCor3, motioncor3" in said.err
    assert f"is in {tmp_path}/programs:/usr/bin:/bin;" in said.err
    assert not (tmp_path / "appion").exists()
    line = said.err.strip().rpartition("export ")[2].rstrip(")")
    name, _, value = shlex.split(line)[0].partition("=")
    assert (name, value) == ("DASK_APPION__MOTIONCORRECTION__EXECUTABLE", "motioncor-cpu")
    for setting in ({"appion.motioncorrection.executable": value}, {"appion.cpu_fallback": True}):
        with dask.config.set(setting):
            code, said = start(session, tmp_path, capsys, "--dry-run", "--limit=1")
        assert code == 0
        assert json.loads(said.out)["argv"][0].endswith("/motioncor-cpu")
        assert "--Patchrows has no effect" not in said.err
    assert "as the setting cpu_fallback says" in said.err


def test_theSiblingIsAWarningAndItsLogHasItsName(session, programs, tmp_path, capsys):
    programs(motioncor3=("motioncor3", "1.1.2"))
    code, said = start(session, tmp_path, capsys, "--limit=1")
    assert code == 0
    rundir, _, _, _ = readRun(session, tmp_path)
    text = f"no MotionCor2 was found: motioncor3 1.1.2 ({tmp_path}/programs/motioncor3) is used in its place"
    assert f"warning: {text}" in said.err
    assert f"WARNING {text}" in next(rundir.glob("*.log")).read_text()
    assert len(list(rundir.glob("*_st_Log.motioncor3.txt"))) == 1
    assert not list(rundir.glob("*_st_Log.motioncor2.txt"))


def test_aRunIsMadeByOneProgram(session, programs, tmp_path, capsys):
    """A forgotten `module load` must not mix sums of different programs."""
    programs(motioncor2=("motioncor2", "1.6.4"))
    assert start(session, tmp_path, capsys, "--limit=1")[0] == 0
    programs(motioncor3=("motioncor3", "1.1.2"))
    rundir, record, _, before = readRun(session, tmp_path)
    for more in ((), ("--dry-run",)):
        code, said = start(session, tmp_path, capsys, *more)
        assert code == 2
        folder = tmp_path / "programs"
        assert (
            f"run ddstack1 has results of motioncor2 1.6.4 ({folder}/motioncor2), and the program now is "
            f"motioncor3 1.1.2 ({folder}/motioncor3)" in said.err
        )
        assert "or choose another --runname and --rundir" in said.err
    with dask.config.set({"appion.motioncorrection.executable": "motioncor-cpu"}):
        assert start(session, tmp_path, capsys)[0] == 2
    assert appiondata.ApDDAlignImagePairData.objects.count() == 2
    assert readRun(session, tmp_path)[1:] == (record, json.loads((rundir / ".appion/status.json").read_text()), before)


def test_anotherVersionIsNotedOrRefused(session, programs, tmp_path, capsys):
    programs(motioncor2=("motioncor2", "1.5.0"))
    assert start(session, tmp_path, capsys, "--limit=1")[0] == 0
    programs(motioncor2=("motioncor2", "1.6.4"))
    with dask.config.set({"appion.strict_versions": True}):
        code, said = start(session, tmp_path, capsys)
    assert code == 2
    assert "has results of motioncor2 1.5.0" in said.err
    assert "the version now is another: motioncor2 1.6.4" in said.err
    assert "set strict_versions to false" in said.err
    code, said = start(session, tmp_path, capsys)
    assert code == 0
    path = tmp_path / "programs" / "motioncor2"
    text = (f"run ddstack1 has results of motioncor2 1.5.0 ({path}) and goes on with another version: "
            f"motioncor2 1.6.4 ({path})")  # fmt: skip
    assert f"warning: {text}" in said.err
    rundir, record, status, events = readRun(session, tmp_path)
    assert record["external"]["version"] == "1.6.4"
    assert [one["version"] for one in record["earlier"]] == ["1.5.0"]
    assert text in status["warnings"]
    assert [event["reason"] for event in events if event["what"] == "warning"] == [text]
    assert {event["program_version"] for event in events if event["what"] == "computed"} == {"1.5.0", "1.6.4"}
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    path = rundir / ".appion" / "options.json"
    path.write_text(json.dumps({key: value for key, value in record.items() if key not in ("external", "earlier")}))
    code, said = start(session, tmp_path, capsys)
    assert code == 0
    assert "nothing says which program made the results of run ddstack1: it goes on with motioncor2 1.6.4" in said.err


def test_whatAnotherProgramComputedIsNotStored(session, programs, tmp_path, capsys):
    """Results that a daemon left in the journal when it died, and the next one has another program."""
    programs(motioncor3=("motioncor3", "1.1.2"))
    assert start(session, tmp_path, capsys, "--no-commit")[0] == 0
    rundir = tmp_path / "appion" / session.name / "ddstack" / "ddstack1"
    assert len(list((rundir / ".appion" / "journal").glob("*.json"))) == 3
    programs(motioncor2=("motioncor2", "1.6.4"))
    code, said = start(session, tmp_path, capsys)
    assert code == 0
    assert "3 results were computed with another program (program motioncor3 1.1.2): they are not used" in said.err
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    assert len(list(rundir.glob("*_st_Log.motioncor2.txt"))) == 3
