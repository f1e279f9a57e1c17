"""How many workers there should be: the arithmetic, and calm under simulated arrivals."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.scaling import Bounds, Demand, Hold, calcChange, calcNeed, calcNeededTime


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


@dataclass
class Story:
    """What happened in a simulation."""

    submitted: int = 0
    cancelled: int = 0
    most: int = 0
    waited: float = 0.0  # the longest that an exposure waited for a worker
    computed: int = 0
    left: int = 0  # jobs at the end
    swings: int = 0  # times that submitting followed retiring


def simulate(arrivals: list[float], seconds: float, bounds: Bounds, queue: float, until: float) -> Story:
    """Second by second: exposures arrive, jobs start after `queue` seconds, workers work; decided as by the daemon."""
    story, hold = Story(), Hold(bounds.hold)
    todo: deque[float] = deque()
    pending: list[float] = []  # when they start
    workers: list[float] = []  # when each has done what it does
    known, retired_last, come = None, False, deque(sorted(arrivals))
    for now in range(int(until)):
        while come and come[0] <= now:
            todo.append(come.popleft())
        workers += [0.0] * sum(when <= now for when in pending)
        pending = [when for when in pending if when > now]
        for number, free in enumerate(workers):
            if free <= now and todo:
                story.waited = max(story.waited, now - todo.popleft())
                workers[number], known = now + seconds, seconds
                story.computed += 1
        busy = [free for free in workers if free > now]
        demand = Demand(len(todo) + len(busy), known)
        target = hold.update(now, calcNeed(demand, bounds))
        there = len(workers) + len(pending)
        change = calcChange(
            target, there, len(workers) - len(busy), len(pending), 4, dormant=target <= bounds.minimum
        )
        story.swings += bool(change.submit) and retired_last
        retired_last = bool(change.retire) or (retired_last and not change.submit)
        pending += [now + queue] * change.submit
        story.submitted += change.submit
        for _ in range(change.retire):
            workers.remove(min(workers))
        pending = pending[: len(pending) - change.cancel]
        story.cancelled += change.cancel
        story.most = max(story.most, len(workers) + len(pending))
    story.left = len(workers) + len(pending)
    return story


@pytest.mark.parametrize("queue", [2.0, 60.0])
def test_calm_under_steady_arrivals_bursts_and_pauses(queue):
    """Four hours: an exposure every 15 s, a burst of 200, a pause of 10 minutes, arrivals again, then nothing."""
    steady = [15.0 * number for number in range(240)]
    burst = [3600.0] * 200
    again = [5400.0 + 600 + 15 * number for number in range(240)]
    bounds = Bounds(maximum=20, latency=300, hold=300)
    story = simulate([*steady, *burst, *again], 60.0, bounds, queue, 4 * 3600)
    assert story.computed == 680
    assert story.cancelled == 0
    assert story.left == 0
    assert story.most <= 20
    assert story.submitted <= 30
    assert story.swings <= 1
    assert story.waited <= 200 * 60 / 20 + queue + 30  # 20 workers cannot do the burst any faster


@pytest.mark.parametrize("seconds", [5.0, 60.0, 400.0])
def test_steady_arrivals_submit_hardly_more_jobs_than_workers_are_needed(seconds):
    arrivals = [20.0 * number for number in range(540)]  # three hours
    story = simulate(arrivals, seconds, Bounds(maximum=50, latency=300, hold=300), 5.0, 4 * 3600)
    enough = math.ceil(seconds / 20)
    assert story.computed == 540
    assert story.left == story.cancelled == 0
    assert story.submitted <= 2 * enough + 4
    assert story.swings <= 1


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(0, 3000), max_size=150), st.floats(1, 300), st.floats(0, 200), st.integers(1, 30),
    st.floats(60, 900),
)  # fmt: skip
def test_whatever_arrives_is_computed_and_no_worker_stays(arrivals, seconds, queue, maximum, hold):
    bounds = Bounds(maximum=maximum, latency=300, hold=hold)
    until = 3000 + 151 * (seconds + 1) + queue + 2 * hold + 100
    story = simulate(arrivals, seconds, bounds, queue, min(until, 60000))
    assert story.computed == len(arrivals)
    assert story.left == 0
    assert story.most <= maximum
    if queue < hold:
        assert story.cancelled == 0
