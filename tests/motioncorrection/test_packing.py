"""Frames that are kept packed come back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.motioncorrection.calc.internal import packing
from appion.motioncorrection.calc.internal.packing import packFrame, unpackFrame


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(("uint8", "uint16", "int16")), st.integers(0, 100))
def test_frames_come_back(rows, cols, dtype, seed):
    rng = np.random.default_rng(seed)
    frame = rng.poisson(2, (rows, cols)).astype(dtype)
    frame[rng.random(frame.shape) < 0.005] = rng.integers(0, np.iinfo(dtype).max)
    frame.flat[0] = -3 if dtype == "int16" else 16
    again = unpackFrame(packFrame(frame))
    assert again.dtype == frame.dtype
    np.testing.assert_array_equal(again, frame)


@pytest.mark.parametrize("size", [500, 501])
def test_frames_of_several_blocks_in_half_the_memory(monkeypatch, size):
    monkeypatch.setattr(packing, "BLOCK", 4096)
    frame = np.random.default_rng(1).poisson(1, (size, 501)).astype(np.uint8)
    frame[::50, 7] = 200
    packed = packFrame(frame)
    assert packed.nbytes < 0.51 * frame.nbytes
    np.testing.assert_array_equal(unpackFrame(packed), frame)


def test_what_does_not_fit_is_kept_as_it_is():
    bright = np.full((20, 30), 40, np.uint8)
    assert packFrame(bright) is bright
    fractions = np.ones((20, 30), np.float32)
    assert unpackFrame(packFrame(fractions)) is fractions
