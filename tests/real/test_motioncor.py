"""Real programs that correct movies, on movies whose drift is known.

APPION_MOTIONCOR2=/path/of/MotionCor2 APPION_MOTIONCOR3=… python -m pytest tests/real
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from appion.demo.writers import writeMovie
from sinedon.models import appiondata, leginondata
from tests.motioncorrection.movies import calcError, makeFrames
from tests.real.commands import Bench, readEvents, requireProgram
from tests.services.sessions import MadeSession, makeSession

SIDE, FRAMES = 1024, 12


@pytest.fixture(params=[("APPION_MOTIONCOR2", "motioncor2", "makeDDAlignMotionCor2_UCSF.py"),
                        ("APPION_MOTIONCOR3", "motioncor3", "makeDDAlignMotionCor3.py")],
                ids=["MotionCor2", "MotionCor3"])  # fmt: skip
def bench(request, tmp_path: Path) -> tuple[Bench, str]:
    variable, wanted, command = request.param
    return Bench(tmp_path, requireProgram(variable, wanted), "motioncorrection.executable"), command


@pytest.fixture
def made(bench, sqlitedatabase, tmp_path: Path) -> MadeSession:  # noqa: ARG001 (skips before anything is made)
    return makeSession(images=2, nframes=FRAMES, root=tmp_path, dimension=(SIDE, SIDE), binning=1, pixelsize=1e-10,
                       norm=False, projectid=sqlitedatabase.projectid)  # fmt: skip


def saveMovies(made: MadeSession, root: Path) -> dict[int, np.ndarray]:
    """Write the movies; return the drift of each, by the id of its image."""
    drifts = {}
    for image_id, name in zip(made.image_ids, made.filenames, strict=True):
        frames, drifts[image_id] = makeFrames(SIDE, FRAMES, seed=image_id)
        movie = root / "frames" / made.name / "rawdata" / f"{name}.frames.tif"
        movie.parent.mkdir(parents=True, exist_ok=True)
        writeMovie(movie, frames)
        os.utime(movie, (1e9, 1e9))
    return drifts


def constructWords(bench: Bench, made: MadeSession, run: str, *more: str) -> list[str]:
    return ["--bin=1", "--align", "--gpuids=0", "--ddstartframe=0", "--Iter=7", "--FmRef=0", "--doseweight",
            "--Bft_global=500", "--Bft_local=100", "--alignlabel=a", "--nrw=1", f"--runname={run}",
            f"--rundir={bench.folder}/appion/ddstack/{run}", f"--preset={made.preset}", "--commit", "--projectid=1",
            f"--session={made.name}", "--no-rejects", "--continue", "--parallel", "--no-wait",
            "--jobtype=makeddrawframestack", *more]  # fmt: skip


@pytest.mark.parametrize("patches", [(), ("--Patchrows=3", "--Patchcols=3")], ids=["whole frames", "patches"])
def test_runStoresImagesAndPositions(bench, made, tmp_path, patches):
    where, command = bench
    drifts = saveMovies(made, tmp_path)
    done = where.start(command, *constructWords(where, made, "dd1", *patches))
    assert done.returncode == 0, done.stderr
    pairs = list(appiondata.ApDDAlignImagePairData.objects.all())
    assert sorted(pair.source_id for pair in pairs) == sorted(2 * made.image_ids), done.stderr
    kind = where.program.kind
    for pair in pairs:
        row = leginondata.AcquisitionImageData.objects.get(pk=pair.result_id)
        with mrcfile.open(Path(made.image_path) / row.mrc_image) as mrc:
            assert mrc.data.shape == (SIDE, SIDE)
            assert f"made by {where.program.label}" in mrc.get_labels()
    for row in appiondata.ApDDFrameTrajectoryData.objects.all():
        source = next(pair.source_id for pair in pairs if pair.result_id == row.image_id)
        shifts = -np.column_stack([row.pos_x, row.pos_y])
        error = min(calcError(shifts * sign, drifts[source]) for sign in ((1, 1), (1, -1)))  # TIFF may be turned over
        assert error < 1.0
    rundir = tmp_path / "appion" / "ddstack" / "dd1"
    logs = list(rundir.glob(f"*_st_Log.{'motioncor3' if kind == 'motioncor3' else 'motioncor2'}.txt"))
    assert len(logs) == 2
    assert all(log.read_text("utf-8", "replace").startswith(f"# {where.program.label} (") for log in logs)
    assert {one["program"] for one in readEvents(rundir, "computed")} == {kind}
    assert not list(rundir.glob("*_Ctf*")), "it was told not to estimate the CTF"


def test_moviesThatAreNone(bench, made, tmp_path):
    """One is cut off, one is missing: both may still come, and nothing is stored."""
    where, command = bench
    saveMovies(made, tmp_path)
    first, second = sorted((tmp_path / "frames" / made.name / "rawdata").iterdir())
    os.truncate(first, os.path.getsize(first) // 2)
    second.unlink()
    done = where.start(command, *constructWords(where, made, "dd2"))
    assert done.returncode == 0, done.stderr
    assert appiondata.ApDDAlignImagePairData.objects.count() == 0
    status = json.loads((tmp_path / "appion" / "ddstack" / "dd2" / ".appion" / "status.json").read_text())
    assert status["counts"]["waiting"] == 2


def test_constantMovieIsTheImagesFault(bench, made, tmp_path):
    where, command = bench
    saveMovies(made, tmp_path)
    movies = sorted((tmp_path / "frames" / made.name / "rawdata").iterdir())
    for movie in movies:
        writeMovie(movie, np.zeros((FRAMES, SIDE, SIDE), np.uint8))
        os.utime(movie, (1e9, 1e9))
    done = where.start(command, *constructWords(where, made, "dd3"))
    assert done.returncode == 0, done.stderr
    assert appiondata.ApDDAlignImagePairData.objects.count() == 0
    events = readEvents(tmp_path / "appion" / "ddstack" / "dd3", "set aside")
    assert {event["class"] for event in events} == {"image"}
    assert len(events) == 2
