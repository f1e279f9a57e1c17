"""What CTFFIND writes, read back."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.external.parse import parseAverages, parseFit
from appion.ctfestimation.calc.internal.convention import Fit

HEADER = """# Output from CTFFind version 4.1.14, run on 2026-11-22 10:33:02
# Input file: X.mrc ; Number of micrographs: 1
# Pixel size: 1.000 Angstroms ; acceleration voltage: 300.0 keV ; spherical aberration: 2.70 mm
# Box size: 512 pixels ; min. res.: 30.0 Angstroms ; max. res.: 5.0 Angstroms
# Columns: #1 - micrograph number; #2 - defocus 1 [Angstroms]; #3 - defocus 2
"""
ROW = "1.000000 15006.321289 14503.457031 35.647265 0.000000 0.330317 2.918699\n"


def test_rowOfFour():
    assert parseFit(HEADER + ROW) == Fit(15006.321289, 14503.457031, 35.647265, 0.0, 0.330317, 2.918699)


def test_rowOfFive():
    fit = parseFit(HEADER + ROW.rstrip() + " 10.350000 0.030000 841.410000\n")
    assert (fit.tilt_axis_angle, fit.tilt_angle, fit.thickness) == (10.35, 0.03, 841.41)
    fit = parseFit(HEADER + ROW.rstrip() + " 0.000000 0.000000 0.000000\n")
    assert (fit.tilt_axis_angle, fit.tilt_angle, fit.thickness) == (0.0, 0.0, 0.0)
    fit = parseFit(HEADER + ROW.rstrip() + " 10.350000 inf -35.000000\n")
    assert (fit.tilt_axis_angle, fit.tilt_angle, fit.thickness) == (None, None, -35.0)
    fit = parseFit(HEADER + ROW.rstrip() + " 10.350000\n")
    assert (fit.tilt_axis_angle, fit.tilt_angle, fit.thickness) == (None, None, None)


def test_lastRowCounts():
    assert parseFit(HEADER + ROW + "\n" + ROW.replace("1.0000", "2.0000").replace("15006", "20000")).defocus_u > 20000


def test_resolutionAsItIs():
    assert parseFit(HEADER + ROW.replace("2.918699", "inf")).resolution == float("inf")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no row of values"),
        (HEADER, "no row of values"),
        ("1 2 3 4 5 6\n", "6 columns instead of 7 to 10: 1 2 3 4 5 6"),
        (ROW + "1 2 3 4 5 6 7 8 9 10 11\n", "11 columns"),
        ("1 2 3 4 5 six 7\n", "does not hold numbers"),
        ("1.0 27500 27500 0 0 inf 718.0\n", "score is inf"),
        ("1.0 nan 27500 0 0 0.1 4.0\n", "defocus 1 is nan"),
    ],
)
def test_whatIsNoFit(text, reason):
    with pytest.raises(ImageFailure) as caught:
        parseFit(text)
    assert reason in caught.value.reason


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6), st.floats(0, 1e5))
def test_numbersComeBack(values, resolution):
    fit = parseFit(HEADER + " ".join(map(repr, [*values, resolution])) + "\n")
    assert [fit.defocus_u, fit.defocus_v, fit.angle, fit.phase_shift, fit.score] == values[1:]
    assert fit.resolution == resolution


@given(st.text(max_size=200))
def test_anyTextIsAFitOrAFailure(text):
    with contextlib.suppress(ImageFailure):
        parseFit(text)


def test_averages():
    curves = np.arange(24.0).reshape(6, 4)
    text = "# a\n" * 5 + "".join(" ".join(f"{value:14.5f}" for value in curve) + "\n" for curve in curves)
    np.testing.assert_array_equal(parseAverages(text), curves)
    np.testing.assert_array_equal(parseAverages(text.replace("0.00000", "7.00000", 1) + text), curves)
    for bad in ("", "1 2 3\n" * 5, "1 2\n" * 5 + "1\n", "a b\n" * 6):
        with pytest.raises(ValueError, match=r"instead of 6|could not convert"):
            parseAverages(bad)
