"""The whole program: a session, its movies, a classic command line, rows and files at the end."""

import json
import os
import sys
import threading
import time
from pathlib import Path

import dask.config
import mrcfile
import numpy as np
import pytest

import sinedon
from appion.cli.status import showStatus
from appion.demo.writers import writeMovie
from appion.motioncorrection.cli.main import listIneffective, main
from appion.motioncorrection.cli.options import PROGRAM
from sinedon.models import appiondata, leginondata
from tests.motioncorrection.samples import makeOptions
from tests.motioncorrection.test_external import FAKE
from tests.services.sessions import makeSession

FRAMES = 5

#: What has to do with the kind of database is tried on both, the rest on either.
on_sqlite = pytest.mark.parametrize("anydatabase", ["sqlite"], indirect=True)
on_mariadb = pytest.mark.parametrize("anydatabase", ["mariadb"], indirect=True)


@pytest.fixture
def session(anydatabase, tmp_path, monkeypatch):
    """Three exposures of 64 x 48 pixels with gain and two bad columns, and a motioncor2 that adds up frames."""
    made = makeSession(images=3, nframes=FRAMES, root=tmp_path, dimension=(64, 48), bad_cols=(7, 8),
                       projectid=anydatabase.projectid)
    generator = np.random.default_rng(1)
    for name in made.filenames:
        movie = tmp_path / "frames" / made.name / "rawdata" / f"{name}.frames.tif"
        movie.parent.mkdir(parents=True, exist_ok=True)
        writeMovie(movie, generator.integers(0, 50, (FRAMES, 48, 64)).astype(np.uint8))
        os.utime(movie, (1e9, 1e9))
    gain = leginondata.NormImageData.objects.get(pk=made.norm_id)
    path = Path(leginondata.SessionData.objects.get(pk=gain.session_id).image_path) / gain.mrc_image
    path.parent.mkdir(parents=True, exist_ok=True)
    with mrcfile.new(path) as mrc:
        mrc.set_data(np.ones((48, 64), np.float32))
    script = tmp_path / "bin" / "motioncor2"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nKIND=motioncor2 exec {sys.executable} {FAKE} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    with dask.config.set({"appion.motioncorrection.check_orientation": 0}):
        yield made


def constructArguments(made, tmp_path, *more):
    return [
        "--bin=1", "--align", "--gpuids=0", "--rendered_frame_size=1", "--ddstartframe=0", "--MaskCentrow=0",
        "--MaskCentcol=0", "--MaskSizerows=1", "--MaskSizecols=1", "--Patchrows=5", "--Patchcols=7", "--Iter=7",
        "--FmRef=0", "--doseweight", "--Bft_global=500", "--Bft_local=100", "--alignlabel=a", "--nrw=1",
        "--runname=ddstack1", f"--rundir={tmp_path}/appion/{made.name}/ddstack/ddstack1", f"--preset={made.preset}",
        "--commit", "--projectid=1", f"--session={made.name}", "--no-rejects", "--continue", "--parallel",
        "--jobtype=makeddrawframestack", "--no-wait", *more,
    ]  # fmt: skip


def connect(database=1):
    sinedon.setup(database)


def test_sessionIsDoneOnce(session, tmp_path):
    assert main(constructArguments(session, tmp_path)) == 0
    connect()
    pairs = appiondata.ApDDAlignImagePairData.objects.all()
    assert sorted(pair.source_id for pair in pairs) == sorted(2 * session.image_ids)
    results = sinedon.readRows(leginondata.AcquisitionImageData, [pair.result_id for pair in pairs])
    folder = tmp_path / "leginon" / session.name / "rawdata"
    for row in results.values():
        assert mrcfile.read(folder / row.mrc_image).shape == (48, 64)
    assert {row.filename for row in results.values()} == {
        name.replace("enn", end) for name in session.filenames for end in ("enn-a", "enn-a-DW")
    }
    trajectories = appiondata.ApDDFrameTrajectoryData.objects.all()
    assert {row.number_of_positions for row in trajectories} == {FRAMES}
    assert len(trajectories) == appiondata.ApDDAlignStatsData.objects.count() == 3
    rundir = tmp_path / "appion" / session.name / "ddstack" / "ddstack1"
    assert len(list(rundir.glob("*_st_Log.txt"))) == len(list(rundir.glob("*_st_Log.motioncor2.txt"))) == 3
    assert len(list((rundir / "references").glob("defects-*.mrc"))) == 1
    assert not list(rundir.glob("*_c*.mrc"))
    log = next(rundir.glob("*_st_Log.motioncor2.txt")).read_text()
    assert "-DefectMap" in log
    job = appiondata.ApAppionJobData.objects.get()
    assert (job.status, job.jobtype) == ("D", "makeddrawframestack")
    assert appiondata.ScriptProgramName.objects.get().name == PROGRAM
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main(constructArguments(session, tmp_path)) == 0
    connect()
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    assert appiondata.ApDDStackRunData.objects.count() == 1


@pytest.mark.usefixtures("database")
def test_wrongOptionsEndWithTwo(tmp_path, capsys):
    for wrong, reason in (
        (["--session=x", "--bin=0.5", "--align"], "--bin=0.5"),
        (["--session=x"], "--align"),
        (["--session=x", "--align", "--gpuids=0,0"], "GPU twice"),
        (["--session=x", "--align", "--gainfile=/no/gain.mrc"], "/no/gain.mrc does not exist"),
        (["--session=x", "--align", "--ddstartframe=-1"], "--ddstartframe=-1"),
        (["--session=x", "--align", "--totaldose=inf"], "--totaldose=inf"),
        (["--session=x", "--align", "--totaldose=5.4e21"], "--totaldose=5.4e+21 is not possible: it looks like e/m²"),
        (["--session=x", "--align", "--totaldose=-54"], "--totaldose=-54 is not possible"),
        (["--session=x", "--align", "--bin=1000"], "--bin=1000 is not possible"),
        (["--session=x", "--align", "--Cs=0.0027"], "--Cs=0.0027 mm is next to nothing: it looks like m"),
        (["--session=x", "--align", "--AmpCont=7"], "--AmpCont=7 is not possible: it looks like %"),
        (["--session=x", "--align", "--eer_sampling=4"], "--eer_sampling=4"),
        (["--session=x", "--align", "--projectid=1"], "there is no session of this name"),
    ):
        assert main([*wrong, f"--rundir={tmp_path}/run", "--runname=run"]) == 2
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@on_sqlite
def test_aMovieMayAppearWhereItWasNotExpected(session, tmp_path):
    """Rows that do not tell the format: a movie that is not there yet is looked for in all of them."""
    sinedon.updateRow(leginondata.CameraEMData, sinedon.readRows(
        leginondata.AcquisitionImageData, session.image_ids)[session.image_ids[0]].camera_id, tiff_frames=None)
    movie = tmp_path / "frames" / session.name / "rawdata" / f"{session.filenames[0]}.frames.tif"
    events = tmp_path / "appion" / session.name / "ddstack" / "ddstack1" / ".appion" / "events.jsonl"
    movie.rename(tmp_path / "later.tif")

    def bring():
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and not (events.exists() and '"waiting"' in events.read_text()):
            time.sleep(0.05)
        (tmp_path / "later.tif").rename(movie)

    thread = threading.Thread(target=bring)
    thread.start()
    assert main(constructArguments(session, tmp_path)) == 0
    thread.join()
    connect()
    assert appiondata.ApDDAlignImagePairData.objects.filter(source=session.image_ids[0]).count() == 2


@on_mariadb
def test_framesThatMayBeMissing(session, tmp_path, capsys):
    """Without the setting such a movie is waited for, and its message names the setting; with it the rows follow."""
    movie = tmp_path / "frames" / session.name / "rawdata" / f"{session.filenames[0]}.frames.tif"
    writeMovie(movie, np.random.default_rng(2).integers(0, 50, (FRAMES - 1, 48, 64)).astype(np.uint8))
    os.utime(movie, (1e9, 1e9))
    with dask.config.set({"appion.motioncorrection.missing_frames": 0, "appion.attempts": 1}):
        main(constructArguments(session, tmp_path))
    attempts = (tmp_path / "appion" / session.name / "ddstack" / "ddstack1" / ".appion" / "events.jsonl").read_text()
    assert "up to appion.motioncorrection.missing_frames (now 0) may be missing" in attempts
    connect()
    assert appiondata.ApDDAlignImagePairData.objects.count() == 4
    with dask.config.set({"appion.motioncorrection.missing_frames": 1}):
        assert main([word.replace("ddstack1", "ddstack2") for word in constructArguments(session, tmp_path)]) == 0
    assert "1 of the 5 frames that the camera row says are missing" in capsys.readouterr().err
    connect()
    assert sorted(appiondata.ApDDFrameTrajectoryData.objects.values_list("number_of_positions", flat=True)) == [
        FRAMES - 1, FRAMES, FRAMES, FRAMES, FRAMES]


@on_sqlite
def test_anUnknownDoseIsCountedAndWarnedOfOnce(session, tmp_path, capsys):
    presets = leginondata.PresetData.objects.values_list("pk", flat=True)
    for preset in presets:
        sinedon.updateRow(leginondata.PresetData, preset, dose=None)
    assert main(constructArguments(session, tmp_path)) == 0
    assert capsys.readouterr().err.count("the dose is unknown") == 1
    rundir = tmp_path / "appion" / session.name / "ddstack" / "ddstack1"
    status = json.loads((rundir / ".appion" / "status.json").read_text())
    assert [(one["count"], one["text"].partition(",")[0]) for one in status["warned"]] == [(3, "the dose is unknown")]
    assert showStatus(rundir, as_json=False) == 2
    assert "warned of: 3 x the dose is unknown, so no dose-weighted sum was made" in capsys.readouterr().out


def readPlaces(tmp_path, made):
    """Return the status of a run and the names of everything among the session's images."""
    status = json.loads((tmp_path / "appion" / made.name / "ddstack" / "ddstack1/.appion/status.json").read_text())
    return status, list((tmp_path / "leginon" / made.name).glob("*/*-a*"))


@on_sqlite
@pytest.mark.parametrize(
    ("model", "values", "said"),
    [
        ("ScopeEMData", {"high_tension": 300}, "high tension=300 is not possible: it looks like kV"),
        ("PresetData", {"dose": 54.5}, "dose=54.5 is not possible: it looks like e/Å²"),
        ("PixelSizeCalibrationData", {"pixelsize": 0.413}, "pixelsize=0.413 is not possible: it looks like Å"),
        ("CameraEMData", {"exposure_time": 0.15}, "exposure time=0.15 is not possible: it looks like s"),
    ],
)
def test_valuesThatCannotBeStopARunBeforeItsFirstProgram(session, tmp_path, capsys, model, values, said):
    rows = getattr(leginondata, model).objects
    numbers = list(rows.values_list("def_id", flat=True))
    rows.update(**values)
    assert main(constructArguments(session, tmp_path)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert any(f"{model} row {number}: " in told for number in numbers)
    connect()
    assert not appiondata.ApDDAlignImagePairData.objects.exists()
    assert not appiondata.ApDDFrameTrajectoryData.objects.exists()
    assert appiondata.ApAppionJobData.objects.get().status == "E"
    status, images = readPlaces(tmp_path, session)
    assert (status["counts"]["done"], status["counts"]["set aside"], images) == (0, 0, [])
    assert not list((tmp_path / "appion").rglob("*.motioncor2.txt"))


@on_sqlite
@pytest.mark.parametrize("odd", [0, 1, 2])
def test_oneOddExposureDoesNotStopTheOthers(session, tmp_path, capsys, odd):
    """Whichever it is, were it the first that is looked at; mended, it is done at the next start."""
    exposure = leginondata.AcquisitionImageData.objects.get(pk=session.image_ids[odd])
    sinedon.updateRow(leginondata.ScopeEMData, exposure.scope_id, high_tension=300)
    with dask.config.set({"appion.window": 1}):
        assert main(constructArguments(session, tmp_path)) == 0
    assert f"ScopeEMData row {exposure.scope_id}: high tension=300 is not possible" in capsys.readouterr().err
    status, images = readPlaces(tmp_path, session)
    assert (status["counts"]["done"], status["counts"]["set aside"], len(images)) == (2, 1, 4)
    connect()
    sinedon.updateRow(leginondata.ScopeEMData, exposure.scope_id, high_tension=300000)
    assert main(constructArguments(session, tmp_path)) == 0
    assert readPlaces(tmp_path, session)[0]["counts"]["done"] == 3


@on_sqlite
def test_noCommitKeepsResultsInTheRunFolder(session, tmp_path):
    temporary = tmp_path / "fast"
    assert main(constructArguments(session, tmp_path, "--no-commit", "--limit=2", f"--tempdir={temporary}")) == 0
    assert [list(folder.iterdir()) for folder in temporary.iterdir()] == [[]]
    connect()
    rundir = tmp_path / "appion" / session.name / "ddstack" / "ddstack1"
    assert len(list(rundir.glob("*_c.mrc"))) == 2
    assert len(list(rundir.glob("*_c-DW.mrc"))) == 2
    assert not appiondata.ApDDAlignImagePairData.objects.exists()
    assert not appiondata.ApAppionJobData.objects.exists()


@on_mariadb
def test_resultsOfOtherOptionsAreNotStored(session, tmp_path, capsys):
    def run(*more):
        assert main(constructArguments(session, tmp_path, *more)) == 0
        connect()
        return capsys.readouterr()

    folder = tmp_path / "appion" / session.name / "ddstack" / "ddstack1"
    logs = [folder / f"{name}_st_Log.motioncor2.txt" for name in session.filenames]
    run("--no-commit", "--Iter=7", "--limit=2")
    kept = [log.stat().st_mtime_ns for log in logs[1:]]
    assert len(run("--dry-run", "--no-commit").out.splitlines()) == 1
    assert len(run("--dry-run", "--trim=2").out.splitlines()) == 3
    err = run("--trim=2", "--gpuids=0", "--no-commit", "--limit=1").err
    assert "2 results were computed with other options (trim=0)" in err
    assert logs[2].stat().st_mtime_ns > kept[1]
    again = logs[2].stat().st_mtime_ns
    run("--trim=2")
    assert logs[2].stat().st_mtime_ns == again  # of these options: stored, not computed again
    dimensions = leginondata.CameraEMData.objects.filter(align_frames=True).values_list("dimension_x", flat=True)
    assert set(dimensions) == {62}
    run("--trim=2", "--no-commit", "--no-continue", "--limit=1")
    again = logs[2].stat().st_mtime_ns
    run("--trim=2", "--no-commit", "--no-continue", "--limit=1")
    assert logs[2].stat().st_mtime_ns > again


@on_sqlite
def test_gainFileThatDoesNotFitStopsTheRun(session, tmp_path, capsys):
    job = sinedon.insertRow(appiondata.ApAppionJobData, name="ddstack1.appionsub.job", status="Q").def_id
    gain, rundir = tmp_path / "gain.mrc", tmp_path / "appion" / session.name / "ddstack" / "ddstack1"

    def run(content):
        with mrcfile.new(gain, overwrite=True) as mrc:
            mrc.set_data(content.astype(np.float32))
        if content.max() > 1:
            gain.write_bytes(b"this is no image at all" * 100)
        code = main(constructArguments(session, tmp_path, f"--gainfile={gain}", f"--jobid={job}"))
        connect()
        return code, capsys.readouterr().err

    code, told = run(np.full((48, 64), 2))
    assert (code, str(gain) in told, rundir.exists()) == (2, True, False)
    assert appiondata.ApAppionJobData.objects.get().status == "E"
    code, told = run(np.ones((40, 64)))
    assert code == 2
    error = [line for line in told.splitlines() if "error:" in line][-1]
    assert f"gain reference {gain}, turned as the frames are, has 64 x 40 pixels" in error
    assert "do not evenly divide the 64 x 48 pixels of" in error
    assert "give the right reference with --gainfile" in error
    assert appiondata.ApAppionJobData.objects.get().status == "E"
    assert not list(rundir.glob("*_st_Log*"))
    code, told = run(np.ones((48, 64)))
    assert code == 0, told
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    assert appiondata.ApAppionJobData.objects.get().status == "D"


def test_dryRunWritesNothing(session, tmp_path, capsys):
    assert main(constructArguments(session, tmp_path, "--dry-run", "--limit=2")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["image_id"] for line in lines] == sorted(session.image_ids, reverse=True)[:2]
    assert lines[0]["outputs"][0] == str(
        tmp_path / "leginon" / session.name / "rawdata" / f"{session.filenames[-1]}-a.mrc"
    )
    assert not (tmp_path / "appion").exists()
    connect()
    assert not appiondata.ApPathData.objects.exists()


@on_sqlite
def test_printConfig(session, tmp_path, capsys):
    assert main(constructArguments(session, tmp_path, "--print-config")) == 0
    text = capsys.readouterr().out
    assert "appion.motioncorrection.executable\tNone\tdefault" in text
    assert "--Patchcols\t7\tcommand line" in text


def test_optionsThatAProgramDoesNotKnow():
    options = makeOptions(patchrows=5, masksizerows=0.5, gpuids=(0, 1))
    assert listIneffective(options, "motioncor2") == []
    assert listIneffective(options, "motioncor3") == ["--MaskSizerows"]
    assert listIneffective(options, "motioncor-cpu") == ["--MaskSizerows", "--gpuids"]
