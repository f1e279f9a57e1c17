"""Local motion on small movies that bend, and what must be so whatever the movie."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.motioncorrection.calc.internal import align, bands, correct, field, fourier, localfit
from tests.motioncorrection.movies import calcLocalError, calcRMS, makeLocalFrames

BFACTOR = 300.0
ORDERS = field.selectOrders((5, 5))


def makeBand(frames):
    shape = frames[0].shape
    cropped = bands.calcBandShape(shape, BFACTOR)
    transforms = [fourier.cropTransform(scipy.fft.rfft2(frame.astype(np.float32)), cropped) for frame in frames]
    return bands.Band(np.array(transforms), fourier.calcFrequencies(shape, cropped), cropped)


def fit(frames, shifts=None, orders=ORDERS):
    band = makeBand(frames)
    if shifts is None:
        shifts = align.alignFrames(band, frames[0].shape, BFACTOR)
    return shifts, localfit.fitField(band, frames[0].shape, shifts, BFACTOR, orders, align.beSilent)


@pytest.mark.parametrize(("contrast", "largest", "seed", "most"), [(0.4, 10, 1, 0.1), (0.12, 5, 2, 0.2)])
def test_local_motion_is_found(contrast, largest, seed, most):
    frames, drift, local = makeLocalFrames(512, 12, contrast, largest, seed)
    shifts, found = fit(frames)
    before, after = (calcRMS(calcLocalError(shifts, one, drift, local)) for one in (None, found))
    assert after < most < before / 3


def test_oblong_frames_and_few_patches():
    frames, drift, local = makeLocalFrames(384, 10, 0.4, 4, 3, cols=600)
    shifts, found = fit(frames, orders=field.selectOrders((3, 3)))
    assert calcRMS(calcLocalError(shifts, found, drift, local)) < 0.1
    assert field.selectOrders((1, 3)) == ((0, 0), (0, 1), (0, 2))


@pytest.mark.parametrize("contrast", [0.0, 0.12, 0.5])
def test_no_local_motion_is_found_where_there_is_none(contrast):
    for seed in range(3):
        frames, drift, _ = makeLocalFrames(320, 10, contrast, 0, seed)
        _, found = fit(frames, -drift)
        assert found.calcRange() < 0.02


def test_a_place_without_signal_bends_nothing():
    frames, drift, local = makeLocalFrames(512, 12, 0.4, 6, 4, empty=True)
    shifts, found = fit(frames)
    before, after = calcLocalError(shifts, None, drift, local), calcLocalError(shifts, found, drift, local)
    assert calcRMS(after) < 0.5 * calcRMS(before)
    seen = np.ones((9, 9), bool)
    seen[:4, :4] = False
    assert calcRMS(after[seen]) < 0.1


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 100), st.integers(-20, 20), st.integers(-20, 20))
def test_a_movie_that_is_elsewhere_has_the_same_field(seed, dx, dy):
    frames, _, _ = makeLocalFrames(320, 8, 0.5, 4, seed)
    shifts, found = fit(frames)
    steps = np.random.default_rng(seed).integers(-3, 4, (len(frames), 2)) + np.array((dx, dy))
    moved = np.array([np.roll(frame, (y, x), (0, 1)) for frame, (x, y) in zip(frames, steps, strict=True)])
    _, again = fit(moved, shifts - steps + np.array((dx, dy)))
    at = np.linspace(-0.7, 0.7, 5)
    offset = 2 * np.array((dx, dy)) / 320
    for i in range(len(frames)):
        np.testing.assert_allclose(again.calcDisplacements(i, at + offset[0], at + offset[1]),
                                   found.calcDisplacements(i, at, at), atol=0.25)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 100))
def test_a_mirrored_movie_has_a_mirrored_field(seed):
    frames, _, _ = makeLocalFrames(320, 8, 0.5, 4, seed)
    shifts, found = fit(frames)
    _, mirrored = fit(np.ascontiguousarray(frames[:, :, ::-1]), shifts * (-1, 1))
    signs = np.array([(-1) ** a for a, _ in ORDERS])
    # Blocks of 8 pixels, between which the field leaps in so small a frame, lie elsewhere in a mirrored one.
    np.testing.assert_allclose(mirrored.coefficients, found.coefficients * np.stack([-signs, signs]), atol=0.15)
    _, turned = fit(np.ascontiguousarray(frames.swapaxes(1, 2)), shifts[:, ::-1])
    order = [ORDERS.index((b, a)) for a, b in ORDERS]
    np.testing.assert_allclose(turned.coefficients, found.coefficients[:, ::-1, order], atol=0.05)


def test_twice_the_dose_halves_the_squared_error():
    errors = []
    for dose in (1.0, 2.0):
        squares = []
        for seed in range(5):
            frames, drift, local = makeLocalFrames(320, 12, 0.25, 4, seed, dose=dose)
            _, found = fit(frames, -drift)
            squares.append(calcRMS(calcLocalError(-drift, found, drift, local)) ** 2)
        errors.append(np.mean(squares))
    assert 1.2 < errors[0] / errors[1] < 4, errors


def correctLocally(frames, **options):
    return correct.correctMovie(lambda: iter(frames), correct.Correction(frames[0].shape, len(frames), **options))


def test_the_sum_without_local_motion_is_that_of_whole_frames():
    frames, _, _ = makeLocalFrames(256, 8, 0.4, 0, 5)
    whole, local = correctLocally(frames), correctLocally(frames, patches=(5, 5))
    assert whole.field is local.field is None
    np.testing.assert_array_equal(whole.total, local.total)


def test_no_frame_is_left_out():
    """Nor weighted: each, also one that is nothing but noise, gives to the sum what it has."""
    frames, _, _ = makeLocalFrames(256, 8, 0.5, 4, 7)
    frames = frames.astype(np.float32)
    frames[5] = np.random.default_rng(1).poisson(2, frames[5].shape)
    plain = correctLocally(frames, patches=(4, 4))
    assert plain.field is not None
    assert plain.total.mean() == pytest.approx(frames.sum(axis=0).mean(), rel=1e-3)
    for i in (0, 5, 7):
        frames[i] += 3
        more = correctLocally(frames, patches=(4, 4))
        frames[i] -= 3
        np.testing.assert_allclose((more.total - plain.total)[8:-8, 8:-8].mean(), 3, atol=0.03)


def test_the_sum_with_local_motion_is_nearly_that_without():
    """Both sums, also smaller ones; frames left out and aligned in groups; the frame of reference is where it was."""
    exposures = np.arange(1.0, 13)
    still, _, _ = makeLocalFrames(384, 12, 0.4, 0, 6, dose=4)
    frames, drift, local = makeLocalFrames(384, 12, 0.4, 6, 6, dose=4)
    options = {"exposures": exposures, "pixelsize": 1.0, "bin": 1.5}
    best, whole = correctLocally(still, **options), correctLocally(frames, **options)
    bent = correctLocally(frames, patches=(5, 5), **options)
    assert bent.total.shape == (256, 256)
    assert bent.total.mean() == pytest.approx(whole.total.mean(), rel=1e-3)
    for name in ("total", "weighted"):
        truth, blurred, sharp = (getattr(one, name)[20:-20, 20:-20].ravel() for one in (best, whole, bent))
        assert 1 - np.corrcoef(truth, sharp)[0, 1] < 0.6 * (1 - np.corrcoef(truth, blurred)[0, 1])
    assert bent.field.calcRange() > 3
    assert np.abs(bent.field.coefficients[0]).max() == 0
    grouped = correctLocally(frames, patches=(5, 5), group=2, reference=7)
    assert np.abs(grouped.field.coefficients[7]).max() == 0
    assert calcRMS(calcLocalError(grouped.shifts, grouped.field, drift, local)) < 0.35
    odd = frames.copy()
    odd[4] = 5
    rest = correctLocally(odd, patches=(5, 5), leave_out_odd=True)
    assert calcRMS(calcLocalError(rest.shifts, rest.field, drift, local)) < 0.25
