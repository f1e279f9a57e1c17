"""Alignment on small movies with known drift; its parts against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.failures import ImageFailure
from appion.motioncorrection.calc.internal import align, bands, correct, detect, fourier, integration, search
from tests.motioncorrection.movies import calcError, makeFrames


def runMovie(frames, **options):
    correction = correct.Correction(frames[0].shape, len(frames), **{"bfactor": 150, **options})
    return correct.correctMovie(lambda: iter(frames), correction)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 12), st.floats(0, 12), st.floats(0, 2 * np.pi))
def test_drift_is_found(seed, nframes, length, angle):
    path = np.linspace(0, 1, nframes)[:, None] ** 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    drift = path + np.random.default_rng(seed).normal(0, 0.4, (nframes, 2))
    frames, drift = makeFrames(192, nframes, 0.5, drift, seed, cols=256)
    shifts = runMovie(frames).shifts
    assert shifts[0] == pytest.approx((0, 0))
    assert calcError(shifts, drift) < 0.2


def test_threads_change_nothing():
    frames, _ = makeFrames(128, 6, seed=3)
    one, two = runMovie(frames, threads=1), runMovie(frames, threads=2)
    np.testing.assert_allclose(one.shifts, two.shifts, atol=1e-3)
    np.testing.assert_allclose(one.total, two.total, atol=1e-3)


def test_faint_movie():
    frames, drift = makeFrames(512, 16, 0.12, seed=5)
    assert calcError(runMovie(frames).shifts, drift) < 0.7


def test_sum_is_sharp():
    still, _ = makeFrames(256, 8, drift=np.zeros((8, 2)), seed=6)
    moving, _ = makeFrames(256, 8, drift=np.outer(np.arange(8), (1.5, -1)), seed=6)
    result = runMovie(moving)
    correlation = np.corrcoef(result.total[16:-16, 16:-16].ravel(), still.sum(axis=0)[16:-16, 16:-16].ravel())[0, 1]
    blurred = np.corrcoef(moving.sum(axis=0)[16:-16, 16:-16].ravel(), still.sum(axis=0)[16:-16, 16:-16].ravel())[0, 1]
    assert correlation > 0.5 > blurred
    assert result.total.mean() == pytest.approx(moving.sum(axis=0).mean(), rel=1e-3)


def test_fixed_pattern_does_not_hold_frames():
    frames, drift = makeFrames(256, 8, seed=7)
    rng = np.random.default_rng(7)
    gain = rng.normal(1, 0.05, frames[0].shape)
    spoilt = rng.poisson(frames / gain).astype(np.int16)
    spoilt[:, 40, :] = 0
    spoilt[:, rng.integers(0, 256, 60), rng.integers(0, 256, 60)] = 60
    result = runMovie(spoilt)
    assert result.hot >= 50
    assert result.dead >= 250
    assert calcError(result.shifts, drift) < 0.25


def test_pure_noise_and_nothing():
    noise = np.random.default_rng(8).poisson(1, (5, 64, 64))
    assert np.isfinite(runMovie(noise).shifts).all()
    with pytest.raises(ImageFailure, match="each of the 4 frames is constant"):
        runMovie(np.full((4, 64, 64), 3, np.int16))
    assert runMovie(noise[:1]).shifts.tolist() == [[0, 0]]


def test_groups_are_interpolated():
    frames, drift = makeFrames(256, 13, 0.4, np.outer(np.arange(13), (0.6, -0.3)), seed=9)
    assert calcError(runMovie(frames, group=4).shifts, drift) < 0.3
    assert integration.calcAlignGroups(13, 4) == [(0, 4), (4, 8), (8, 13)]
    line = np.outer(np.arange(9.0), (1, 2))
    centres = [(0, 3), (3, 6), (6, 9)]
    np.testing.assert_allclose(correct.spreadShifts(line[1::3], centres), line)


def test_reference_frame():
    frames, _ = makeFrames(128, 5, seed=10)
    assert runMovie(frames, reference=3).shifts[3] == pytest.approx((0, 0))


@pytest.mark.parametrize("factor", [1, 1.5, 2, 2.7])
def test_fourier_cropping(factor):
    y, x = np.mgrid[:90, :120]
    image = (3 + np.cos(2 * np.pi * (3 * x / 120 + 2 * y / 90))).astype(np.float32)
    shape = fourier.calcCroppedShape((90, 120), factor)
    result = runMovie(image[None], bin=factor, align=False)
    assert result.total.shape == shape
    assert factor == 1 or all(n % 2 == 0 and abs(n - m / factor) < 2 for n, m in zip(shape, (90, 120), strict=True))
    y, x = np.mgrid[: shape[0], : shape[1]]
    np.testing.assert_allclose(result.total, 3 + np.cos(2 * np.pi * (3 * x / shape[1] + 2 * y / shape[0])), atol=1e-4)


def test_shift_moves_the_image():
    image = np.zeros((32, 40), np.float32)
    image[10, 20] = 1
    transformed = np.ascontiguousarray(scipy.fft.rfft(image, axis=1).T, np.complex64)
    total = np.zeros_like(transformed)
    fourier.addColumns([fourier.Moved(transformed, np.array((3, -2)))], total, [], fourier.calcFrequencies((32, 40)))
    moved = fourier.calcImage(total, (32, 40))
    assert np.unravel_index(moved.argmax(), moved.shape) == (8, 23)


def test_peak_and_newton_step():
    y, x = np.mgrid[:64, :64]
    peak = -((((x - 60.3 + 32) % 64) - 32) ** 2) - (((y - 5.8 + 32) % 64) - 32) ** 2
    np.testing.assert_allclose(search.findPeak(peak.astype(float)), (-3.7, 5.8), atol=1e-6)
    assert (align.calcNewtonStep(np.zeros((3, 3)), np.zeros((3, 3))) == 0).all()


def test_envelope_and_crop():
    assert bands.calcBandShape((4096, 4096), 500)[0] < 1600
    assert bands.calcBandShape((40, 50), 500) == (40, 50)


def test_filler_takes_good_pixels_near_by():
    mask = np.zeros((64, 64), bool)
    mask[20:40, 10] = mask[5, :] = True
    mask[50:, 50:] = True
    filler = detect.Filler(mask)
    rows, cols = filler.drawDonors()
    assert not mask[rows, cols].any()
    assert np.hypot(rows - filler.pixels[0], cols - filler.pixels[1]).max() < 60
    with pytest.raises(ImageFailure):
        detect.Filler(np.ones((4, 4), bool))


def test_detection_spares_the_specimen():
    y, x = np.mgrid[:200, :200]
    rng = np.random.default_rng(11)
    total = rng.poisson(40 + 30 * np.tanh((x + y - 200) / 10)).astype(np.float32)
    mask, hot, dead = detect.detectDefects(total.copy())
    assert mask.sum() < 20
    total[30, 40], total[150, 160] = 400, 0
    mask, hot, dead = detect.detectDefects(total)
    assert mask[30, 40]
    assert mask[150, 160]
    assert hot >= 1
    assert dead >= 1
