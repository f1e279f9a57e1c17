"""P18 and P19: the number of jobs follows the exposures calmly; new exposures and a backlog share the work fairly."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass

import dask.config
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.calc.pace import calcQuantile
from appion.base.loop import LoopOptions, runLoop
from appion.base.workers.scaling import Bounds, Demand, Hold, calcChange, calcNeed
from tests.base.fakes import fast, inline, lab

__all__ = ["fast", "inline", "lab"]


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
    story, hold, last = Story(), Hold(bounds.hold), -math.inf
    todo: deque[float] = deque()
    pending: list[float] = []  # when they start
    workers: list[float] = []  # when each has done what it does
    known, retired_last, come = None, False, deque(sorted(arrivals))
    for now in range(int(until)):
        while come and come[0] <= now:
            last = come.popleft()
            todo.append(last)
        workers += [0.0] * sum(when <= now for when in pending)
        pending = [when for when in pending if when > now]
        for number, free in enumerate(workers):
            if free <= now and todo:
                story.waited = max(story.waited, now - todo.popleft())
                workers[number], known = now + seconds, seconds
                story.computed += 1
        busy = [free for free in workers if free > now]
        demand = Demand(len(todo) + len(busy), known, quiet=now - last)
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


STEADY = [15.0 * number for number in range(240)]  # an hour
BURST = [3600.0] * 200
AGAIN = [5400.0 + 600 + 15 * number for number in range(240)]  # after ten minutes without any
BOUNDS = Bounds(maximum=20, latency=300, hold=300)


@pytest.mark.parametrize("queue", [2.0, 60.0])
def test_P18_calm_under_steady_arrivals_a_burst_a_pause_and_the_end(queue):
    """Four hours: an exposure of a minute every 15 s, a burst of 200, a pause of 10 minutes, the same again, nothing.

    Steady arrivals keep 4 workers busy and the burst takes all 20. In all at most 30 jobs are submitted: 20, and a few
    around each of the steady hours. No job is cancelled before it started, submitting follows retiring once (after the
    pause), and at the end there is none.
    """
    story = simulate([*STEADY, *BURST, *AGAIN], 60.0, BOUNDS, queue, 4 * 3600)
    assert story.computed == 680
    assert story.submitted <= 30
    assert story.cancelled == 0
    assert story.swings <= 1
    assert story.most <= 20
    assert story.left == 0
    assert story.waited <= 200 * 60 / 20 + queue + 30  # 20 workers cannot do the burst any faster


@pytest.mark.parametrize("seconds", [5.0, 60.0, 400.0])
def test_P18_steady_arrivals_submit_hardly_more_jobs_than_workers_are_needed(seconds):
    """Three hours: at most two jobs for each worker that is needed, and four."""
    arrivals = [20.0 * number for number in range(540)]
    story = simulate(arrivals, seconds, Bounds(maximum=50, latency=300, hold=300), 5.0, 4 * 3600)
    enough = math.ceil(seconds / 20)
    assert story.computed == 540
    assert story.left == story.cancelled == 0
    assert story.submitted <= 2 * enough + 4
    assert story.swings <= 1


def test_P18_a_worker_kept_warm_bridges_pauses_and_goes_after_the_last_exposure():
    """One exposure every 10 minutes: each has a job of its own without a warm worker, all have the same one with it."""
    arrivals = [600.0 * number for number in range(12)]
    cold, warm = (
        simulate(arrivals, 60.0, Bounds(hold=60, warm=seconds), 5.0, 3 * 3600) for seconds in (0.0, 900.0)
    )
    assert (cold.submitted, cold.left) == (12, 0)
    assert (warm.submitted, warm.left) == (1, 0)
    assert simulate(arrivals, 60.0, Bounds(hold=60, warm=900), 5.0, 7200 + 300).left == 1


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(0, 3000), max_size=150), st.floats(1, 300), st.floats(0, 200), st.integers(1, 30),
    st.floats(60, 900),
)  # fmt: skip
def test_P18_whatever_arrives_is_computed_and_no_worker_stays(arrivals, seconds, queue, maximum, hold):
    bounds = Bounds(maximum=maximum, latency=300, hold=hold)
    until = 3000 + 151 * (seconds + 1) + queue + 2 * hold + 100
    story = simulate(arrivals, seconds, bounds, queue, min(until, 60000))
    assert story.computed == len(arrivals)
    assert story.left == 0
    assert story.most <= maximum
    if queue < hold:
        assert story.cancelled == 0


@pytest.fixture
def turns(fast, inline):  # noqa: ARG001
    """One poll before each turn; in a turn two workers get two exposures each."""
    with dask.config.set({"appion.poll": 0, "appion.status_interval": 60}):
        yield 4


def work(lab, limit=None):
    """Go on until so many are done, or all; returns the ids in the order in which they were submitted."""
    runLoop(
        lab.step(), lab.rundir, LoopOptions(wait=False, workers=2, limit=limit),
        isDatabaseAway=lambda _: False, reconnect=lambda: None,
    )  # fmt: skip
    assert max(Counter(lab.computed).values()) == 1
    assert len(lab.computed) == limit or set(lab.computed) == set(lab.candidates)
    return lab.computed


def arrive(lab, each, polls):
    """`each` new exposures at every one of so many polls; returns a dictionary to be filled: id -> submitted before."""
    arrived = {}

    def poll():
        if 1 < len(lab.asked) <= polls + 1:
            for image_id in range(len(lab.candidates) + 1, len(lab.candidates) + 1 + each):
                arrived[image_id] = len(lab.computed)
                lab.add(image_id)

    lab.onPoll = poll
    return arrived


@pytest.mark.parametrize("each", [1, 3])
def test_P19_live_exposures_do_not_wait_for_a_backlog_of_2000(lab, turns, each):
    """As many come as four in five of what is computed, or fewer: nearly all (p95) go with the turn in which they are
    seen, every one with the next at the latest, and the backlog gets at least its fifth."""
    lab.add(*range(1, 2001))
    arrived = arrive(lab, each, 150)
    order = work(lab, limit=150 * turns + 50)
    assert len(arrived) == 150 * each
    position = {image_id: place for place, image_id in enumerate(order)}
    overtaken = [position[image_id] - before for image_id, before in arrived.items()]
    assert calcQuantile(overtaken, 0.95) < turns
    assert max(overtaken) < 2 * turns
    meanwhile = order[min(arrived.values()) : max(arrived.values())]
    assert sum(image_id <= 2000 for image_id in meanwhile) >= 0.2 * len(meanwhile) - 1


def test_P19_when_more_arrives_than_can_be_done_nobody_starves(lab, turns):
    """Twice as many come as are computed: the newest is always among the next, a fifth goes to the oldest in their
    order, and in the end everything is done."""
    backlog = 200
    lab.add(*range(1, backlog + 1))
    arrived = arrive(lab, 2 * turns, 60)
    order = work(lab)
    position = {image_id: place for place, image_id in enumerate(order)}
    for image_id, before in arrived.items():
        if image_id + 1 not in arrived or arrived[image_id + 1] > before:  # the newest of its poll
            assert position[image_id] - before < turns
    meanwhile = order[min(arrived.values()) : max(arrived.values())]
    oldest = [image_id for image_id in meanwhile if image_id <= backlog]
    assert len(oldest) >= 0.2 * len(meanwhile) - 1
    assert oldest == sorted(oldest)
    for start in range(len(meanwhile) - 10):
        assert any(image_id <= backlog for image_id in meanwhile[start : start + 10])
