"""`appion ingest --what=motion`: a session, a folder of CryoSPARC's, rows and files at the end, computed by hand."""

from __future__ import annotations

import os
from pathlib import Path

import dask.config
import mrcfile
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import sinedon
from appion.cli.ingest import main
from sinedon.models import appiondata, leginondata
from tests.cryosparc import FRAMES, PIXEL, SHAPE, Made, Project, turnFromLeginon
from tests.services.sessions import makeSession

SETTINGS = {
    "workers": 1, "poll": 0.5, "recheck": 0.2, "nowait_patience": 1, "attempts": 1, "free_space": 0,
    "motioncorrection.settle": 0, "ctfestimation.settle": 0,
}  # fmt: skip


def makePicture(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(shape[0] * 4, shape[1] * 4))
    return gaussian_filter(noise, 3)[: shape[0], : shape[1]].astype(np.float32) * 100


def makeSite(tmp_path, images=3, flip=False, rotate=0, projectid=1, pictures=True, **more):
    """Make a session, Leginon's pictures, and its exposures as CryoSPARC has them."""
    rows, columns = SHAPE if rotate % 2 == 0 else SHAPE[::-1]
    session = makeSession(images=images, nframes=FRAMES, root=tmp_path, dimension=(columns, rows), binning=1,
                          pixelsize=PIXEL * 1e-10, frame_flip=flip, frame_rotate=rotate, norm=False,
                          projectid=projectid)  # fmt: skip
    folder = Path(session.image_path)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, name in enumerate(session.filenames):
        picture = makePicture(number, (rows, columns))
        if pictures:
            with mrcfile.new(folder / f"{name}.mrc") as mrc:
                mrc.set_data(picture)
        image = turnFromLeginon(picture, flip, rotate)
        made.append(Made(f"{session.frame_path}/{name}.frames.tif", 1000 + number, image=image, **more))
    return session, made


def run(session, tmp_path, folder, *more, what="motion", name="cs1"):
    words = [
        f"--cryosparc={folder}", f"--what={what}", f"--session={session.name}", "--projectid=1",
        f"--runname={name}", f"--rundir={tmp_path}/appion/{session.name}/cryosparc/{name}", "--commit", "--no-wait",
        *([] if any(word.startswith("--preset") for word in more) else [f"--preset={session.preset}"]), *more,
    ]  # fmt: skip
    with dask.config.set({f"appion.{key}": value for key, value in SETTINGS.items()}):
        code = main(words)
    sinedon.setup(1)
    return code


@pytest.mark.parametrize(("flip", "rotate"), [(False, 0), (True, 0), (False, 1), (True, 3)])
@pytest.mark.usefixtures("database")
def test_aJobIsStoredOnceAndAsComputedByHand(tmp_path, flip, rotate):
    session, made = makeSite(tmp_path, flip=flip, rotate=rotate)
    folder = Project(tmp_path / "P1", prefixed=True).makeJob("J3", made)
    assert run(session, tmp_path, folder) == 0
    pairs = list(appiondata.ApDDAlignImagePairData.objects.order_by("def_id"))
    assert sorted(pair.source_id for pair in pairs) == sorted(2 * session.image_ids)
    images = sinedon.readRows(leginondata.AcquisitionImageData, [pair.result_id for pair in pairs])
    for number, name in enumerate(session.filenames):
        for label in ("a", "a-DW"):
            stored = mrcfile.read(Path(session.image_path) / f"{name.replace('enn', f'enn-{label}')}.mrc")
            shape = SHAPE if rotate % 2 == 0 else SHAPE[::-1]
            assert np.array_equal(stored, makePicture(number, shape))
            assert stored.dtype == np.float32
    cameras = sinedon.readRows(leginondata.CameraEMData, [image.camera_id for image in images.values()])
    assert {(row.dimension_x, row.dimension_y) for row in cameras.values()} == {shape[::-1]}
    # the path of `Made`, from frame 3, the middle one of six, y the other way: written down by hand
    xs, ys = [-1.25, -0.75, -0.25, 0.0, 0.25, 0.25], [-2.25, -1.5, -0.5, 0.0, 0.5, 1.0]
    for row in appiondata.ApDDFrameTrajectoryData.objects.all():
        assert (row.pos_x, row.pos_y) == (pytest.approx(xs), pytest.approx(ys))
        assert (row.number_of_positions, row.reference_index) == (6, 3)
    for row in appiondata.ApDDAlignStatsData.objects.all():
        assert row.apix == pytest.approx(PIXEL)
        assert (row.top_shift1_value, row.top_shift1_index) == (pytest.approx(1.11803, abs=1e-5), 1)
    before = {path: path.stat().st_mtime_ns for path in Path(session.image_path).iterdir()}
    assert run(session, tmp_path, folder) == 0
    assert {path: path.stat().st_mtime_ns for path in Path(session.image_path).iterdir()} == before
    assert appiondata.ApDDAlignImagePairData.objects.count() == 6
    assert appiondata.ApDDStackRunData.objects.count() == 1
    assert os.listdir(folder / "motioncorrected")
