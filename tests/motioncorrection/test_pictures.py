"""The small pictures that a corrected exposure leaves in its run folder."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from appion.base.records.runfolder import driftPlotPath, thumbnailPath
from appion.motioncorrection.calc.external import calcMotionCorrection
from appion.motioncorrection.calc.external.pictures import savePictures
from appion.motioncorrection.calc.internal.driftplot import EARLY, LATE, SIDE, calcPlaces, drawDrift
from tests.motioncorrection.samples import makeOptions
from tests.motioncorrection.test_external import makeExposure, makeScene, place

__all__ = ["place"]


def readGrey(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"), float)


def countColours(path):
    """How many pixels are of early steps, and of late ones."""
    with Image.open(path) as picture:
        assert picture.size == (SIDE, SIDE)
        pixels = np.asarray(picture.convert("RGB"), int)
    colours = [tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5)) for colour in (EARLY, LATE)]
    return [int((abs(pixels - colour).max(axis=-1) < 12).sum()) for colour in colours]


@pytest.mark.parametrize("turned", [{}, {"flip": True, "rotate": 1}])
def test_the_micrograph_as_Leginon_shows_it_and_its_drift(place, turned):
    scene = makeScene((600, 800))
    result = calcMotionCorrection(makeExposure(place, scene, options=makeOptions(doseweight=True), **turned))
    run = place / "run1"
    assert {path.name for path in (run / "thumbs").iterdir()} == {"image_00012enn.jpg", "image_00012enn.drift.png"}
    small = readGrey(thumbnailPath(run, "image_00012enn"))
    assert small.shape == (384, 512)
    shown = np.asarray(Image.fromarray(scene).resize((512, 384), Image.Resampling.BOX))
    assert np.corrcoef(small.ravel(), shown.ravel())[0, 1] > 0.9
    early, late = countColours(driftPlotPath(run, "image_00012enn"))
    assert (early > 20, late > 100) == (False, True), "a frame has 5 e/Å²"
    assert result.mean == pytest.approx(10 * scene.mean(), rel=1e-5)
    assert result.warnings == ()


def test_names_are_data_and_none_leads_out_of_the_folder(place):
    for name in ("..", ".hidden", "a b'\"<script>&;$(x)", "é\udcff", "a.drift"):
        for path in (thumbnailPath(place, name), driftPlotPath(place, name)):
            assert os.path.dirname(os.path.normpath(path)) == str(place / "thumbs")
    names = ("a", "a.drift", "a.drift.png", "a.jpg")
    assert len({path(place, name) for name in names for path in (thumbnailPath, driftPlotPath)}) == 2 * len(names)


def test_pictures_that_cannot_be_made_are_a_warning(place):
    (place / "run1" / "thumbs").write_text("in the way")
    result = calcMotionCorrection(makeExposure(place))
    assert os.path.exists(result.sum_file)
    assert [warning.startswith(f"no picture {place}/run1/thumbs/image_00012enn.") for warning in result.warnings] == [
        True, True
    ]  # fmt: skip

    def refuse():
        raise MemoryError("too large")

    (place / "run1" / "thumbs").unlink()
    told = savePictures(makeExposure(place), refuse, [(0.0, 0.0), (1.0, 1.0)], place)
    assert [line.partition(": ")[2] for line in told] == ["MemoryError: too large"]
    assert [path.name for path in (place / "run1" / "thumbs").iterdir()] == ["image_00012enn.drift.png"]


def test_no_folder_is_made_where_the_run_folder_is_away(place):
    params = makeExposure(place)
    (place / "run1").rmdir()
    assert len(savePictures(params, lambda: np.zeros((4, 4), np.uint8), [(0.0, 0.0)], place)) == 2
    assert not (place / "run1").exists()


def test_drift_is_drawn_to_scale(tmp_path):
    places, scale = calcPlaces([(0.0, 0.0), (30.0, 0.0), (30.0, 10.0)])
    assert np.diff(places, axis=0) / scale == pytest.approx(np.array([[30.0, 0.0], [0.0, -10.0]]))
    assert calcPlaces([(0.0, 0.0), (0.01, 0.0)])[1] == calcPlaces([])[1], "what hardly moves does not look as if it did"
    drawDrift(tmp_path / "a.png", [(0.0, 0.0), (30.0, 0.0), (30.0, 10.0)], 2)
    early, late = countColours(tmp_path / "a.png")
    assert early > late > 20
    for positions in ([], [(0.0, 0.0)], [(0.0, 0.0), (1e5, -1e5)]):
        drawDrift(tmp_path / "b.png", positions, 0)
        assert countColours(tmp_path / "b.png")[0] == 0
