"""Frames, dose, pixel size, orientation and defects: pure rules."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.calc.cameras import calcFrameCount, classifyCamera
from appion.base.calc.orientation import calcOrientation
from appion.base.calc.pixelsize import calcPixelSize, selectPixelSize
from appion.base.failures import ConfigurationFailure, ImageFailure
from appion.motioncorrection.calc.internal.defects import calcDefectMap
from appion.motioncorrection.calc.internal.dose import calcFrameDose, calcRawFrameDose, calcTotalDose
from appion.motioncorrection.calc.internal.frames import calcFrameSelection, calcRenderedFrameCount, constructFmIntFile
from appion.motioncorrection.calc.internal.geometry import (
    calcFrameOrientation,
    orientToFrames,
    orientToLeginon,
)
from appion.motioncorrection.records import Defects

orientations = st.tuples(st.booleans(), st.integers(0, 3))


@pytest.mark.parametrize(
    ("name", "eer", "camera"),
    [
        ("GatanK2Super", False, "K2"), ("GatanK2Counting", False, "K2"), ("GatanK3", False, "K3"),
        ("GatanK3Super", False, "K3"), ("DEApollo", False, "Apollo"), ("DE64 Survey", False, "DE"),
        ("Falcon4EC", True, "EER"), ("Falcon4EC", False, "Falcon3"), ("Falcon4", True, "Falcon3"),
        ("Falcon3EC", False, "Falcon3"), ("Falcon", False, "Falcon2"), ("TIA_Falcon", False, "Falcon2"),
        ("AppionUpload", False, "Appion"), ("SimFrameCamera", False, "Sim"),
    ],
)
def test_cameraClass(name, eer, camera):
    assert classifyCamera(name, eer) == camera


def test_unknownCameraIsNamed():
    with pytest.raises(ConfigurationFailure, match="Orius"):
        classifyCamera("Orius", False)


@pytest.mark.parametrize(
    ("camera", "exposure", "frame", "nframes", "expected"),
    [
        ("K3", 1500.0, 30.0, 50, 50), ("K3", 2000.0, 51.5, 39, 38), ("K2", 100.0, 400.0, 1, 1),
        ("K2", 0.3, 0.1, None, 3), ("K3", None, 30.0, 40, 40), ("K3", 1500.0, 0.0, 40, 40),
        ("EER", 5000.0, 3.2, 1539, 1539), ("DE", 1500.0, 30.0, 47, 47), ("Falcon3", 1500.0, 30.0, 28, 28),
    ],
)
def test_frameCount(camera, exposure, frame, nframes, expected):
    assert calcFrameCount(camera, exposure, frame, nframes) == expected


def test_unknownFrameCountFails():
    with pytest.raises(ImageFailure, match="nframes None"):
        calcFrameCount("EER", 1500.0, 30.0, None)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 400))
def test_integrationFile(raw, size):
    """The groups hold every raw frame once and make as many rendered frames as counted."""
    lines = [line.split("\t") for line in constructFmIntFile(raw, size, 0.0323).splitlines()]
    assert sum(int(group) for group, _, _ in lines) == raw
    assert sum(int(group) // int(frames) for group, frames, _ in lines) == calcRenderedFrameCount(raw, size)
    assert all(float(dose) == pytest.approx(0.0323, abs=1e-6) for _, _, dose in lines)


def test_integrationFileOfARecordedRun():
    """1539 EER frames by 100: one frame of 39, fifteen of 100."""
    assert constructFmIntFile(1539, 100, 0.0323) == "39\t39\t0.032300\n1500\t100\t0.032300\n"
    assert constructFmIntFile(30, 100, 0.03) == "30\t30\t0.030000\n"
    assert calcRenderedFrameCount(1539, 100) == 16


@pytest.mark.parametrize(
    ("raw", "size", "integrated", "start", "nframe", "throw", "trunc", "used"),
    [
        (50, 1, False, 0, None, 0, 0, 50), (50, 1, False, 2, None, 2, 0, 48), (50, 1, False, 2, 10, 2, 38, 10),
        (50, 1, False, 0, 99, 0, 0, 50), (1539, 100, True, 0, None, 0, 0, 16), (1539, 100, True, 39, None, 1, 0, 15),
        (1539, 100, True, 139, 400, 2, 10, 4), (100, 10, True, 20, 50, 2, 3, 5),
    ],
)
def test_frameSelection(raw, size, integrated, start, nframe, throw, trunc, used):
    frames = calcFrameSelection(raw, size, integrated, start, nframe)
    assert (frames.throw, frames.trunc, frames.used) == (throw, trunc, used)


def test_impossibleFrameSelection():
    with pytest.raises(ConfigurationFailure, match="no frame is left of 50"):
        calcFrameSelection(50, 1, False, 50, None)
    with pytest.raises(ConfigurationFailure, match="0 or 39"):
        calcFrameSelection(1539, 100, True, 2, None)


def test_dose():
    assert calcTotalDose(None, 5.4546e21) == pytest.approx(54.546)
    assert calcTotalDose(75.0, 5.4546e21) == 75
    assert calcTotalDose(None, None) is calcTotalDose(None, 0.0) is calcTotalDose(0.0, 5e21) is None
    assert calcFrameDose(54.546, 50, 1, False) == pytest.approx(1.0909, abs=1e-4)
    assert calcFrameDose(49.7, 1539, 100, True) == pytest.approx(3.2294, abs=1e-4)
    assert calcFrameDose(None, 50, 1, False) is None
    assert calcRawFrameDose(None, 1539) == 0.03


def test_pixelSize():
    old, middle, new = datetime(2022, 1, 1), datetime(2024, 1, 1), datetime(2026, 1, 1)
    rows = [(2, middle, 2.0), (1, old, 1.0), (3, new, 3.0)]
    assert selectPixelSize(rows, datetime(2025, 1, 1)) == 2.0
    assert selectPixelSize(rows, datetime(2027, 1, 1)) == 3.0
    assert selectPixelSize(rows, datetime(2020, 1, 1)) == 1.0, "all are newer: the oldest"
    assert selectPixelSize([], old) is None
    assert calcPixelSize(4.13e-11, 2) == pytest.approx(0.826)


def test_frameOrientation():
    changes = [(1, 100, True, 0), (2, 200, True, 1)]
    assert calcFrameOrientation("K3", True, 3, 1) == (True, 3)
    assert calcFrameOrientation("K2", None, None, 250, changes) == (True, 1)
    assert calcFrameOrientation("K2", None, None, 150, changes) == (False, 0)
    assert calcFrameOrientation("DE", None, None, 1) == (True, 2)
    assert calcFrameOrientation("Falcon2", None, None, 1) == (False, 3)
    assert calcFrameOrientation("Falcon3", True, None, 1) == (False, 0)


@settings(deadline=None, max_examples=60)
@given(orientations, st.booleans())
def test_orientationIsUndone(orientation, upside_down):
    picture = np.arange(12).reshape(3, 4)
    made = orientToFrames(picture, *orientation)
    made = np.flipud(made) if upside_down else made
    np.testing.assert_array_equal(orientToLeginon(made, *orientation, upside_down), picture)


@settings(deadline=None, max_examples=60)
@given(
    orientations,
    st.lists(st.integers(-3, 40), max_size=2),
    st.lists(st.integers(-3, 40), max_size=2),
    st.lists(st.tuples(st.integers(-3, 40), st.integers(-3, 40)), max_size=4),
)
def test_defectMapHasTheOrientationOfTheFrames(orientation, rows, cols, pixels):
    """Turned back, the map shows the defects in Leginon's orientation; what lies outside the camera is left out."""
    bad = calcDefectMap(Defects(tuple(rows), tuple(cols), tuple(pixels), (25, 35)), *orientation)
    turned = orientToLeginon(bad, *orientation)
    assert bad.dtype == np.int8
    for y in range(25):
        for x in range(35):
            assert turned[y, x] == (y in rows or x in cols or (x, y) in pixels)


def test_defectMapOfARealCamera():
    """Columns 1151 and 1152 of a K3, whose frames are not turned."""
    bad = calcDefectMap(Defects(cols=(1151, 1152), shape=(4092, 5760)), False, 0)
    assert bad.shape == (4092, 5760)
    assert bad.sum() == 8184
    assert bad[:, 1151:1153].all()


@pytest.mark.parametrize("index", range(8))
def test_orientationSearchFindsEachOfTheEight(index):
    generator = np.random.default_rng(index)
    y, x = np.mgrid[:600, :800] / 100
    scene = np.sin(3 * x + y * y) + np.cos(x * y) + (np.hypot(x - 5, y - 2) < 1)
    picture = scene.reshape(300, 2, 400, 2).mean(axis=(1, 3)) + generator.normal(0, 1.5, (300, 400))
    image = scene + generator.normal(0, 3, scene.shape)
    image[5, 5] = 1e6
    turned = np.rot90(image, -(index % 4))
    turned = np.flipud(turned) if index > 3 else turned
    expected, scores = calcOrientation(turned, picture)
    shown = np.rot90(np.flipud(turned) if index > 3 else turned, index % 4)
    np.testing.assert_array_equal(shown, image)
    assert expected == index
    assert len(scores) == 8


def test_orientationOfNoiseIsNotBelieved():
    generator = np.random.default_rng(1)
    orientation, _ = calcOrientation(generator.normal(size=(300, 300)), generator.normal(size=(300, 300)))
    assert orientation is None
