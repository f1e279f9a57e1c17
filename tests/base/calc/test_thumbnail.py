"""Small pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc.thumbnail import averageBlocks, calcGreyLevels, calcThumbnail


@pytest.mark.parametrize(
    ("shape", "small"),
    [((4096, 4096), (512, 512)), ((4092, 5760), (364, 512)), ((700, 600), (512, 439)), ((48, 64), (48, 64)),
     ((3, 5000), (1, 512)), ((1, 1), (1, 1))],
)  # fmt: skip
def test_the_longer_side_is_512_and_nothing_is_made_larger(shape, small):
    image = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    found = calcThumbnail(image)
    assert (found.shape, found.dtype) == (small, np.uint8)


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 40))
def test_blocks_are_means(factor, rows, columns):
    image = np.random.default_rng(factor).normal(100, 10, (rows * factor, columns * factor)).astype(np.float32)
    expected = image.reshape(rows, factor, columns, factor).mean(axis=(1, 3), dtype=np.float64)
    np.testing.assert_allclose(averageBlocks(image, factor), expected, rtol=1e-5)


@given(st.floats(-1e4, 1e4), st.floats(0.01, 1e4))
def test_contrast_does_not_depend_on_level_and_scale(level, scale):
    image = np.random.default_rng(3).normal(0, 1, (64, 64))
    difference = calcGreyLevels(image).astype(int) - calcGreyLevels(level + scale * image)
    assert abs(difference).max() <= 1


def test_hot_pixels_do_not_take_the_contrast_and_an_even_image_is_grey():
    image = np.random.default_rng(3).normal(0, 1, (64, 64))
    hot = image.copy()
    hot[5, 5], hot[6, 6] = 1e9, -1e9
    assert abs(calcGreyLevels(hot).astype(int) - calcGreyLevels(image)).max(initial=0, where=abs(hot) < 1e8) < 12
    assert set(calcGreyLevels(np.ones((4, 4))).flat) == {127}


def test_what_is_to_the_left_stays_there():
    image = np.zeros((1000, 2000), np.float32)
    image[:500, :1000] = 1
    small = calcThumbnail(image)
    assert small.shape == (256, 512)
    assert (small[:127, :255].min(), small[129:].max(), small[:, 257:].max()) == (255, 0, 0)
