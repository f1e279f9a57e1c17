"""How many workers there should be: the arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appion.base.workers.scaling import Bounds, Demand, Hold, calcChange, calcNeed, calcNeededTime


@given(st.integers(0, 10**6), st.floats(0, 1e5), st.floats(1, 1e5), st.integers(0, 5), st.integers(5, 100))
def test_need_is_within_bounds_and_never_more_than_there_is_to_do(backlog, seconds, latency, minimum, maximum):
    bounds = Bounds(minimum, maximum, latency)
    need = calcNeed(Demand(backlog, seconds), bounds)
    assert minimum <= need <= max(minimum, min(backlog, maximum))
    assert need >= min(1, backlog)
    assert need <= calcNeed(Demand(backlog + 1, seconds), bounds)


def test_one_worker_is_kept_warm_while_exposures_come():
    bounds = Bounds(warm=600)
    assert calcNeed(Demand(), bounds) == 0
    assert calcNeed(Demand(quiet=599), bounds) == 1
    assert calcNeed(Demand(quiet=601), bounds) == 0
    assert calcNeed(Demand(quiet=0), Bounds()) == 0


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 30)), min_size=1), st.floats(0, 100))
def test_hold_keeps_the_largest_need_of_its_time(steps, seconds):
    hold, now, seen = Hold(seconds), 0.0, []
    for step, need in steps:
        now += step
        seen.append((now, need))
        kept = hold.update(now, need)
        assert kept == max([need, *(other for when, other in seen if now - when < seconds)])


@given(*(st.integers(0, 40) for _ in range(5)), st.booleans())
def test_a_change_never_goes_beyond_the_target(target, idle, waiting, busy, burst, dormant):
    there = idle + waiting + busy
    change = calcChange(target, there, idle, waiting, burst, dormant)
    after = there + change.submit - change.retire - change.cancel
    assert min(there, target) <= after <= max(there, target)
    assert change.submit <= burst
    assert change.retire <= idle
    assert change.cancel <= (waiting if dormant else 0)


def test_time_that_a_worker_must_have_left():
    assert calcNeededTime(None, 3600, 120) == 3720
    assert calcNeededTime(60, 3600, 120) == 210
    assert calcNeededTime(3000, 3600, 120) == 3720
    assert calcNeededTime(None, None, 120) == 120
    assert calcNeededTime(100, None, 0) == 150
