"""The commands by the names that the web pages of each age build, on databases of each age."""

import json
import os
import sys
from pathlib import Path

import dask.config
import pytest

import sinedon
from appion.cli import main as mainAppion
from appion.ctfestimation.cli.main import mainCtffind, mainGctf, mainGctffind
from sinedon.live import readLiveTables
from sinedon.models import appiondata
from sinedon.schema import createMissing, listMissing
from tests.ctfestimation.micrographs import saveMicrograph
from tests.ctfestimation.test_main import SIDE, makeImage
from tests.services.sessions import makeSession

FOLDER = Path(__file__).parent
FAKES = {"ctffind": "fakectffind", "gctfCurrent": "fakegctf", "gctffind": "fakegctffind"}
MAINS = {"ctffind4": mainCtffind, "ctffind5": mainCtffind, "gctf": mainGctf, "gctffind": mainGctffind}

#: What the pages add to every line.
TAIL = "--preset=enn --commit --projectid=1 --session={session} --no-rejects --no-wait --continue"
FIT = (
    "--ampcontrast=0.07 --fieldsize=1024 --resmin=50 --resmax=4 --defstep=0.1 --numstep=25 --dast=0.05 --parallel"
    " --min_phase_shift=10 --max_phase_shift=170 --phase_search_step=10"
)
GCTF = (
    "--ampcontrast=0.07 --defstep=0.1 --dast=0.1 --resmin=50 --resmax=4 --fieldsize=1024 --do_EPA --mdef_aveN=7"
    f" --runname=run1 --rundir={{root}}/ctf/run1 {TAIL} --bestdb --fastmode --expid={{expid}} --jobtype=gctf"
)
RUN = f"--runname=run1 --rundir={{root}}/ctf/run1 {TAIL} --bestdb --expid={{expid}} --jobtype=ctfestimate"
SAMPLE = (
    "--sample_tilt --sample_thickness --2D_refinement --low_resolution_nodes=30 --high_resolution_nodes=3"
    " --num_frame_avg=7"
)
LINES = {
    # the pages of 2024, of early 2025 (the same with another name), and of 2026
    ("ctffind4", 2024): f"{FIT} --num_frame_avg=7 {RUN}",
    ("ctffind5", 2025): f"{FIT} --num_frame_avg=7 {RUN}",
    ("ctffind5", 2026): f"{FIT} {SAMPLE} {RUN}",
    ("ctffind4", 2026): f"{FIT} {SAMPLE} {RUN}",
    ("gctf", 2024): GCTF,
    ("gctffind", 2026): (
        "--ampcontrast=0.07 --fieldsize=1024 --parallel --min_phase_shift=10 --max_phase_shift=170 --runname=run1"
        f" --rundir={{root}}/gctffind/run1 {TAIL} --expid={{expid}} --jobtype=ctfestimate"
    ),
}


@pytest.fixture(params=["sqlite", "mariadb", "classic"])
def eachdatabase(request):
    """SQLite, MariaDB as `init` makes it, and an installation of 2016 that `init` has completed."""
    names = {"sqlite": "sqlitedatabase", "mariadb": "mariadatabase", "classic": "classicdatabase"}
    return request.getfixturevalue(names[request.param])


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Make a session of one micrograph, and stand-ins for the programs, CTFFIND being 5.0.2."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, fake in FAKES.items():
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {FOLDER / fake}.py "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("VERSION", "5.0.2")

    def make(database):
        made = makeSession(images=1, root=tmp_path, dimension=(SIDE, SIDE), binning=1, pixelsize=1e-10, norm=False,
                           projectid=database.projectid)  # fmt: skip
        path = Path(made.image_path) / f"{made.filenames[0]}.mrc"
        path.parent.mkdir(parents=True)
        os.utime(saveMicrograph(path, makeImage(1)), (1e9, 1e9))
        return made

    settings = {"workers": 1, "poll": 0.5, "recheck": 0.2, "nowait_patience": 1, "attempts": 1, "free_space": 0}
    with dask.config.set({f"appion.{key}": value for key, value in settings.items()}):
        yield make


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call a command by its name with a line of the pages and more options; return its exit code."""

    def run(made, command, year, *more, without=()):
        line = LINES[command, year].format(root=tmp_path, session=made.name, expid=made.session_id)
        words = [word for word in line.split() if word.partition("=")[0] not in without]
        monkeypatch.setattr(sys, "argv", [f"/opt/appion/bin/{command}.py"])
        code = MAINS[command]([*words, *more])
        sinedon.setup(1)
        return code

    return run


def readAnswers(capsys):
    line = json.loads(capsys.readouterr().out)
    return line["argv"], line["answers"]


def test_linesOfTheFormsOfEveryAge(database, prepare, call, capsys, monkeypatch, tmp_path):
    made = prepare(database)
    for command, year in (("ctffind4", 2024), ("ctffind5", 2025)):
        assert call(made, command, year, "--dry-run") == 0
        argv, answers = readAnswers(capsys)
        assert argv == [f"{tmp_path}/bin/ctffind"]
        assert list(answers.values()) == [
            f"{made.name}_01enn.mrc", f"{made.name}_01enn-pow.mrc", "1.0", "300.0", "2.7", "0.07", "1024", "50.0",
            "4.0", "1000.0", "45000.0", "1000.0", "no", "no", "yes", "500.0", "no", "no", "no", "no",
        ]  # fmt: skip
    for command in ("ctffind5", "ctffind4"):
        assert call(made, command, 2026, "--dry-run") == 0
        answers = readAnswers(capsys)[1]
        assert list(answers.items())[-10:-1] == [
            ("Find additional phase shift?", "no"), ("Determine sample tilt?", "yes"),
            ("Determine samnple thickness?", "yes"), ("Use brute force 1D search?", "no"),
            ("Use 2D refinement?", "yes"), ("Low resolution limit for nodes", "30.0"),
            ("High resolution limit for nodes", "3.0"), ("Use rounded square for nodes?", "no"),
            ("Downweight nodes?", "no"),
        ]  # fmt: skip
    assert call(made, "ctffind5", 2026, "--dry-run", "--phase_plate") == 0
    printed = capsys.readouterr()
    assert "--sample_tilt: no effect together with --phase_plate" in printed.err
    assert "Determine sample tilt?" not in json.loads(printed.out)["answers"]
    monkeypatch.setenv("VERSION", "4.1.14")
    os.utime(tmp_path / "bin" / "ctffind", (1e9, 1e9))  # a program that has changed is asked for its version again
    assert call(made, "ctffind5", 2026, "--dry-run") == 0
    printed = capsys.readouterr()
    assert printed.err.count("no effect with ctffind 4.1.14") == 1
    assert len(json.loads(printed.out)["answers"]) == 18
    assert call(made, "gctf", 2024, "--dry-run") == 0
    assert "--do_EPA" in readAnswers(capsys)[0]
    monkeypatch.setenv("VERSION", "1.1.2")
    assert call(made, "gctffind", 2026, "--dry-run") == 0
    short = f"{made.name}_01enn"
    assert readAnswers(capsys) == ([
        f"{tmp_path}/bin/gctffind", "-InMrc", f"{short}.mrc", "-OutMrc", f"{short}-pow.mrc", "-OutCtf",
        f"{short}.ctf.txt", "-Cs", "2.700", "-kV", "300", "-PixSize", "1.00000", "-TileSize", "1024", "-AmpContrast",
        "0.0700", "-AstRange", "0.050", "-Serial", "0", "-Gpu", "0",
    ], {})  # fmt: skip
    assert call(made, "gctffind", 2026, "--dry-run", "--phase_plate") == 0
    assert " -ExtPhase 90.0 160.0 " in " ".join(readAnswers(capsys)[0])
    assert not appiondata.ScriptProgramRun.objects.exists()


def checkScript(command, jobtype):
    assert [row.name for row in appiondata.ScriptProgramName.objects.all()] == [command]
    job = appiondata.ApAppionJobData.objects.get(status="D")
    assert (job.jobtype, job.name) == (jobtype, "run1.appionsub.job")
    run = appiondata.ScriptProgramRun.objects.get()
    assert (run.runname, run.job_id) == ("run1", job.def_id)


def test_ctffind5(eachdatabase, prepare, call, tmp_path, capsys):
    made = prepare(eachdatabase)
    assert call(made, "ctffind5", 2026) == 0
    assert "CTFFIND 5 looks for the tilt of the sample, which takes about 16 times as long" in capsys.readouterr().err
    row = appiondata.ApCtfData.objects.get(image_id=made.image_ids[0])
    assert (row.tilt_angle, row.tilt_axis_angle, row.ctffind4_resolution) == (12.5, 10.35, 2.5)
    assert (row.defocus1, row.defocus2) == pytest.approx((1.50052e-6, 1.6005e-6))
    assert row.graph4 == f"{made.name}_01enn-pow_avrot.png"
    run = appiondata.ApAceRunData.objects.get(pk=row.acerun_id)
    assert (run.gctffind_params_id, run.ctffind4_params.resmin, run.path.path) == (None, 50.0, f"{tmp_path}/ctf/run1")
    checkScript("ctffind5", "ctfestimate")
    usages = set(appiondata.ScriptParamValue.objects.values_list("usage", flat=True))
    assert {"--sample_tilt", "--2D_refinement", "--low_resolution_nodes=30.0", "--high_resolution_nodes=3.0"} <= usages
    assert (tmp_path / "ctf/run1/ctffind5.log").exists()
    capsys.readouterr()
    assert mainAppion(["explain", f"{tmp_path}/ctf/run1", made.filenames[0]]) == 0
    assert "  thickness 841 Å\n" in capsys.readouterr().out


def test_gctffind(eachdatabase, prepare, call, monkeypatch):
    monkeypatch.setenv("VERSION", "1.1.2")
    made = prepare(eachdatabase)
    assert call(made, "gctffind", 2026, "--phase_plate", "--min_phase_shift=20", without=["--min_phase_shift"]) == 0
    row = appiondata.ApCtfData.objects.get(image_id=made.image_ids[0])
    assert (row.defocus1, row.defocus2, row.defocusinit) == pytest.approx((1.50052e-6, 1.6005e-6, 2e-6))
    assert (row.cross_correlation, row.confidence_d, row.angle_astigmatism) == (0.141, 0.3755, pytest.approx(29.92))
    assert row.extra_phase_shift == pytest.approx(1.658063)  # 95 degrees, the centre, which the stand-in gives back
    assert (row.ctffind4_resolution, row.graph4, row.localplot, row.tilt_angle) == (None, None, None, None)
    short = f"{made.name}_01enn"
    assert (row.graph1, row.graph2, row.graph3) == tuple(
        f"{short}{end}" for end in ("-powerspec.jpg", "-plots.png", "-pow.jpg")
    )
    assert row.resolution_80_percent > 0
    run = appiondata.ApAceRunData.objects.get(pk=row.acerun_id)
    assert run.ctffind4_params_id is None
    params = run.gctffind_params
    assert (params.ampcontrast, params.fieldsize, params.cs, params.astig) == (0.07, 1024, 2.7, 0.05)
    assert (params.shift_phase, params.min_phase_shift, params.max_phase_shift) == (True, 20.0, 170.0)
    checkScript("gctffind", "ctfestimate")


def test_oneRunByBothNamesButNotByAnotherProgram(database, prepare, call, tmp_path, capsys, monkeypatch):
    made = prepare(database)
    assert call(made, "ctffind4", 2024) == 0
    assert call(made, "ctffind5", 2025) == 0
    assert appiondata.ApCtfData.objects.count() == appiondata.ApAceRunData.objects.count() == 1
    assert [row.name for row in appiondata.ScriptProgramName.objects.order_by("def_id")] == ["ctffind4", "ctffind5"]
    capsys.readouterr()
    assert call(made, "ctffind5", 2026) == 2
    assert "run run1 has results of other options: " in (said := capsys.readouterr().err)
    assert "--sample_tilt off, now on" in said
    (tmp_path / "ctf/run1/.appion/options.json").unlink()
    assert call(made, "ctffind5", 2026) == 2
    assert "--sample_tilt off, now on" in capsys.readouterr().err
    assert call(made, "ctffind5", 2025) == 0
    monkeypatch.setenv("VERSION", "1.1.2")
    words = ["--rundir=" + str(tmp_path / "ctf/run1")]
    assert call(made, "gctffind", 2026, *words, without=["--rundir"]) == 2
    assert "was made by ctffind4.py or ctffind5.py, not by gctffind.py" in capsys.readouterr().err
    assert call(made, "gctf", 2024) == 2
    assert "was made by ctffind4.py or ctffind5.py, not by gctf.py" in capsys.readouterr().err


def test_aRunOfGctffindIsRefusedByTheOthers(database, prepare, call, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VERSION", "1.1.2")
    made = prepare(database)
    for own_table in (True, False):
        with dask.config.set({"appion.gctffind.own_table": own_table}):
            words = ["--runname=run2", f"--rundir={tmp_path}/gctffind/run2"] if not own_table else []
            without = ["--runname", "--rundir"] if words else []
            assert call(made, "gctffind", 2026, *words, without=without) == 0
            assert call(made, "gctffind", 2026, *words, without=without) == 0
        name = words[0].partition("=")[2] if words else "run1"
        for command in ("ctffind4", "gctf"):
            more = [f"--runname={name}", f"--rundir={tmp_path}/gctffind/{name}"]
            assert call(made, command, 2024, *more, without=["--runname", "--rundir"]) == 2
            assert "was made by gctffind.py, not by" in capsys.readouterr().err
    fallback = appiondata.ApCtfFind4ParamsData.objects.get()
    assert (fallback.resmin, fallback.defstep, fallback.bestdb, fallback.fieldsize) == (None, None, None, 1024)
    assert appiondata.ApGCtfFindParamsData.objects.count() == 1


def test_aSchemaWithoutGctffindIsEnoughForTheOthers(mariadb, classicdatabase, prepare, call, capsys):
    mariadb.execute(
        "ALTER TABLE ap1.ApAceRunData DROP COLUMN `REF|ApGCtfFindParamsData|gctffind_params`",
        "DROP TABLE ap1.ApGCtfFindParamsData",
    )
    readLiveTables("appiondata")
    made = prepare(classicdatabase)
    assert call(made, "gctffind", 2026) == 2
    said = capsys.readouterr().err
    assert "there is no table ApGCtfFindParamsData" in said
    assert "sinedon init; or, where nothing may be added to it, set gctffind.own_table to false" in said
    assert call(made, "ctffind5", 2026) == 0
    assert appiondata.ApCtfData.objects.get(image_id=made.image_ids[0]).tilt_angle == 12.5
    with dask.config.set({"appion.gctffind.own_table": False}):
        assert call(made, "gctffind", 2026, "--runname=run2", "--rundir=/tmp/none/run2",
                    "--dry-run", without=["--runname", "--rundir"]) == 0  # fmt: skip


@pytest.mark.usefixtures("classicdatabase")
def test_tableAndColumnAreMadeTogether(mariadb):
    """The column first: pages join every table of parameters that is there by a column of the run's table."""
    mariadb.execute(
        "ALTER TABLE ap1.ApAceRunData DROP COLUMN `REF|ApGCtfFindParamsData|gctffind_params`",
        "DROP TABLE ap1.ApGCtfFindParamsData",
    )
    assert [str(item) for item in createMissing("appiondata")] == [
        "column REF|ApGCtfFindParamsData|gctffind_params of table ApAceRunData", "table ApGCtfFindParamsData",
    ]  # fmt: skip
    assert listMissing("appiondata") == []
