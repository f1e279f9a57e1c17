"""Dose weighting against the formula of Grant & Grigorieff (2015)."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from appion.motioncorrection.calc.internal.correct import Correction, correctMovie
from appion.motioncorrection.calc.internal.doseweight import calcCriticalDose, calcExposures, calcVoltageFactor


def test_critical_dose():
    assert calcCriticalDose(np.array([0.1]), 300)[0] == pytest.approx(0.245 * 0.1**-1.665 + 2.81)
    assert calcCriticalDose(np.array([0.25]), 200)[0] == pytest.approx(0.8 * (0.245 * 0.25**-1.665 + 2.81))
    assert np.isinf(calcCriticalDose(np.array([0.0]), 300)[0])
    assert calcVoltageFactor(250) == pytest.approx(0.9)
    np.testing.assert_allclose(calcExposures([1, 1, 2], 3), [4, 5, 7])


@pytest.mark.parametrize("shape", [(48, 64), (45, 51)])
def test_weighted_sum(shape):
    frames = np.random.default_rng(0).normal(5, 1, (4, *shape)).astype(np.float32)
    exposures = calcExposures([1.5] * 4, 2.0)
    correction = Correction(shape, 4, align=False, exposures=exposures, pixelsize=1.2, kv=300, sumrange=(4, 7))
    result = correctMovie(lambda: iter(frames), correction)
    k = np.hypot(scipy.fft.fftfreq(shape[0], 1.2)[:, None], scipy.fft.rfftfreq(shape[1], 1.2)[None])
    with np.errstate(divide="ignore"):
        weights = np.exp(-exposures[:, None, None] / (2 * (0.245 * k**-1.665 + 2.81)))
    transforms = scipy.fft.rfft2(frames)

    def calc(some):
        total = (weights[some] * transforms[some]).sum(axis=0) / np.sqrt((weights[some] ** 2).mean(axis=0))
        return scipy.fft.irfft2(total, s=shape)

    np.testing.assert_allclose(result.total, frames.sum(axis=0), rtol=2e-5)
    np.testing.assert_allclose(result.weighted, calc(slice(None)), atol=2e-3)
    np.testing.assert_allclose(result.ranged, calc(slice(1, 3)), atol=2e-3)
    assert result.weighted.mean() == pytest.approx(result.total.mean(), rel=1e-5)
