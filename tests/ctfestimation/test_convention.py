"""Numbers of the programs in the convention of the database."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.ctfestimation.calc.internal.convention import (
    Fit,
    calcConfidence,
    calcDefocus,
    convertContrast,
    convertResolution,
    convertToConvention,
    findImplausible,
    foldAngle,
)
from appion.ctfestimation.records import CTFConfidence

defoci = st.floats(-1e-4, 1e-4)
angles = st.floats(-1000, 1000)


def areSameAxes(one, other):
    return math.cos(math.radians(2 * (one - other))) == pytest.approx(1)


def test_ctffindAndGctf():
    assert calcDefocus(Fit(16005.0, 15005.2, -60.08, 0.0, 0.8, 2.5)) == pytest.approx((15005.2, 16005.0, 29.92))
    assert calcDefocus(Fit(15005.2, 16005.0, 29.92, 0.0, 0.8, 2.5)) == pytest.approx((15005.2, 16005.0, 29.92))
    assert calcDefocus(Fit(-15005.2, -16005.0, 170.0, 0.0, 0.8, 2.5)) == pytest.approx((15005.2, 16005.0, -10.0))


@given(defoci, defoci, angles)
def test_conventionHolds(defocus1, defocus2, angle):
    converted = convertToConvention(defocus1, defocus2, angle)
    assert abs(converted[0]) <= abs(converted[1])
    assert -90 <= converted[2] <= 90
    assert not (converted[0] < 0 and converted[1] < 0)
    assert convertToConvention(*converted) == converted
    assert sorted(map(abs, converted[:2])) == sorted(map(abs, (defocus1, defocus2)))
    swapped = abs(defocus1) > abs(defocus2)
    assert areSameAxes(converted[2], angle + 90 * swapped)


@given(st.floats(1e-8, 1e-4), st.floats(1e-8, 1e-4), angles)
def test_sameAxesWhicheverComesFirst(defocus1, defocus2, angle):
    one = convertToConvention(defocus1, defocus2, angle)
    other = convertToConvention(defocus2, defocus1, angle + 90)
    assert one[:2] == other[:2]
    assert defocus1 == defocus2 or areSameAxes(one[2], other[2])


@given(angles)
def test_foldedAngleIsTheSameAxis(angle):
    assert -90 <= foldAngle(angle) <= 90
    assert areSameAxes(foldAngle(angle), angle)


def test_anglesInRangeStay():
    assert [foldAngle(angle) for angle in (-90, 90, 89.5, 91, -91, 270)] == [-90, 90, 89.5, -89, 89, -90]


@given(st.floats())
def test_resolutionIsAPositiveNumber(resolution):
    converted = convertResolution(resolution)
    assert 0 < converted < math.inf
    assert converted in (resolution, 100000.0)


def test_confidenceIsTheBest():
    analysis = CTFConfidence(0.7, 0.95, 0.99, 0.99, 3.0, 2.5)
    assert calcConfidence(0.2, 0.44721, None) == 0.44721
    assert calcConfidence(0.2, 0.44721, analysis) == 0.95


def test_contrast():
    assert [convertContrast(value) for value in (0.07, 0.004, -0.004, 0.0)] == [0.07, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((1e4, 2e4, 2.7, 300.0, 0.07), []),
        ((10.0, 2e4, 2.7, 300.0, 0.07), ["defocus 0.001 µm is not within 0.01 to 25"]),
        ((1e4, 26e4, 2.7, 300.0, 0.07), ["defocus 26 µm is not within 0.01 to 25"]),
        ((1e4, math.nan, 2.7, 300.0, 0.07), ["defocus nan µm is not within 0.01 to 25"]),
        ((1e4, 2e4, 10.0, 50.0, 0.6), ["spherical aberration 10 mm is not within 0 to 9",
                                         "high tension 50 kV is not within 60 to 400",
                                         "amplitude contrast 0.6 is not within 0 to 0.5"]),
    ],
)  # fmt: skip
def test_whatIsNotPlausible(values, found):
    assert findImplausible(*values) == found
