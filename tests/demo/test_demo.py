"""The demo: its folder, its report, and all of it with few exposures."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import sinedon
from appion.demo import main as demo
from appion.demo.leginon import Microscope, runSession
from appion.demo.outcome import (
    Focus,
    Outcome,
    calcAxisError,
    calcCorrelation,
    calcDriftError,
    calcTrueFocus,
)
from appion.demo.plan import constructPlan
from appion.demo.processes import DemoError, startProcess, stopProcesses
from appion.demo.report import readEstimated, readOutcomes, readPositions, readStored
from appion.demo.simulate import calcTrueDrift
from appion.demo.table import formatTable
from sinedon.models import leginondata


def testPlanHasOneOfEachSpecialKind(tmp_path):
    for count in (5, 6, 12):
        kinds = [planned.kind for planned in constructPlan(tmp_path, count).exposures]
        assert [kinds.count(kind) for kind in ("late", "broken", "camera-aligned")] == [1, 1, 1]
        assert kinds.count("good") == count - 3


def testAFolderWithOtherThingsIsLeftAlone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("x")
    assert demo.main(["--dir", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "x"


def testAFolderOfAnEarlierDemoIsReplaced(tmp_path):
    folder = tmp_path / "100% new"
    demo.prepareFolder(folder)
    (folder / "old").write_text("x")
    demo.prepareFolder(folder)
    assert not (folder / "old").exists()
    assert (folder / "sinedon.cfg").exists()


@pytest.mark.parametrize("argv", [["--exposures", "4"], ["--seconds-between", "-1"], ["--nonsense"]])
def testWrongOptionsEndWithTwo(argv):
    with pytest.raises(SystemExit) as ended:
        demo.main(argv)
    assert ended.value.code == 2


def testDriftErrorIgnoresWhereZeroIs():
    track = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    assert calcDriftError(track, track + np.array([5, -3])) == pytest.approx(0.0, abs=1e-12)
    assert calcDriftError(track, track * [-1, 1]) > 1
    assert calcDriftError(track, track[:2]) == float("inf")


def testLongTrajectoriesAreStoredInPart():
    """Twenty positions and the last one; which frames they are of is known."""
    row = SimpleNamespace(pos_x=[0.0, 1.0], pos_y=[0.0, -1.0], last_x=5.0, last_y=-5.0, number_of_positions=6)
    frames, positions = readPositions(row)
    assert frames == (0, 1, 5)
    assert positions.tolist() == [[0.0, 0.0], [1.0, -1.0], [5.0, -5.0]]
    row.number_of_positions = 2
    assert readPositions(row)[0] == (0, 1)
    assert readPositions(None)[0] == ()


def testCorrelationKnowsATurnedImage():
    image = np.random.default_rng(0).normal(size=(64, 64)).cumsum(axis=0).cumsum(axis=1)
    assert calcCorrelation(image, np.roll(image, 8, axis=0)) == pytest.approx(1.0)
    assert calcCorrelation(image, np.rot90(image)) < 0.95
    assert calcCorrelation(image, image[:32]) == 0.0


def testAxesHaveNoEnds():
    assert calcAxisError(89.0, -89.0) == pytest.approx(2.0)
    assert calcAxisError(10.0, -170.0) == pytest.approx(0.0)
    assert calcAxisError(10.0, 100.0) == pytest.approx(90.0)


def testProblemsAreFoundAndSaid(tmp_path):
    plan = constructPlan(tmp_path, 5)
    planned = plan.exposures[0]
    exposure, focus = planned.exposure, calcTrueFocus(plan, planned)
    assert focus.defocus1 < focus.defocus2
    measured = (calcTrueDrift(exposure), 0.05, exposure.dose * exposure.nframes, exposure.pixelsize, 0.7, 3.0)
    names = ("a", "a-DW")
    assert Outcome(planned, focus, 1, names, *measured, focus).findProblems() == []
    wrong = Outcome(planned, focus, 1, names, None, 2.0, 1.0, 2.0, 0.0, 3.0, None, reason="too dark")
    assert len(wrong.findProblems()) == 5
    assert "PROBLEM: no CTF: too dark" in formatTable([wrong])
    out_of_focus = Focus(focus.defocus1 * 1.01, focus.defocus2 * 0.99, focus.axis + 90)
    assert len(Outcome(planned, focus, 1, names, *measured, out_of_focus).findProblems()) == 3
    nonsense = Focus(float("nan"), float("nan"), float("nan"))
    assert len(Outcome(planned, focus, 1, names, *measured, nonsense).findProblems()) == 3
    assert Outcome(planned, focus, 1, reason="truncated").findProblems() == ["not stored: truncated"]


def testAProcessThatEndsOrWillNotEndIsNoticed(tmp_path):
    environment = dict(os.environ)
    failing = startProcess(["sh", "-c", "echo out of film; exit 3"], tmp_path / "camera.log", environment, ends=True)
    failing.popen.wait(20)
    with pytest.raises(DemoError, match="camera ended with code 3:\nout of film"):
        failing.checkRunning()
    daemon = startProcess(["sleep", "60"], tmp_path / "daemon.log", environment)
    daemon.checkRunning()
    stopProcesses([failing, daemon], 20.0)
    with pytest.raises(DemoError, match="daemon ended with code -15"):
        daemon.checkEnd()


@pytest.mark.usefixtures("sqlitedatabase")
def testSimulatedSessionHasRowsPicturesAndMovies(tmp_path):
    plan = constructPlan(tmp_path / "demo", 5, 0.0, shape=(96, 144), nframes=4)
    runSession(plan)
    rows = {row.filename: row for row in leginondata.AcquisitionImageData.objects.all()}
    assert len(rows) == 6
    cameras = sinedon.readRows(leginondata.CameraEMData, [row.camera_id for row in rows.values()])
    assert len(cameras) == 6
    sizes = {}
    for planned in plan.exposures:
        camera = cameras[rows[planned.filename].camera_id]
        assert (camera.dimension_x, camera.dimension_y, camera.frame_rotate) == (144, 96, 1)
        assert bool(camera.align_frames) == (planned.kind == "camera-aligned")
        assert (plan.image_path / f"{planned.filename}.mrc").exists()
        sizes[planned.kind] = (plan.frame_path / f"{planned.filename}.frames.tif").stat().st_size
    assert sizes["broken"] < 0.6 * sizes["good"]
    assert not readStored(plan)
    assert not readEstimated(plan)
    assert all(not outcome.is_stored for outcome in readOutcomes(plan))


@pytest.mark.usefixtures("sqlitedatabase")
def testSecondSessionInOneFolderIsRefused(tmp_path):
    plan = constructPlan(tmp_path / "demo", 5, 0.0, shape=(64, 96), nframes=2)
    Microscope(plan)
    with pytest.raises(FileExistsError):
        Microscope(plan)


def testDemoEndsWellWithFewExposures(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SINEDON", "DASK"))}
    environment["HOME"] = str(tmp_path)
    command = [sys.executable, "-c", "import sys; from appion.demo.main import main; sys.exit(main())"]
    done = subprocess.run(
        [*command, "--dir", "demo", "--exposures", "5", "--seconds-between", "0.5"],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "PROBLEM" not in done.stdout
    assert "corrected 4   CTF 4" in done.stdout
    assert "then http://127.0.0.1:8000/session/demo/ in a browser" in done.stdout
    assert 10_000 < Path(tmp_path, "demo", "demo.png").stat().st_size < 400_000
    assert not Path(tmp_path, "demo", "frames").exists()
