"""Motion as RELION reads it: which frames, which orientation, which model."""

from dataclasses import replace

import numpy as np
import pytest

from appion.base.failures import ImageFailure
from appion.export.motion import (
    UNOBSERVED,
    Motion,
    calcFrameEdges,
    calcTurn,
    constructMotionBlocks,
    readMotion,
    turnAxis,
)
from appion.export.polynomial import fitField, fitPolynomial
from appion.export.star import formatStar
from appion.motioncorrection.calc.internal.field import Field, calcPolynomials, selectOrders
from appion.motioncorrection.calc.internal.geometry import orientToFrames
from appion.motioncorrection.cli.motioncorlogs import calcPatchShifts
from appion.motioncorrection.records import MotionCorrectionOptions
from tests.motioncorrection.samples import makeParams


def make(nframes=10, movie_format="tif", **options):
    params = makeParams()
    chosen = replace(MotionCorrectionOptions(), **options)
    return replace(params, nframes=nframes, movie_format=movie_format, options=chosen, totaldose=40.0,
                   frame_flip=False, frame_rotate=0, pixelsize=1.1)  # fmt: skip


def readBlocks(motion, params, shape=(100, 200)):
    blocks = constructMotionBlocks(motion, params, shape, "Movies/s/m.tif", "Gain/s/g.mrc")
    assert "nan" not in formatStar(blocks)
    return {block.name: block for block in blocks}


def makeShifts(count):
    return np.column_stack([np.linspace(3, 9, count), np.linspace(-1, 4, count) ** 2])


def test_framesOfTheCameraKeepTheirShifts():
    shifts = makeShifts(10)
    blocks = readBlocks(Motion("motioncor2", shifts), make())
    general = {label: values[0] for label, values in blocks["general"].columns.items()}
    assert (general["rlnImageSizeX"], general["rlnImageSizeY"]) == (200, 100)
    assert (general["rlnImageSizeZ"], general["rlnMicrographStartFrame"]) == (10, 1)
    assert general["rlnMotionModelVersion"] == 0
    assert (general["rlnMicrographDoseRate"], general["rlnMicrographOriginalPixelSize"]) == (4.0, 1.1)
    shown = blocks["global_shift"].columns
    found = np.column_stack([shown["rlnMicrographShiftX"], shown["rlnMicrographShiftY"]])
    np.testing.assert_allclose(found, shifts - shifts[0])
    assert "local_motion_model" not in blocks


def test_framesThatWereLeftOutHaveNone():
    params = make(startframe=2, nframe=6)
    blocks = readBlocks(Motion("motioncor2", makeShifts(6)), params)
    shown = blocks["global_shift"].columns["rlnMicrographShiftX"]
    assert [value == UNOBSERVED for value in shown] == [True] * 2 + [False] * 6 + [True] * 2
    assert shown[2] == 0
    assert blocks["general"].columns["rlnMicrographStartFrame"] == [3]


def test_groupsOfEerThatBeginElsewhere():
    """Ours: a rest of 3 first, then 5 x 10; RELION's: 5 x 10 from the first frame on, and the rest is dropped."""
    params = make(nframes=53, movie_format="eer", rendered_frame_size=10, eer_sampling=2)
    assert calcFrameEdges(params, 6).tolist() == [0, 3, 13, 23, 33, 43, 53]
    slope = np.array([1.5, 8, 18, 28, 38, 48])  # as if the specimen moved by a pixel in each raw frame
    blocks = readBlocks(Motion("motioncor3", np.column_stack([slope, 0 * slope])), params)
    general = {label: values[0] for label, values in blocks["general"].columns.items()}
    assert blocks["global_shift"].columns["rlnMicrographShiftX"] == pytest.approx([0, 10, 20, 30, 40])
    assert (general["rlnImageSizeX"], general["rlnImageSizeZ"]) == (400, 5)
    assert (general["rlnEERUpsampling"], general["rlnEERGrouping"]) == (2, 10)
    assert general["rlnMicrographDoseRate"] == pytest.approx(400 / 53)
    assert (general["rlnMicrographOriginalPixelSize"], general["rlnMicrographBinning"]) == (0.55, 2)


def test_framesOfATiffThatWereSummedBeforehand():
    blocks = readBlocks(Motion("motioncor2", np.array([[0.5, 0], [2.5, 0], [4.5, 0]])), make(6, rendered_frame_size=2))
    assert blocks["global_shift"].columns["rlnMicrographShiftX"] == pytest.approx([0, 0.5, 1.5, 2.5, 3.5, 4])


@pytest.mark.parametrize(("kind", "movie_format", "turned"), [
    ("motioncor2", "tif", False), ("motioncor3", "tif", False), ("motioncor-cpu", "tif", True),
    ("motioncor2", "mrc", False), ("motioncor-cpu", "mrc", False), ("motioncor2", "eer", True),
    ("motioncor3", "eer", False), ("motioncor-cpu", "eer", False),
])  # fmt: skip
def test_whichProgramReadsRowsAsRelionDoes(kind, movie_format, turned):
    """Where it does not, y of the shifts has the other sign; the sum of MotionCor2 from EER was turned back already."""
    params = make(movie_format=movie_format)
    shown = readBlocks(Motion(kind, makeShifts(10)), params)["global_shift"].columns["rlnMicrographShiftY"]
    y = makeShifts(10)[:, 1]
    assert shown == pytest.approx((y - y[0]) * (-1 if turned else 1))
    assert calcTurn(params, kind) == (turned and movie_format == "tif", 0)


def test_axesTurnWithTheImage():
    """An axis drawn into an image is found where the turned image has it."""
    y, x = np.mgrid[-40:41, -40:41].astype(float)
    for angle in (-70.0, -20.0, 35.0, 80.0):
        across = -x * np.sin(np.radians(angle)) + y * np.cos(np.radians(angle))
        image = np.exp(-(across**2) / 8)
        for flip in (False, True):
            for turns in range(4):
                turned = orientToFrames(image, flip, turns)
                moments = [(turned * one).sum() for one in (x * x, y * y, x * y)]
                found = np.degrees(np.arctan2(2 * moments[2], moments[0] - moments[1]) / 2)
                assert abs((turnAxis(angle, (flip, turns)) - found + 90) % 180 - 90) < 1


def makeField(nframes=12, seed=1, patches=(5, 4)):
    orders = selectOrders(patches)
    rng = np.random.default_rng(seed)
    time = 1 - np.exp(-np.arange(nframes) / 4)
    return Field(orders, time[:, None, None] * rng.normal(0, 1, (2, len(orders))) / 4)


def test_theFieldIsThatOfTheLog():
    field = makeField()
    centres, shifts = calcPatchShifts(field, (5, 4), (800, 1000), 12)
    rows = [[(*centre, *np.round(shift, 3)) for shift in one] for centre, one in zip(centres, shifts, strict=True)]
    found = fitField(rows)
    assert found.orders == field.orders
    at = np.linspace(-1, 1, 7)
    for frame in range(12):
        expected = field.calcDisplacements(frame, at, at)
        np.testing.assert_allclose(found.calcDisplacements(frame, at, at), expected, atol=0.01)
    assert fitField([]) is None
    assert fitField([[(*row[:2], 0.0, 0.0) for row in one] for one in rows]) is None


def evaluate(coefficients, z, u, v):
    """As it stands in RELION's micrograph_model.cpp."""
    c = coefficients
    return sum((c[3 * i] * z + c[3 * i + 1] * z**2 + c[3 * i + 2] * z**3) * place
               for i, place in enumerate((1, u, u * u, v, v * v, u * v)))  # fmt: skip


@pytest.mark.parametrize("upside_down", [False, True])
def test_relionsModelIsAsCloseAsItSays(upside_down):
    """A field that is such a polynomial comes back exactly; another one as nearly as the residual says."""
    z = np.arange(12)
    orders = ((0, 0), (0, 1), (1, 0), (1, 1))
    times = np.stack([0.3 * z - 0.02 * z**2, 0.001 * z**3, -0.1 * z, 0.05 * z])
    exact = Field(orders, np.stack([times.T, 2 * times[::-1].T], axis=1))
    for field, most in ((exact, 1e-6), (makeField(patches=(3, 3)), 0.3)):
        found = fitPolynomial(field, upside_down)
        at = np.linspace(-1, 1, 9)
        missed = []
        for frame in z:
            dx, dy = field.calcDisplacements(frame, at, at) - np.array(field.calcDisplacements(0, at, at))
            sign = -1 if upside_down else 1
            for row, y in enumerate(at):
                for column, x in enumerate(at):
                    got = [evaluate(one, frame, x / 2, sign * y / 2) for one in found.coefficients]
                    missed.append(np.hypot(got[0] - dx[row, column], sign * got[1] - dy[row, column]))
        assert np.sqrt(np.mean(np.square(missed))) == pytest.approx(found.rms, abs=1e-5)
        assert max(missed) == pytest.approx(found.largest, abs=1e-5)
        assert found.rms <= most
    assert calcPolynomials(np.zeros(1)).shape == (1, 5)


def test_whereShiftsComeFrom(tmp_path):
    params = make(4, "mrc", bin=2.0)
    with pytest.raises(ImageFailure, match="neither a log nor a row"):
        readMotion(tmp_path, params)
    positions = ((0.0, 0.0), (-1.0, 0.5), (-2.0, 1.0), (-2.5, 1.5))
    assert readMotion(tmp_path, params, positions).shifts.tolist() == [[0, 0], [2, -1], [4, -2], [5, -3]]
    log = "Sum Frame #000 - #004 (Reference Frame #002):\n" + "".join(
        f"......Add Frame #{number:03d} with xy shift: {x:.5f} {y:.5f}\n" for number, (x, y) in enumerate(positions))
    (tmp_path / f"{params.name}_st_Log.txt").write_text(log.replace("-1.00000", "-1.50000"))
    assert readMotion(tmp_path, params, positions).shifts[1].tolist() == [3, -1]
    rows = "".join(
        f"...... Frame ({number:3d}) shift: {x:9.3f} {y:9.3f}\n" for number, (x, y) in enumerate(positions, 1))
    text = f"# motioncor-cpu 1 (/x), run by appion 1\nFull-frame alignment shift\n{rows}\n"
    (tmp_path / f"{params.name}_st_Log.motioncor2.txt").write_text(text)
    found = readMotion(tmp_path, params)
    assert (found.kind, found.shifts.tolist()) == ("motioncor-cpu", [list(one) for one in positions])
