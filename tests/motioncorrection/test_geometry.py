"""Geometry, frames and drift of aligned images against values computed by hand."""

import math

import pytest

from appion.motioncorrection.records import MotionCorrectionOptions
from appion.motioncorrection.store.geometry import CameraGeometry, calcAlignedGeometry, calcDrift, calcUsedFrames

superres = CameraGeometry((11520, 8184), (1, 1), (0, 0))
counting = CameraGeometry((5760, 4092), (2, 2), (0, 0))


@pytest.mark.parametrize(
    ("source", "options", "shape", "expected"),
    [
        (superres, {"bin": 2.0}, (4092, 5760), ((5760, 4092), (2, 2), (0, 0))),
        (counting, {}, (4092, 5760), ((5760, 4092), (2, 2), (0, 0))),
        (superres, {"bin": 2.0, "square": True}, (4092, 5760), ((4092, 4092), (2, 2), (834, 0))),
        (superres, {"bin": 2.0, "trim": 8}, (4092, 5760), ((5752, 4084), (2, 2), (4, 4))),
        # Half of the sensor, read from pixel 1000 on: the window stays where it is.
        (CameraGeometry((2000, 2000), (1, 1), (1000, 500)), {"bin": 2.0}, (1000, 1000),
         ((1000, 1000), (2, 2), (500, 250))),
        # 11520 / 1.5 = 7680, 8184 / 1.5 = 5456; the column holds whole numbers.
        (superres, {"bin": 1.5}, (5456, 7680), ((7680, 5456), (2, 2), (0, 0))),
        # The program made the width even: the row tells the true size, the centre stays.
        (CameraGeometry((4096, 4092), (1, 1), (0, 0)), {"bin": 3.0}, (1364, 1364), ((1364, 1364), (3, 3), (1, 0))),
        # Anisotropic binning: the new pixel is the x pixel in both directions.
        (CameraGeometry((1000, 500), (1, 2), (0, 0)), {}, (1000, 1000), ((1000, 1000), (1, 1), (0, 0))),
    ],
)
def test_geometry(source, options, shape, expected):
    assert calcAlignedGeometry(source, MotionCorrectionOptions(**options), shape) == CameraGeometry(*expected)


@pytest.mark.parametrize(
    ("start", "number", "expected"),
    [(0, None, None), (0, 5, None), (0, 9, None), (2, None, (2, 3, 4)), (0, 3, (0, 1, 2)), (1, 2, (1, 2)),
     (3, 9, (3, 4))],
)
def test_usedFrames(start, number, expected):
    assert calcUsedFrames(MotionCorrectionOptions(startframe=start, nframe=number), 5) == expected


def test_drift():
    drift = calcDrift([(0.0, 0.0), (3.0, 4.0), (3.0, 4.0), (3.0, 6.0), (0.0, 10.0), (-0.0000001, 10.0)])
    assert drift.top == ((5.0, 0), (5.0, 0), (2.0, 2))  # the tie repeats the first index
    assert drift.median == 2.0
    assert type(drift.median) is float
    assert math.copysign(1, drift.positions[-1][0]) == 1


@pytest.mark.parametrize(
    ("positions", "top", "middle"),
    [
        ([], [None, None, None], None),
        ([(1, 1)], [None, None, None], None),
        ([(0, 0), (1, 0)], [1.0, None, None], 1.0),
        ([(0, 0), (1, 0), (1, 2)], [2.0, 1.0, None], 1.5),
    ],
)
def test_shortMovies(positions, top, middle):
    drift = calcDrift(positions)
    assert [value for value, _index in drift.top] == top
    assert drift.median == middle
