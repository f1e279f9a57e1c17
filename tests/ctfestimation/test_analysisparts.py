"""The parts of the analysis: what holds for any microscope, any points and any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appion.ctfestimation.calc.internal.confidence import calcCorrelation, calcResolution
from appion.ctfestimation.calc.internal.lowpass import filterMirrored
from appion.ctfestimation.calc.internal.model import calcCTF, calcExtrema, constructDefocus, constructOptics
from appion.ctfestimation.calc.internal.rings import calcEllipticalRadius, calcRingMeans
from appion.ctfestimation.calc.internal.sections import calcBlend, calcSections, fitLine
from appion.ctfestimation.calc.internal.spectrum import (
    calcFieldSize,
    calcTileCorners,
    calcTrimRadius,
    calcWindow,
    isGoodSize,
)


@given(
    defocus=st.floats(300, 60000), cs=st.sampled_from([0.0, 0.01, 2.0, 2.7]), volts=st.sampled_from([1e5, 2e5, 3e5]),
    amplitude=st.floats(0, 0.3), phase=st.floats(0, 3), limit=st.floats(0.02, 0.6),
)  # fmt: skip
def test_extremaAreZerosAndPeaks(defocus, cs, volts, amplitude, phase, limit):
    optics = constructOptics(cs, volts, amplitude, phase)
    for peaks in (False, True):
        found = calcExtrema(defocus, optics, limit, peaks)
        assert np.all(np.diff(found) > 0)
        assert np.count_nonzero(found > limit) <= 1
        assert np.square(calcCTF(found, defocus, optics)) == pytest.approx(float(peaks), abs=1e-6)
        # Between two of them the phase grows by pi, so none is left out.
        signs = np.sign(calcCTF((found[1:] + found[:-1]) / 2, defocus, optics))
        if not peaks:
            assert np.all(signs[1:] == -signs[:-1])


def test_defocusFollowsTheConvention():
    assert constructDefocus(2e-6, 1e-6, 10) == constructDefocus(1e-6, 2e-6, 100) == constructDefocus(-2e-6, -1e-6, 10)
    defocus = constructDefocus(1e-6, 2e-6, 30)
    assert defocus.along(np.radians([30.0, 120.0, 210.0])) == pytest.approx([1e4, 2e4, 1e4])
    assert defocus.mean == pytest.approx(1e4 * math.sqrt(2))


@given(
    values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40),
    steps=st.lists(st.floats(0.01, 5), min_size=40, max_size=40),
    below=st.booleans(),
)
def test_theLineIsTheClosestOnOneSide(values, steps, below):
    x, y = np.cumsum(steps[: len(values)]), np.array(values)
    intercept, slope = fitLine(x, y, below)
    gap = (y - intercept - slope * x) * (1 if below else -1)
    assert gap.min() >= -1e-6
    assert np.count_nonzero(np.abs(gap) < 1e-6 * (1 + np.abs(slope) * x)) >= 2
    # Tilted about either of the points it touches, it would be farther from the mean or cut through the points.
    middle = intercept + slope * x.mean()
    for other in (slope - 0.01, slope + 0.01):
        tilted = (y - other * x).min() if below else (y - other * x).max()
        assert (tilted + other * x.mean() - middle) * (1 if below else -1) <= 1e-6


@given(samples=st.integers(60, 600), spacing=st.floats(2.5, 20), number=st.integers(1, 6))
def test_sectionsOverlapAndBlendIntoOneCurve(samples, spacing, number):
    x = np.arange(samples) / 1000
    extrema = np.arange(3, samples + spacing, spacing) / 1000
    sections = calcSections(x, extrema, number)
    assume(sections)
    assert all(start >= 2 and end - start >= 4 and end < samples for start, end in sections)
    curves = [np.full(samples, float(j)) for j in range(len(sections))]
    blend = calcBlend(curves, sections)
    assert blend[0] == 0
    assert blend[-1] == len(sections) - 1
    assert np.all(np.diff(blend) >= -1e-12)


@pytest.mark.parametrize(("shape", "size", "tiles"), [
    ((2048, 2048), 1024, 9), ((4096, 4096), 2048, 9), ((4092, 5760), 2048, 2 * 4 + 4 + 2), ((1040, 1040), 1024, 1),
])  # fmt: skip
def test_tilesOverlapAndReachTheEdges(shape, size, tiles):
    assert calcFieldSize(shape) == size
    corners = calcTileCorners(shape, size)
    assert len(corners) == tiles
    assert all(0 <= row <= shape[0] - size and 0 <= column <= shape[1] - size for row, column in corners)


def test_trimmedSpectraHaveGoodSizes():
    assert [calcTrimRadius(1024, 1 / 1024, resolution) for resolution in (3.0, 5.0)] == [352, 216]
    assert calcTrimRadius(2048, 1 / 2048, 3.0) == 704
    assert calcTrimRadius(1024, 1 / (1024 * 2.5), 3.0) == 512
    assert [n for n in range(700, 800) if isGoodSize(n)] == [704, 720, 768, 784]


def test_theWindowFallsToTheCorners():
    window = calcWindow(256)
    assert window[127:129, 127:129] == pytest.approx(1, abs=1e-4)
    assert window[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(0, abs=1e-4)
    assert np.all(np.diff(window[128, 128:]) < 0)


@given(ratio=st.floats(1, 2), angle=st.floats(-math.pi, math.pi), width=st.sampled_from([0.5, 1.0, 1.5]))
def test_ringsAverageWhatIsTheSameOnEllipses(ratio, angle, width):
    radius = calcEllipticalRadius(64, ratio, angle)
    means = calcRingMeans(radius, radius, width)
    middle = width * (np.arange(len(means)) + 0.5)
    assert np.all(np.abs(means - middle)[middle > 3] <= 1.5 * width)
    assert calcRingMeans(np.ones((64, 64)), radius, width) == pytest.approx(1)


def test_filtersKeepAndRemove():
    slow, fast = np.sin(np.arange(400) / 60), np.tile([1.0, -1.0], 200)
    assert filterMirrored(slow + fast, 10)[20:-20] == pytest.approx(slow[20:-20], abs=0.02)
    assert filterMirrored(slow + fast, 10, high=True)[20:-20] == pytest.approx(fast[20:-20], abs=0.02)
    assert filterMirrored(fast, 0.5) is fast


def test_resolutionIsWhereTheCorrelationFalls():
    frequency = np.array([0.1, 0.2, 0.3, 0.4])
    assert calcResolution(frequency, np.array([0.9, 0.9, 0.7, 0.9]), 0.8) == pytest.approx(1 / 0.25)
    assert calcResolution(frequency, np.array([0.5, 0.9, 0.9, 0.9]), 0.8) == pytest.approx(1 / 0.4)
    for bad in ([0.5, 0.5, 0.5, 0.9], [0.5, 0.9], []):
        assert calcResolution(frequency[: len(bad)], np.array(bad), 0.8) == 100.0


def test_correlationOfWhatDoesNotVaryIsUnknown():
    assert math.isnan(calcCorrelation(np.ones(5), np.arange(5.0)))
    assert math.isnan(calcCorrelation(np.ones(1), np.ones(1)))
    assert calcCorrelation(np.arange(5.0), 3 - 2 * np.arange(5.0)) == pytest.approx(-1)
