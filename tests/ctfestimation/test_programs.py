"""Which program estimates the CTF of a run: CTFFIND 4 and 5 may follow each other, with a word; no other may."""

import json

import dask.config
import mrcfile
import pytest

import sinedon
from appion.base.programs.identify import askProgram
from appion.ctfestimation.cli.main import mainCtffind, mainGctf
from sinedon.models import appiondata
from tests.ctfestimation import test_main as whole

session = whole.session
pytestmark = [pytest.mark.parametrize("anydatabase", ["sqlite"], indirect=True)]


def start(made, tmp_path, capsys, *more, main=mainCtffind):
    """Run the command; return its exit code and what it said."""
    askProgram.cache_clear()
    words = whole.constructArguments(made, tmp_path, *more)
    code = main(words)
    sinedon.setup(1)
    return code, capsys.readouterr()


def test_fourAndFiveFollowEachOther(session, tmp_path, capsys, monkeypatch):
    assert start(session, tmp_path, capsys, "--limit=1")[0] == 0
    monkeypatch.setenv("VERSION", "5.0.2")
    with dask.config.set({"appion.strict_versions": True}):
        assert start(session, tmp_path, capsys)[0] == 2
    code, said = start(session, tmp_path, capsys)
    assert code == 0
    path = tmp_path / "bin" / "ctffind"
    assert f"warning: no CTFFIND 4 was found: ctffind 5.0.2 ({path}) is used in its place" in said.err
    text = f"run ctf1 has results of ctffind 4.1.14 ({path}) and goes on with another version: ctffind 5.0.2 ({path})"
    assert f"warning: {text}" in said.err
    rundir = tmp_path / "appion" / session.name / "ctf" / "ctf1"
    record = json.loads((rundir / ".appion" / "options.json").read_text())
    assert (record["external"]["version"], record["earlier"][0]["version"]) == ("5.0.2", "4.1.14")
    events = [json.loads(line) for line in (rundir / ".appion" / "events.jsonl").read_text().splitlines()]
    versions = [event["program_version"] for event in events if event["what"] == "computed"]
    assert sorted(versions) == ["4.1.14", "5.0.2", "5.0.2"]
    assert text in [event.get("reason") for event in events if event["what"] == "warning"]
    heads = [path.read_text().splitlines()[0] for path in (rundir / "logfiles").iterdir()]
    programs = sorted(head.partition(" (")[0] for head in heads)
    assert programs == ["# ctffind 4.1.14", "# ctffind 5.0.2", "# ctffind 5.0.2"]
    assert appiondata.ApCtfData.objects.count() == 3


def test_theProgramOfThisPackageIsAnotherOne(session, tmp_path, capsys):
    assert start(session, tmp_path, capsys, "--limit=1")[0] == 0
    with dask.config.set({"appion.ctffind.executable": "ctffind-cpu"}):
        code, said = start(session, tmp_path, capsys)
        assert code == 2
        assert "run ctf1 has results of ctffind 4.1.14 (" in said.err
        assert ", and the program now is ctffind-cpu " in said.err
        assert start(session, tmp_path, capsys, "--no-continue", "--limit=1", "--no-commit")[0] == 0
    rundir = tmp_path / "appion" / session.name / "ctf" / "ctf1"
    for path in (rundir / "opimages").glob("*-pow.mrc"):
        with mrcfile.open(path) as mrc:
            labels = mrc.get_labels()
        if labels and labels[0].startswith("ctffind-cpu"):
            assert labels[1].startswith("made by ctffind-cpu ")
            break
    else:
        pytest.fail("ctffind-cpu left no picture")


@pytest.mark.parametrize(("main", "title", "line"), [
    (mainCtffind, "CTFFIND 4", "export DASK_APPION__CTFFIND__EXECUTABLE=ctffind-cpu"),
    (mainGctf, "Gctf", "name it with the setting gctf.executable"),
])  # fmt: skip
def test_missingProgramIsTold(session, tmp_path, capsys, monkeypatch, main, title, line):
    monkeypatch.setenv("PATH", str(tmp_path))
    known = ("--num_frame_avg", "--phase_search_step") if main is mainGctf else ()
    words = [word for word in whole.constructArguments(session, tmp_path) if not word.startswith(known)]
    code = main(words)
    said = capsys.readouterr()
    assert code == 2, said.err
    assert f"no {title} was found: none of " in said.err
    assert line in said.err
