"""The numbers of a fitted CTF, and of the ring of ice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc.numbers import constructLine
from appion.base.records.series import CTF
from appion.base.records.task import Taken
from appion.ctfestimation.calc.external.parse import parseAverages
from appion.ctfestimation.calc.internal.icering import calcIceRing
from appion.ctfestimation.calc.internal.numbers import calcNumbers
from tests.ctfestimation.micrographs import makeOrigin
from tests.ctfestimation.test_rows import makeComputed

#: As CTFFIND writes it: five lines of words, then six of numbers.
AVERAGES = """# Output from CTFFind version 4.1.14, run on 2026-11-26 12:00:00
# Input file: a.mrc ; Number of micrographs: 1
# Pixel size: 1.400 Angstroms ; acceleration voltage: 300.0 keV
# Box size: 512 pixels ; min. res.: 30.0 Angstroms
# 6 lines per micrograph: #1 - spatial frequency (1/Angstroms)
0.200000 0.240000 0.249000 0.250000 0.260000 0.270000 0.280000 0.281000 0.300000
     9.00000      9.00000      9.00000      1.25000     -2.50000      4.00000      0.50000      9.00000      9.00000
1 1 1 1 1 1 1 1 1
2 2 2 2 2 2 2 2 2
3 3 3 3 3 3 3 3 3
4 4 4 4 4 4 4 4 4
"""


def test_ice_is_what_RELION_makes_of_the_same_file():
    """|1.25| + |-2.5| + |4| + |0.5|: from 0.25 1/Å on, up to before the first above 0.28 1/Å."""
    frequency, plain = parseAverages(AVERAGES)[:2]
    assert calcIceRing(frequency, plain) == 8.25
    # line by line, as RELION reads it
    lines = AVERAGES.splitlines()
    column, total, inside = lines[5].split(), 0.0, False
    for place, word in zip(column, lines[6].split(), strict=True):
        inside = float(place) >= 0.25
        if float(place) > 0.28:
            break
        total += abs(float(word)) if inside else 0
    assert total == 8.25


def test_a_spectrum_that_ends_before_the_ring_does_has_no_number():
    frequency = np.linspace(0, 0.28, 100)
    assert calcIceRing(frequency, np.ones(100)) is None
    assert calcIceRing(np.linspace(0, 0.5, 300), np.zeros(300)) is None
    assert calcIceRing(np.array([]), np.array([])) is None


@given(st.integers(50, 2000), st.floats(0.3, 1.0), st.floats(0.1, 10))
def test_ice_of_a_flat_spectrum_is_the_number_of_its_samples_there(size, highest, level):
    frequency = np.linspace(0, highest, size)
    inside = np.count_nonzero((frequency >= 0.25) & (frequency <= 0.28))
    assert calcIceRing(frequency, np.full(size, level)) == (pytest.approx(inside * level) if inside else None)


def test_numbers_by_hand():
    origin = makeOrigin(taken=Taken(defocus=15000.0))
    found = calcNumbers(makeComputed(origin, ice_ring=190.0))
    assert found == {
        "defocus1": 15000.0, "defocus2": 16000.0, "defocus": 15500.0, "defocus_error": 500.0, "astigmatism": 1000.0,
        "astigmatism_axis": 29.92, "phase_shift": 0.0, "ctf_resolution": 3.1, "resolution_80": 3.6,
        "resolution_50": 2.9, "confidence": 0.5, "score": 0.25, "tilt_angle": None, "tilt_axis_angle": None,
        "thickness": None, "ice_ring": 190.0, "spectrum": "a-pow.jpg",
    }  # fmt: skip
    assert set(found) == {column.name for column in CTF}


def test_what_the_program_does_not_tell_is_left_out_but_a_fit_that_holds_nowhere_says_so():
    computed = makeComputed(ctffind4_resolution=100000.0, confidence=math.nan, graphs=("", "", "", ""))
    computed = replace(computed, result=replace(
        computed.result, analysis=replace(computed.result.analysis, resolution_80_percent=100.0)))  # fmt: skip
    line = constructLine(1, "a", calcNumbers(computed), 5.0)
    assert not {"ctf_resolution", "confidence", "defocus_error", "thickness", "spectrum"} & line.keys()
    assert line["resolution_80"] == 100.0
    assert "resolution_50" not in calcLine(makeComputed(analysis=None))


def calcLine(computed):
    return constructLine(1, "a", calcNumbers(computed), 5.0)


@given(st.floats(1e3, 5e4), st.floats(1e3, 5e4), st.floats(-90, 90))
def test_astigmatism_is_never_negative_and_its_axis_is_that_of_the_smaller_defocus(one, other, axis):
    found = calcNumbers(makeComputed(defocus1=one, defocus2=other, angle_astigmatism=axis))
    assert found["astigmatism"] == abs(one - other)
    assert (found["defocus1"], found["defocus2"]) == (min(one, other), max(one, other))
    turned = abs(found["astigmatism_axis"] - axis)
    assert turned == pytest.approx(90 if one > other else 0)
