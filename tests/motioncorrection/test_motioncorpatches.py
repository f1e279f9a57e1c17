"""-Patch and -LogDir of motioncor-cpu."""

from __future__ import annotations

import os
import re

import dask.config
import mrcfile
import numpy as np
import pytest

import sinedon
from appion.base.retrieve.series import readSeries
from appion.demo.writers import writeMovie as writeQuickly
from appion.motioncorrection.calc.external.log import parseMotionCorLog, parsePatchShifts
from appion.motioncorrection.cli.main import main
from sinedon.models import appiondata
from tests.motioncorrection.movies import calcError, makeLocalFrames
from tests.motioncorrection.test_motioncorcpu import keepEnvironment, run, writeMovie
from tests.services.sessions import makeSession

pytestmark = pytest.mark.usefixtures(keepEnvironment.__name__)


@pytest.fixture(scope="module")
def movie():
    return makeLocalFrames(320, 10, 0.5, 5, 3, cols=400)


def readLog(path):
    return np.array([line.split() for line in path.read_text().splitlines() if line and line[0] != "#"], float)


def test_local_motion(tmp_path, capsys, movie):
    """The log has both tables, the files of -LogDir as well; both sums are sharper than those of whole frames."""
    frames, drift, local = movie
    source = writeMovie(tmp_path / "movie.mrc", frames)
    words = "-InMrc", source, "-PixSize", "1.1", "-FmDose", 1, "-LogDir", tmp_path
    code, out, _ = run(tmp_path, capsys, *words)
    assert code == 0
    assert parsePatchShifts(out) == []
    whole = {name: mrcfile.read(tmp_path / name) for name in ("sum.mrc", "sum_DW.mrc")}
    shifts = np.array(parseMotionCorLog(out))
    assert readLog(tmp_path / "movie-Full.log")[:, 1:] == pytest.approx(shifts, abs=0.006)
    (tmp_path / "movie-Full.log").unlink()

    code, out, err = run(tmp_path, capsys, *words, "-Patch", 4, 3, 20)
    assert (code, err) == (0, "")
    assert re.search(r"^Local motion: \d\.\d\d pixels at most\.$", out, re.MULTILINE)
    np.testing.assert_allclose(parseMotionCorLog(out), shifts, atol=2e-3)
    patches = np.array(parsePatchShifts(out))
    assert patches.shape == (12, 10, 4)
    assert patches[0, 0].tolist() == pytest.approx([50, 320 / 6, 0, 0], abs=0.01)
    assert patches[-1, 0].tolist() == pytest.approx([350, 320 * 5 / 6, 0, 0], abs=0.01)
    for centre, found in zip(patches[:, 0, :2], patches[:, :, 2:], strict=True):
        x, y = (round(8 * at / n) for at, n in zip(centre, (400, 320), strict=True))
        assert calcError(found + shifts, drift + local[:, :, y, x]) < 0.4
    assert readLog(tmp_path / "movie-Patch-Full.log").shape == (10, 3)
    byPatch, byFrame = (readLog(tmp_path / f"movie-Patch-{name}.log") for name in ("Patch", "Frame"))
    np.testing.assert_allclose(byPatch[:, 1:5], patches.reshape(-1, 4), atol=1e-3)
    np.testing.assert_allclose(byFrame.reshape(10, 12, 6).swapaxes(0, 1), byPatch.reshape(12, 10, 6))
    for name, before in whole.items():
        after = mrcfile.read(tmp_path / name)
        assert after.mean() == pytest.approx(before.mean(), rel=1e-3)
        assert after.var() > before.var()


def test_no_local_motion(tmp_path, capsys):
    frames, _, _ = makeLocalFrames(192, 6, 0.5, 0, 4)
    source = writeMovie(tmp_path / "movie.mrc", frames)
    sums = []
    for words in ((), ("-Patch", 0, 0), ("-Patch", 5, 5)):
        code, out, _ = run(tmp_path, capsys, "-InMrc", source, *words)
        assert code == 0
        sums.append(mrcfile.read(tmp_path / "sum.mrc"))
    assert "Local motion: none was found." in out
    assert not np.array(parsePatchShifts(out))[..., 2:].any()
    np.testing.assert_array_equal(sums[0], sums[1])
    np.testing.assert_array_equal(sums[0], sums[2])


def test_what_cannot_be(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    code, _, err = run(tmp_path, capsys, "-InMrc", source, "-Patch", 500, 5)
    assert (code, "-Patch 500 5" in err, "give 0 to 30 columns and rows" in err) == (2, True, True)
    code, _, err = run(tmp_path, capsys, "-InMrc", source, "-LogDir", tmp_path / "nowhere")
    assert (code, "(-LogDir)" in err) == (4, True)


@pytest.mark.usefixtures("database")
def test_a_run_has_local_motion(tmp_path, movie):
    """The daemon's patches reach the program; rows have the whole frames' shifts, the series has the local motion."""
    frames, drift, local = movie
    made = makeSession(images=1, nframes=len(frames), root=tmp_path, dimension=(400, 320), norm=False)
    place = tmp_path / "frames" / made.name / "rawdata" / f"{made.filenames[0]}.frames.tif"
    place.parent.mkdir(parents=True)
    (tmp_path / "leginon" / made.name / "rawdata").mkdir(parents=True)
    writeQuickly(place, frames)
    os.utime(place, (1e9, 1e9))
    rundir = tmp_path / "appion" / made.name / "ddstack" / "ddstack1"
    settings = {"appion.motioncorrection.check_orientation": 0,
                "appion.motioncorrection.executable": "motioncor-cpu"}
    with dask.config.set(settings):
        code = main([
            "--align", "--bin=1", "--Patchrows=3", "--Patchcols=4", "--Bft_global=150", "--doseweight",
            "--runname=ddstack1", f"--rundir={rundir}", f"--preset={made.preset}", "--commit", "--projectid=1",
            f"--session={made.name}", "--no-rejects", "--no-wait", "--jobtype=makeddrawframestack",
        ])  # fmt: skip
    assert code == 0
    sinedon.setup(1)
    (log,) = rundir.glob("*_st_Log.motioncor2.txt")
    text = log.read_text()
    assert re.search(r"^-Patch +4  3  0$", text, re.MULTILINE)
    shifts, patches = np.array(parseMotionCorLog(text)), np.array(parsePatchShifts(text))
    assert patches.shape == (12, 10, 4)
    assert calcError(shifts, drift + local.mean(axis=(2, 3))) < 0.3
    (line,) = readSeries(rundir).lines.values()
    moved = patches[:, :, 2:] - patches[:, :, 2:].mean(axis=1, keepdims=True)
    assert line["local_motion"] == pytest.approx(0.413 * 2 * np.sqrt((moved**2).sum(axis=2).mean()), rel=1e-3)
    assert line["local_motion"] > 0.3
    assert appiondata.ApDDFrameTrajectoryData.objects.get().number_of_positions == len(frames)
