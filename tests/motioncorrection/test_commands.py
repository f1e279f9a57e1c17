"""The commands by the names that the web pages of each age build, on databases of each age."""

import json
import os
import sys

import numpy as np
import pytest

import sinedon
from appion.base.cli.options import parseArguments
from appion.base.cli.script import constructParameters
from appion.base.failures import ConfigurationFailure
from appion.base.records.program import Program
from appion.demo.writers import writeMovie
from appion.motioncorrection.calc.external.command import constructMotionCorCmd
from appion.motioncorrection.cli.main import main
from appion.motioncorrection.cli.options import constructMotionCorrectionParser, constructOptions
from sinedon.models import appiondata
from tests.motioncorrection.samples import makeOptions, makeParams
from tests.motioncorrection.test_command import readFlags
from tests.motioncorrection.test_external import FAKE
from tests.services.sessions import makeSession

FRAMES = 5
NAMES = ("makeDDAlignMotionCor2_UCSF", "makeDDAlignMotionCor3", "motioncor2", "motioncor3")

#: What both ages of the page build; the second has another name and nothing else.
LINE = (
    "--bin=1 --align --gpuids=0 --rendered_frame_size=1 --ddstartframe=0 --MaskCentrow=0 --MaskCentcol=0"
    " --MaskSizerows=1 --MaskSizecols=1 --Patchrows=5 --Patchcols=5 --Iter=7 --FmRef=0 --doseweight --totaldose=54"
    " --Bft_global=500 --Bft_local=100 --alignlabel=a --nrw=1 --runname=ddstack1 --rundir={root}/ddstack/ddstack1"
    " --preset=enn --commit --projectid=1 --session={session} --no-rejects --no-wait --continue --parallel"
    " --expid={expid} --jobtype=makeddrawframestack"
)


@pytest.fixture(params=["sqlite", "mariadb", "classic"])
def eachdatabase(request):
    """SQLite, MariaDB as `init` makes it, and an installation of 2016 that `init` has completed."""
    names = {"sqlite": "sqlitedatabase", "mariadb": "mariadatabase", "classic": "classicdatabase"}
    return request.getfixturevalue(names[request.param])


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Make a session of one exposure, and a stand-in for one program."""

    def make(database, program):
        made = makeSession(images=1, nframes=FRAMES, root=tmp_path, dimension=(64, 48), norm=False,
                           projectid=database.projectid)  # fmt: skip
        movie = tmp_path / "frames" / made.name / "rawdata" / f"{made.filenames[0]}.frames.tif"
        movie.parent.mkdir(parents=True)
        writeMovie(movie, np.random.default_rng(1).integers(0, 50, (FRAMES, 48, 64)).astype(np.uint8))
        os.utime(movie, (1e9, 1e9))
        (tmp_path / "leginon" / made.name / "rawdata").mkdir(parents=True)
        script = tmp_path / "bin" / program.lower()
        script.parent.mkdir()
        script.write_text(
            f'#!/bin/sh\ncase "$1" in --version) echo "{program} version 1.1.2"; exit 0;; esac\n'
            f'KIND={program.lower()} exec {sys.executable} {FAKE} "$@"\n'
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent), prepend=":")
        return made

    monkeypatch.setenv("DASK_APPION__MOTIONCORRECTION__CHECK_ORIENTATION", "0")
    return make


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call a command by its name with the line of the page and more options; return its exit code."""

    def run(made, name, *more):
        monkeypatch.setattr(sys, "argv", [f"/opt/appion/bin/{name}.py"])
        line = LINE.format(root=tmp_path, session=made.name, expid=made.session_id)
        code = main([*line.split(), *more])
        sinedon.setup(1)
        return code

    return run


def test_theLineOfBothAges(database, prepare, call, capsys):
    made = prepare(database, "MotionCor3")
    printed = []
    for name in NAMES:
        assert call(made, name, "--dry-run") == 0
        printed.append(json.loads(capsys.readouterr().out))
    argv = printed[0]["argv"]
    assert " ".join(argv[3:]) == (
        f"-OutMrc {made.filenames[0]}_c.mrc -Bft 500 100 -Iter 7 -Tol 0.500 -Patch 5 5 -Group 1 -FmDose 10.800"
        " -PixSize 0.826 -kV 300 -Cs 0 -FlipGain 0 -RotGain 0 -Gpu 0"
    )
    assert all(line["argv"] == argv for line in printed)
    assert call(made, "makeDDAlignMotionCor3", "--dry-run", "--cs=2.7", "--ampcont=0.1", "--extphase=90") == 0
    printed = capsys.readouterr()
    assert "-Cs 2.700 -AmpCont 0.100 -ExtPhase 90" in " ".join(json.loads(printed.out)["argv"])
    assert printed.err.count("--Cs=2.7: MotionCor3 estimates the CTF of every sum as well") == 1


@pytest.mark.parametrize("name", ["makeDDAlignMotionCor3", "motioncor2"])
def test_rowsHaveTheNameThatWasCalled(name, eachdatabase, prepare, call, tmp_path):
    made = prepare(eachdatabase, "MotionCor3")
    assert call(made, name) == 0
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(source_id=made.image_ids[0])
    assert {pair.result.filename for pair in pairs} == {
        made.filenames[0].replace("enn", end) for end in ("enn-a", "enn-a-DW")
    }
    run = appiondata.ApDDStackRunData.objects.get(pk=pairs[0].ddstackrun_id)
    assert (run.runname, run.params.method, run.params.align) == ("ddstack1", None, True)
    assert [row.name for row in appiondata.ScriptProgramName.objects.all()] == [name]
    assert appiondata.ApAppionJobData.objects.get(status="D").jobtype == "makeddrawframestack"
    assert (tmp_path / "ddstack" / "ddstack1" / f"{name}.log").exists()
    command = "makeDDAlignMotionCor3" if name == "motioncor2" else "motioncor3"
    assert call(made, command) == 0
    assert appiondata.ApDDAlignImagePairData.objects.filter(source_id=made.image_ids[0]).count() == 2
    assert appiondata.ApDDStackRunData.objects.filter(session=made.session_id).count() == 1


def test_otherOptionsAreRefusedByTheOtherNameToo(database, prepare, call, capsys, tmp_path):
    made = prepare(database, "MotionCor3")
    assert call(made, "makeDDAlignMotionCor3", "--Cs=2.7") == 0
    for record in (True, False):
        if not record:
            (tmp_path / "ddstack/ddstack1/.appion/options.json").unlink()
        capsys.readouterr()
        assert call(made, "motioncor3") == 2
        assert "has results of other options: --cs 2.7, now not given" in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_bothSpellings(name):
    parser = constructMotionCorrectionParser(f"{name}.py")
    expected = makeOptions(inskips=("gain", "dark"), cs=2.7, ampcont=0.1, extphase=90)
    for line in (
        "--inskips=gain,dark --cs=2.7 --ampcont=0.1 --extphase=90",
        "--InSkips=gain,dark --Cs=2.7 --AmpCont=0.1 --ExtPhase=90",
    ):
        args = parseArguments(parser, ["--session=s", "--align", *line.split()])
        assert constructOptions(args, parser) == expected
        assert constructParameters(args, parser)["cs"] == ("2.7", "--cs=2.7")
    args = parseArguments(parser, ["--session=s", "--align"])
    assert constructOptions(args, parser) == makeOptions()
    assert not {"cs", "ampcont", "extphase"} & set(constructParameters(args, parser))
    args = parseArguments(parser, ["--session=s", "--align", "--inskips=a,-Gpu"])
    with pytest.raises(ConfigurationFailure, match="begins with '-'"):
        constructOptions(args, parser)


def test_whatAnotherProgramDoesNotKnowIsSaid(database, prepare, call, capsys):
    made = prepare(database, "MotionCor2")
    assert call(made, "makeDDAlignMotionCor3", "--dry-run", "--Cs=0", "--InSkips=gain") == 0
    printed = capsys.readouterr()
    assert "--Cs has no effect with motioncor2" in printed.err
    assert "--InSkips has no effect with motioncor2" in printed.err
    assert not {"Cs", "InSkips"} & set(readFlags(json.loads(printed.out)["argv"]))


def test_abbreviationsOfTheFormerNamesStay():
    parser = constructMotionCorrectionParser("makeDDAlignMotionCor2_UCSF.py")
    parseArguments(parser, ["--session=s", "--I=5", "--pro=3"])
    assert parser.given["Iter"] == "--I=5"


def test_everythingForMotionCor3InOrder():
    params = makeParams(program=Program("motioncor3", "/opt/motioncor3", "1.1.2"),
                        options=makeOptions(inskips=("gain", "dark"), cs=2.7, ampcont=0.07, extphase=90))  # fmt: skip
    assert "-InSkips gain dark -Cs 2.700 -AmpCont 0.070 -ExtPhase 90 -FlipGain" in " ".join(
        constructMotionCorCmd(params, "a.mrc", "b.mrc")
    )
