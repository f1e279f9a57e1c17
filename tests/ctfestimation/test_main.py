"""The whole programs: a session, its micrographs, a classic command line, rows and files at the end."""

import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import dask.config
import mrcfile
import numpy as np
import pytest

import sinedon
from appion.base.store.path import savePathData
from appion.cli import main as mainAppion
from appion.ctfestimation.calc.internal import calcCTFConfidence
from appion.ctfestimation.cli.main import mainCtffind, mainGctf
from sinedon.models import appiondata, leginondata
from tests.ctfestimation.micrographs import saveMicrograph
from tests.ctfestimation.sessions import addAligned, addCTF, addScope, makeDDStackRun
from tests.ctfestimation.simulated import simulateMicrograph
from tests.faults.test_daemon import renameMovies
from tests.motioncorrection import test_main as motioncor
from tests.services.sessions import addImages, makeSession

FAKES = {"ctffind": Path(__file__).parent / "fakectffind.py", "gctf": Path(__file__).parent / "fakegctf.py"}
ROOT = Path(__file__).parents[2]
SIDE = 512
movies = motioncor.session

#: Where one kind of database is enough: the embedded one, or the one without transactions.
on_sqlite = pytest.mark.parametrize("anydatabase", ["sqlite"], indirect=True)
on_mariadb = pytest.mark.parametrize("anydatabase", ["mariadb"], indirect=True)


def makeImage(seed):
    """Return an image with the defocus that the stand-ins find: the smaller one at 29.92 degrees."""
    return simulateMicrograph((SIDE, SIDE), 1.0, 1.50052e-6, 1.6005e-6, 29.92, bfactor=20.0, snr=1.0, seed=seed)


def installPrograms(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    for name, fake in FAKES.items():
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")


@pytest.fixture
def session(anydatabase, tmp_path, monkeypatch):
    """Three micrographs of 1 Å pixels, and stand-ins for both programs."""
    made = makeSession(images=3, root=tmp_path, dimension=(SIDE, SIDE), binning=1, pixelsize=1e-10, norm=False,
                       projectid=anydatabase.projectid)  # fmt: skip
    saveMicrographs(made)
    installPrograms(tmp_path, monkeypatch)
    settings = {"workers": 1, "poll": 0.5, "recheck": 0.2, "nowait_patience": 1, "attempts": 1, "free_space": 0}
    with dask.config.set({f"appion.{key}": value for key, value in settings.items()}):
        yield made


def saveMicrographs(made, images=None):
    folder = Path(made.image_path)
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(made.filenames):
        path = saveMicrograph(folder / f"{name}.mrc", makeImage(number) if images is None else images[number])
        os.utime(path, (1e9, 1e9))


def constructArguments(made, tmp_path, *more, run="ctf/ctf1"):
    return [
        "--ampcontrast=0.07", "--fieldsize=512", "--resmin=50", "--resmax=4", "--defstep=0.1", "--numstep=25",
        "--dast=0.05", "--parallel", "--min_phase_shift=10", "--max_phase_shift=170", "--phase_search_step=10",
        "--num_frame_avg=7", f"--runname={Path(run).name}", f"--rundir={tmp_path}/appion/{made.name}/{run}",
        "--preset=enn", "--commit", "--projectid=1", f"--session={made.name}", "--no-rejects", "--no-wait",
        "--continue", "--bestdb", f"--expid={made.session_id}", "--jobtype=ctfestimate", *more,
    ]  # fmt: skip


def run(made, tmp_path, *more, **where):
    code = mainCtffind(constructArguments(made, tmp_path, *more, **where))
    sinedon.setup(1)
    return code


def readRows():
    return list(appiondata.ApCtfData.objects.order_by("def_id"))


def checkRow(row, rundir, short, micrograph, defocus_init):
    """Compare a row, column by column, with what the program's own file and the analysis say."""
    lines = (rundir / f"{short}-pow.txt").read_text().splitlines()
    values = [float(word) for word in next(line for line in lines if not line.startswith("#")).split()]
    angle = values[3] + 90 if values[3] <= 0 else values[3] - 90
    defoci = values[2] * 1e-10, values[1] * 1e-10
    found = calcCTFConfidence(mrcfile.read(micrograph), 1.0, *defoci, angle, 2.7, 300e3, 0.07)
    best = max(values[5], math.sqrt(values[5]), found.confidence_5_peak, found.confidence_30_10)
    expected = asdict(found) | {
        "defocus1": defoci[0], "defocus2": defoci[1], "angle_astigmatism": angle,
        "extra_phase_shift": values[4], "cross_correlation": values[5], "confidence_d": math.sqrt(values[5]),
        "confidence": best, "ctffind4_resolution": values[6], "cs": 2.7, "amplitude_contrast": 0.07,
        "defocusinit": defocus_init,
    }  # fmt: skip
    assert {name: getattr(row, name) for name in expected} == pytest.approx(expected, abs=1e-5)
    assert (row.defocus1, row.defocus2) == pytest.approx(defoci, rel=1e-9)
    assert [row.graph1, row.graph2, row.graph3, row.graph4] == [
        f"{short}{end}" for end in ("-powerspec.jpg", "-plots.png", "-pow.jpg", "-pow_avrot.png")
    ]
    for name in (row.graph1, row.graph2, row.graph3, row.graph4):
        assert (rundir / "opimages" / name).is_file()


def test_sessionIsDoneOnce(session, tmp_path, capsys):
    rundir = tmp_path / "appion" / session.name / "ctf" / "ctf1"
    submitted = sinedon.insertRow(appiondata.ApAppionJobData, name="ctf1.appionsub.job", jobtype="ctfestimate",
                                  path=savePathData(rundir), status="Q")  # fmt: skip
    assert run(session, tmp_path) == 0
    rows = readRows()
    assert sorted(row.image_id for row in rows) == sorted(session.image_ids)
    for row in rows:
        number = session.image_ids.index(row.image_id)
        short = f"{session.name}_0{number + 1}enn"
        checkRow(row, rundir, short, f"{session.image_path}/{session.filenames[number]}.mrc", 2e-6)
    assert "confidences of 3 images: 3 of" in capsys.readouterr().err
    ace = appiondata.ApAceRunData.objects.get()
    assert (ace.name, ace.session_id, ace.hidden, ace.path.path) == ("ctf1", session.session_id, False, str(rundir))
    assert (ace.ctffind4_params.cs, ace.ctffind4_params.defstep, ace.ctffind4_params.bestdb) == (2.7, 0.1, True)
    job = appiondata.ApAppionJobData.objects.get()
    assert (job.status, job.def_id) == ("D", submitted.def_id)
    assert appiondata.ScriptProgramName.objects.get().name == "ctffind4"
    assert not list((rundir / ".appion" / "journal").glob("*.json"))

    assert run(session, tmp_path) == 0
    assert readRows() == rows
    assert appiondata.ApAceRunData.objects.count() == appiondata.ApCtfFind4ParamsData.objects.count() == 1

    changed = [word for word in constructArguments(session, tmp_path) if not word.startswith("--ampcontrast")]
    assert mainCtffind([*changed, "--ampcontrast=0.1"]) == 2
    assert "run ctf1 has ampcontrast 0.07, now 0.1" in capsys.readouterr().err
    sinedon.setup(1)
    assert readRows() == rows


@on_mariadb
def test_reprocessAddsRowsForPoorImagesOnly(session, tmp_path):
    first, second, third = session.image_ids
    assert run(session, tmp_path, f"--startimgid={second}") == 0
    before = readRows()
    assert {row.image_id for row in before} == {second, third}
    poor = next(row for row in before if row.image_id == third)
    names = ("confidence", "confidence_d", "confidence_30_10", "confidence_5_peak")
    sinedon.updateRow(appiondata.ApCtfData, poor.def_id, **dict.fromkeys(names, 0.4))
    assert run(session, tmp_path, "--reprocess=0.5") == 0
    added = readRows()[2:]
    assert {row.image_id for row in added} == {first, third}
    assert len(added) == 2
    again = next(row for row in added if row.image_id == third)
    assert again.defocusinit == pytest.approx(again.defocus1)
    assert run(session, tmp_path, "--reprocess=0.5") == 0
    assert len(readRows()) == 4


@on_mariadb
def test_badMicrographsLeaveTheGoodOnesAlone(session, tmp_path, capsys):
    folder = Path(session.image_path)
    image = np.ones((SIDE, SIDE))
    constant, nan, good = session.filenames
    saveMicrograph(folder / f"{constant}.mrc", image)
    saveMicrograph(folder / f"{nan}.mrc", image * math.nan)
    for name in session.filenames:
        os.utime(folder / f"{name}.mrc", (1e9, 1e9))
    more = [addAligned(session, image_id, makeDDStackRun(session)) for image_id in session.image_ids[:2]]
    missing, truncated = (leginondata.AcquisitionImageData.objects.get(pk=one).filename for one in more)
    path = saveMicrograph(folder / f"{truncated}.mrc", makeImage(5))
    os.truncate(path, path.stat().st_size - 1000)
    os.utime(path, (1e9, 1e9))
    names = ",".join((*session.filenames, missing, truncated))
    words = [word for word in constructArguments(session, tmp_path, f"--mrclist={names}") if "--preset" not in word]
    assert mainCtffind(words) == 0
    sinedon.setup(1)
    assert [row.image_id for row in readRows()] == [session.image_ids[2]], good
    capsys.readouterr()
    mainAppion(["failures", f"{tmp_path}/appion/{session.name}/ctf/ctf1"])
    told = capsys.readouterr().out
    for name, reason in ((constant, "is 1 everywhere"), (nan, "not finite"), (missing, "is not there"),
                         (truncated, "bytes instead of")):  # fmt: skip
        assert name in told
        assert reason in told
    assert "not ready" in told


@on_sqlite
@pytest.mark.parametrize(
    ("model", "values", "said"),
    [
        ("ScopeEMData", {"high_tension": 300}, "high tension=300 is not possible: it looks like kV"),
        ("ScopeEMData", {"defocus": -2.0}, "defocus=-2 is not possible: it looks like µm"),
        ("PixelSizeCalibrationData", {"pixelsize": 1.0}, "pixelsize=1 is not possible: it looks like Å"),
        ("InstrumentData", {"cs": 2.7}, "cs=2.7 is not possible: it looks like mm"),
    ],
)
@pytest.mark.parametrize("main", [mainCtffind, mainGctf])
def test_valuesThatCannotBeStopARunBeforeItsFirstProgram(session, tmp_path, capsys, main, model, values, said):
    rows = getattr(leginondata, model).objects
    numbers = list(rows.values_list("def_id", flat=True))
    rows.update(**values)
    words = [word for word in constructArguments(session, tmp_path) if not word.startswith("--num_frame_avg")]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert any(f"{model} row {number}: " in told for number in numbers)
    sinedon.setup(1)
    assert readRows() == []
    assert not list((tmp_path / "appion").rglob("*pow*"))
    assert not list((tmp_path / "appion").rglob("logfiles/*"))


@on_sqlite
def test_oneOddImageDoesNotStopTheOthers(session, tmp_path, capsys):
    addScope(session.image_ids[-1], high_tension=300)  # the first that is looked at
    with dask.config.set({"appion.window": 1}):
        assert run(session, tmp_path) == 0
    assert "high tension=300 is not possible" in capsys.readouterr().err
    assert sorted(row.image_id for row in readRows()) == list(session.image_ids[:-1])


@on_sqlite
def test_afterMotionCorrection(movies, tmp_path, monkeypatch):
    assert motioncor.main(motioncor.constructArguments(movies, tmp_path)) == 0
    installPrograms(tmp_path, monkeypatch)
    words = [word.replace("--preset=enn", "--preset=enn-a") for word in constructArguments(movies, tmp_path)]
    with dask.config.set({"appion.ctfestimation.settle": 0}):
        assert mainCtffind(words) == 0
    sinedon.setup(1)
    images = sinedon.readRows(leginondata.AcquisitionImageData, [row.image_id for row in readRows()])
    assert sorted(row.filename for row in images.values()) == [f"{name}-a" for name in movies.filenames]
    for row in readRows():
        assert row.defocus1 == pytest.approx(1.50052e-6)


@on_sqlite
def test_alignedMicrographsAsTheyAppear(session, tmp_path):
    stack_run = makeDDStackRun(session)
    aligned = [addAligned(session, image_id, stack_run) for image_id in session.image_ids]
    for number, image_id in enumerate(aligned):
        name = leginondata.AcquisitionImageData.objects.get(pk=image_id).filename
        path = saveMicrograph(Path(session.image_path) / f"{name}.mrc", makeImage(number))
        os.utime(path, (1e9, 1e9))
    addCTF(session.image_ids[0], defocus1=1.7e-6, defocus2=1.8e-6)
    words = [word.replace("--preset=enn", "--preset=enn-a") for word in constructArguments(session, tmp_path)]
    assert mainCtffind(words) == 0
    sinedon.setup(1)
    rows = {row.image_id: row for row in readRows()[1:]}
    assert set(rows) == set(aligned)
    assert rows[aligned[0]].defocusinit == pytest.approx(1.7e-6)
    assert rows[aligned[0]].amplitude_contrast == 0.123
    assert rows[aligned[1]].graph1 == f"{session.name}_02enn-a-powerspec.jpg"


@on_sqlite
def test_dryRunWritesNothing(session, tmp_path, capsys):
    assert run(session, tmp_path, "--dry-run", "--limit=2") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["image_id"] for line in lines] == sorted(session.image_ids, reverse=True)[:2]
    assert lines[0]["argv"] == [str(tmp_path / "bin" / "ctffind")]
    answers = lines[0]["answers"]
    assert answers["Input image file name"] == f"{session.name}_03enn.mrc"
    assert (answers["Defocus search step"], answers["Expected (tolerated) astigmatism"]) == ("1000.0", "500.0")
    assert answers["Maximum defocus"] == "45000.0"
    assert not (tmp_path / "appion").exists()
    assert not appiondata.ApPathData.objects.exists()
    assert run(session, tmp_path, "--reprocess=0.5", "--dry-run") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@on_sqlite
def test_noCommitKeepsResultsInTheRunFolder(session, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RESOLUTION", "718")
    assert run(session, tmp_path, "--no-commit") == 0
    rundir = tmp_path / "appion" / session.name / "ctf" / "ctf1"
    said = "the fit found no rings: it holds up to 718 Å and began at 50 Å"
    assert f": {said}" in capsys.readouterr().err
    mainAppion(["status", str(rundir)])
    assert f"warned of: 3 x {said}" in capsys.readouterr().out
    assert mainAppion(["explain", str(rundir), session.filenames[0]]) == 0
    assert said in capsys.readouterr().out
    assert len(list((rundir / ".appion" / "journal").glob("*.json"))) == 3
    assert not appiondata.ApAceRunData.objects.exists()
    assert not appiondata.ApAppionJobData.objects.exists()
    assert readRows() == []


@on_mariadb
def test_resultsOfOtherOptionsAreNotStoredAsIfAskedFor(session, tmp_path, capsys):
    assert run(session, tmp_path, "--no-commit") == 0
    assert run(session, tmp_path, "--exhaust") == 0
    assert "3 results were computed with other options (exhaustive=False)" in capsys.readouterr().err
    assert len(readRows()) == 3


@on_sqlite
def test_gctf(session, tmp_path, capsys):
    words = [
        "--ampcontrast=0.07", "--defstep=0.1", "--dast=0.1", "--resmin=50", "--resmax=4", "--fieldsize=1024",
        "--do_EPA", "--mdef_aveN=7", "--runname=gctf1", f"--rundir={tmp_path}/appion/{session.name}/gctf/gctf1",
        "--preset=enn", "--commit", "--projectid=1", f"--session={session.name}", "--no-rejects", "--no-wait",
        "--continue", "--bestdb", "--fastmode", f"--expid={session.session_id}", "--jobtype=gctf",
    ]  # fmt: skip
    assert mainGctf([*words, "--dry-run", "--limit=1"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["answers"] == {}
    argv = line["argv"]
    values = {argv[i]: argv[i + 1] for i in range(1, len(argv) - 1)}
    assert [values[flag] for flag in ("--defL", "--defH", "--defS", "--astm", "--resL", "--resH", "--kv")] == [
        "1000.0", "45000.0", "1000.0", "1000.0", "50.0", "4.0", "300.0"
    ]  # fmt: skip
    assert "--do_EPA" in argv
    assert "--do_Hres_ref" not in argv
    assert mainGctf(words) == 0
    sinedon.setup(1)
    rows = readRows()
    assert {row.image_id for row in rows} == set(session.image_ids)
    for row in rows:
        assert (row.defocus1, row.defocus2) == pytest.approx((1.50052e-6, 1.6005e-6))
        assert row.angle_astigmatism == pytest.approx(29.92)
        assert (row.cross_correlation, row.ctffind4_resolution, row.resolution_80_percent) == (0.141, 3.25, None)
        assert row.graph1.endswith("-pow.jpg")
    assert appiondata.ApCtfFind4ParamsData.objects.get().local_refine is False
    assert appiondata.ApAppionJobData.objects.get().jobtype == "gctf"
    assert appiondata.ScriptProgramName.objects.get().name == "gctf"


@on_mariadb
def test_killedDaemonStoresEveryImageOnce(session, tmp_path, monkeypatch):
    made = addImages(session, 5)
    saveMicrographs(made, [None] * 8)
    renameMovies(made, "hang")  # so that it never gets done before it is killed
    command = [sys.executable, "-m", "appion.ctfestimation.cli.main", *constructArguments(made, tmp_path)]
    environment = os.environ | {"DASK_APPION__POLL": "0.5", "DASK_APPION__WORKERS": "2", "PIDS": str(tmp_path / "pids")}
    journal = tmp_path / "appion" / made.name / "ctf" / "ctf1" / ".appion" / "journal"
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and len(readRows()) < 2:
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    assert 2 <= len(readRows()) < 8
    monkeypatch.setenv("FAULT", "none")
    assert run(made, tmp_path) == 0
    assert Counter(row.image_id for row in readRows()) == dict.fromkeys(made.image_ids, 1)
    assert appiondata.ApAceRunData.objects.count() == 1
    assert not list(journal.glob("*.json"))


def test_programThatShipsHere(sqlitedatabase, tmp_path):
    made = makeSession(images=2, root=tmp_path, dimension=(1024, 1024), binning=1, pixelsize=1e-10, norm=False,
                       projectid=sqlitedatabase.projectid)  # fmt: skip
    saveMicrographs(made, [simulateMicrograph((1024, 1024), seed=seed) for seed in (1, 2)])
    settings = {"workers": 1, "poll": 0.5, "free_space": 0, "ctffind.executable": f"{ROOT}/bin/ctffind-cpu"}
    with dask.config.set({f"appion.{key}": value for key, value in settings.items()}):
        assert run(made, tmp_path) == 0
    rows = readRows()
    assert {row.image_id for row in rows} == set(made.image_ids)
    for row in rows:
        assert (row.defocus1, row.defocus2) == pytest.approx((1.5e-6, 1.6e-6), rel=5e-3)
        assert row.angle_astigmatism == pytest.approx(30, abs=3)
        assert row.confidence_30_10 > 0.8
        assert 2 < row.ctffind4_resolution < 5


@pytest.mark.usefixtures("database")
def test_wrongOptionsEndWithTwo(tmp_path, capsys):
    for wrong, reason in (
        (["--session=x", "--resmin=60"], "--resmin=60"),
        (["--session=x", "--defstep=1000"], "between 0.0001 and 2 microns"),
        (["--session=x", "--projectid=1"], "there is no session of this name"),
        (["--mrclist=a", "--preset=b"], "exclude each other"),
    ):
        assert mainCtffind([*wrong, f"--rundir={tmp_path}/run", "--runname=run"]) == 2
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
