"""Back-off, rates, groups of reasons, outages."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc import pace as calc
from appion.base.calc.outage import Outage
from appion.base.calc.pace import calcBackoff, calcRate, calcReasonGroup, calcTimeLeft, formatDuration, isFallingBehind


def test_examples_in_docstrings():
    assert doctest.testmod(calc).failed == 0


@given(st.integers(0, 5000), st.floats(0.1, 100), st.floats(100, 1e6))
def test_backoff_grows_to_its_limit(count, first, longest):
    assert first <= calcBackoff(count, first, longest) <= calcBackoff(count + 1, first, longest) <= longest


def test_rates_and_time_left():
    assert calcRate([], 10) is None
    assert calcRate([0.0, 60.0, 120.0], 180) == 60
    assert calcRate([0.0, 60.0], 5000) is None  # nothing within the horizon
    assert calcTimeLeft(0, None) == 0
    assert calcTimeLeft(10, None) is None
    assert calcTimeLeft(30, 60) == 1800
    assert calcTimeLeft(30, 60, 30) == 3600
    assert calcTimeLeft(30, 60, 61) is None
    assert isFallingBehind(50, 60, 90)
    assert not isFallingBehind(50, 60, 62)
    assert not isFallingBehind(5, 60, 90)
    assert [formatDuration(seconds) for seconds in (59, 600, 7260, 3e5)] == ["59 s", "10 min", "2 h 1 min", "3 d 11 h"]


def test_reasons_are_grouped_over_names_and_numbers():
    assert calcReasonGroup("/a/img1.mrc has 12 of 40", "img1") == calcReasonGroup("/b/img2.mrc has 9 of 40", "img2")
    assert calcReasonGroup("x") == "x"
    assert calcReasonGroup("exit code 1 (a+b)", "a+b") == "exit code N (…)"


def test_outage_tolerates_pauses_and_ends():
    now = [0.0]
    outage = Outage(10, 30, tolerance=1, clock=lambda: now[0])
    assert not outage.fail("lost")
    assert outage.describe() is None
    assert outage.fail("lost again")
    assert outage.isPaused()
    assert not outage.fail("a straggler")
    now[0] = 10
    assert not outage.isPaused()
    assert not outage.fail("still")
    assert outage.describe()["next_try"] == 20
    assert outage.clear()
    assert not outage.clear()
