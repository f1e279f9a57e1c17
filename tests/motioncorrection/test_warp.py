"""Resampling by a smooth field: its loss is known, its edges go on periodically, and what it does can be undone."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.motioncorrection.calc.internal import fourier, warp


def move(image, dx, dy):
    """Resample and make good what the kernel loses."""
    image, out = image.astype(np.float32), np.empty(image.shape, np.float32)
    blocks = warp.countBlocks(image.shape)
    warp.warpImage(image, *(np.broadcast_to(np.asarray(d, np.float32), blocks).copy() for d in (dx, dy)), out)
    y, x = (warp.calcResponse(f) for f in fourier.calcFrequencies(image.shape))
    return scipy.fft.irfft2(scipy.fft.rfft2(out) / np.multiply.outer(y, x), s=image.shape)


def makeImage(shape, limit, seed=0):
    """Return noise below `limit` cycles per pixel."""
    y, x = fourier.calcFrequencies(shape)
    transform = scipy.fft.rfft2(np.random.default_rng(seed).normal(0, 1, shape))
    return scipy.fft.irfft2(transform * (np.hypot(y[:, None], x) < limit), s=shape)


@settings(max_examples=20, deadline=None)
@given(st.integers(40, 90), st.integers(40, 90), st.floats(-30, 30), st.floats(-30, 30))
def test_the_same_everywhere_is_a_shift(rows, cols, dx, dy):
    image = makeImage((rows, cols), 0.35)
    y, x = fourier.calcFrequencies(image.shape)
    phases = np.multiply.outer(fourier.calcPhases(y, dy), fourier.calcPhases(x, dx))
    expected = scipy.fft.irfft2(scipy.fft.rfft2(image) * phases, s=image.shape)
    assert np.abs(move(image, dx, dy) - expected).max() < 0.06 * image.std()
    rolled = move(np.roll(image, (3, -5), (0, 1)), dx, dy)
    np.testing.assert_allclose(rolled, np.roll(move(image, dx, dy), (3, -5), (0, 1)), atol=1e-4)


@pytest.mark.parametrize(("limit", "most"), [(0.2, 0.02), (0.35, 0.03), (0.4, 0.04)])
def test_a_known_field_is_undone(limit, most):
    """The image is seen through a field, as plane waves allow; resampled with the opposite one, it is the image."""
    shape = 512, 480
    rng, (y, x) = np.random.default_rng(1), np.mgrid[:512, :480]
    across, down = x / 240 - 1, y / 256 - 1
    dx, dy = across * down, down**2 - across
    centres = np.meshgrid(*warp.calcCentres(shape))
    field = centres[0] * centres[1], centres[1] ** 2 - centres[0]
    image, bent = np.zeros(shape), np.zeros(shape)
    for _ in range(12):
        length, angle, phase = limit * rng.uniform(0.3, 1), *rng.uniform(0, 2 * np.pi, 2)
        ky, kx = 2 * np.pi * length * np.sin(angle), 2 * np.pi * length * np.cos(angle)
        image += np.cos(kx * x + ky * y + phase)
        bent += np.cos(kx * (x - dx) + ky * (y - dy) + phase)
    left = (move(image, *field) - bent)[24:-24, 24:-24]
    assert left.std() < most * image.std()


def test_amplitudes_are_kept_up_to_nine_tenths_of_nyquist():
    """On average over all fractions of a pixel, to a thousandth."""
    rng = np.random.default_rng(2)
    frequencies = np.linspace(0.02, 0.45, 8)
    gains = np.zeros(len(frequencies))
    for fraction in np.arange(64) / 64 + rng.uniform(0, 1 / 64):
        weights = warp.calcKernel()[round(fraction * warp.PARTS)]
        distance = np.arange(warp.POINTS) - (warp.POINTS // 2 - 1) - fraction
        gains += np.cos(2 * np.pi * np.multiply.outer(frequencies, distance)) @ weights / 64
    np.testing.assert_allclose(gains / warp.calcResponse(frequencies), 1, atol=1e-3)


def test_sums_over_blocks():
    one, two = np.random.default_rng(3).normal(0, 1, (2, 21, 30)).astype(np.float32)
    sums = warp.sumProducts(one, two)
    assert sums.shape == warp.countBlocks((21, 30)) == (3, 4)
    expected = np.pad(one * two, ((0, 3), (0, 2))).reshape(3, 8, 4, 8).sum(axis=(1, 3))
    np.testing.assert_allclose(sums, expected, atol=1e-4)
