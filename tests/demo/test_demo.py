"""The demo: its folder, its report, and all of it with few exposures."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sinedon
from appion.demo import main as demo
from appion.demo.leginon import Microscope, runSession
from appion.demo.plan import constructPlan
from appion.demo.report import Outcome, calcCorrelation, calcDriftError, formatTable, readOutcomes, readStored
from appion.demo.simulate import calcTrueDrift
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


def testCorrelationKnowsATurnedImage():
    image = np.random.default_rng(0).normal(size=(64, 64)).cumsum(axis=0).cumsum(axis=1)
    assert calcCorrelation(image, np.roll(image, 8, axis=0)) == pytest.approx(1.0)
    assert calcCorrelation(image, np.rot90(image)) < 0.95
    assert calcCorrelation(image, image[:32]) == 0.0


def testProblemsAreFoundAndSaid(tmp_path):
    planned = constructPlan(tmp_path, 5).exposures[0]
    exposure = planned.exposure
    dose, drift = exposure.dose * exposure.nframes, calcTrueDrift(exposure)
    fine = Outcome(planned, 1, ("a", "a-DW"), drift, 0.05, dose, exposure.pixelsize, 0.7)
    assert fine.findProblems() == []
    wrong = Outcome(planned, 1, ("a", "a-DW"), None, 2.0, 1.0, 2.0, 0.0)
    assert len(wrong.findProblems()) == 4
    assert "PROBLEM" in formatTable([wrong])
    assert Outcome(planned, 1, reason="truncated").findProblems() == ["not stored: truncated"]


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
    assert all(not outcome.is_stored for outcome in readOutcomes(plan, str))


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
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert "PROBLEM" not in done.stdout
    assert Path(tmp_path, "demo", "demo.png").stat().st_size > 10_000
    assert not Path(tmp_path, "demo", "frames").exists()
