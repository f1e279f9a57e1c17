"""The numbers of a corrected exposure."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc.numbers import constructLine
from appion.base.records.series import MOTION
from appion.motioncorrection.calc.internal.numbers import calcNumbers
from appion.motioncorrection.calc.internal.trajectory import calcLocalMotion
from appion.motioncorrection.records import ComputedCorrection, MotionCorrectionResult
from tests.motioncorrection.samples import makeOptions, makeOrigin, makeParams

COORDINATES = st.floats(-50, 50, allow_subnormal=False)
POSITIONS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=2, max_size=12)


def measure(positions, mean=None, options=None, local_motion=None, **params):
    params = makeParams(options=makeOptions(**(options or {})), **params)
    result = MotionCorrectionResult(
        params, ("motioncor2",), "h", 0.0, 1.0, tuple(positions), tuple(positions), "a", "", (4, 4), "", "", mean=mean,
        local_motion=local_motion,
    )  # fmt: skip
    return calcNumbers(ComputedCorrection(makeOrigin(), result))


def test_numbers_by_hand():
    """Ten frames of 1.5 e/Å²: those that end with 3 e/Å² are early, that is the step to frame 2, and to it alone."""
    positions = [(0, 0), (3, 4), (3, 5), (3, 5), *[(4, 5)] * 6]
    found = measure(positions, 12.0, {"bin": 2.0}, 0.8, pixelsize=0.5, totaldose=15.0)
    assert found == {"drift": 7.0, "drift_early": 5.0, "drift_late": 2.0, "drift_jump": 5.0, "frames": 10,
                     "dose": 15.0, "counts": 1.2, "local_motion": 0.4}  # fmt: skip
    assert set(found) == {column.name for column in MOTION}


def test_the_frame_that_ends_with_4_electrons_is_early():
    found = measure([(float(number), 0.0) for number in range(10)], totaldose=8.0)
    assert (found["drift_early"], found["drift_late"]) == (4.0, 5.0)


def test_frames_that_are_left_out_count_as_dose_but_not_of_the_sum():
    found = measure([(0, 0), (1, 0), (3, 0), (6, 0)], 8.0, {"startframe": 2, "nframe": 4}, totaldose=10.0)
    assert found == {"drift": 6.0, "drift_early": 1.0, "drift_late": 5.0, "drift_jump": 3.0, "frames": 4,
                     "dose": 4.0, "counts": 2.0, "local_motion": None}  # fmt: skip


def test_frames_of_several_of_the_cameras_and_those_that_were_aligned_together():
    found = measure([(0, 0), (1, 0)], 10.0, {"rendered_frame_size": 2}, nframes=10, totaldose=20.0)
    assert (found["frames"], found["counts"], found["drift_early"]) == (5, 2.0, 0)
    assert measure([(0, 0)] * 11, 10.0)["frames"] == 11


def test_what_cannot_be_known_is_left_out():
    found = measure([(0, 0), (3, 4)], totaldose=None)
    line = constructLine(1, "a", found, 5.0)
    assert line == {"image": 1, "name": "a", "drift": 5.0, "drift_jump": 5.0, "frames": 10, "stored": 5.0}
    assert constructLine(1, "a", measure([(0, 0)], totaldose=None), 5.0).keys() == {"image", "name", "frames", "stored"}


def test_local_motion_is_in_angstroms_of_the_specimen():
    """The program's pixels are those of the frames as they were rendered, whatever the sum is."""
    finer = {"eer_sampling": 2, "bin": 4.0}
    found = measure([(0, 0)] * 10, None, finer, 3.0, movie_format="eer", pixelsize=0.5)
    assert found["local_motion"] == 0.75
    assert constructLine(1, "a", measure([(0, 0)], local_motion=0.0), 5.0)["local_motion"] == 0


def test_local_motion_by_hand():
    """Two patches, the one 1 pixel to and fro along x, the other 3 along y; which frame is 0 makes no difference."""
    still, there = [(10, 10, 0, 0), (10, 10, 2, 0)], [(30, 10, 0, 6), (30, 10, 0, 0)]
    assert calcLocalMotion([still, there]) == pytest.approx(5**0.5)
    assert calcLocalMotion([[(10, 10, 0, 0)] * 3]) == 0
    for patches in ([], [[]], [still, there[:1]], [still, [(30, 10, 0, 0), (30, 10, 0, float("nan"))]]):
        assert calcLocalMotion(patches) is None


@given(POSITIONS, COORDINATES, COORDINATES)
def test_drift_is_that_of_the_specimen_not_of_where_it_is(positions, x, y):
    here, there = measure(positions), measure([(a + x, b + y) for a, b in positions])
    assert all(there[name] == pytest.approx(here[name], rel=1e-6, abs=1e-6) for name in here if here[name] is not None)


@given(POSITIONS, st.floats(1, 4), st.floats(0.3, 3))
def test_drift_is_in_angstroms_and_early_and_late_are_all_of_it(positions, bin, pixelsize):
    plain = measure(positions)
    found = measure(positions, options={"bin": bin}, pixelsize=pixelsize)
    assert found["drift"] == pytest.approx(plain["drift"] * bin * pixelsize, abs=1e-9)
    assert found["drift_early"] + found["drift_late"] == pytest.approx(found["drift"], abs=1e-9)
    assert found["drift_jump"] <= found["drift"] + 1e-9
    backwards = measure(positions[::-1], options={"bin": bin}, pixelsize=pixelsize)
    assert backwards["drift"] == pytest.approx(found["drift"], abs=1e-9)


@given(POSITIONS, st.floats(0.1, 100), st.floats(0.5, 200))
def test_counts_follow_the_sum_and_a_weaker_beam_makes_more_of_the_drift_early(positions, mean, dose):
    found, fainter = measure(positions, mean, totaldose=dose), measure(positions, 2 * mean, totaldose=dose / 2)
    assert fainter["counts"] == pytest.approx(2 * found["counts"])
    assert fainter["drift_early"] >= found["drift_early"]


def test_a_record_of_an_earlier_version_has_numbers():
    result = MotionCorrectionResult(
        makeParams(), ("motioncor2",), "h", 0.0, 1.0, ((0, 0),), ((0, 0), (1, 0)), "a", "", (4, 4), "", ""
    )
    assert replace(result).mean is None
    assert calcNumbers(ComputedCorrection(makeOrigin(), result))["counts"] is None
