"""The states of exposures, one by one; that none is ever lost, counted twice or starved is among the promises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.controller.line import Line
from appion.base.controller.state import Exposures, Limits, Phase
from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.step import Candidate


def constructExposures(order="live", **limits):
    clock = [0.0]
    exposures = Exposures(
        lambda: Line(order, 0.2, seed=1), Limits(**limits), clock=lambda: clock[0], wall=lambda: clock[0]
    )
    return exposures, clock


def addImages(exposures, ids):
    exposures.add(Candidate(image_id, f"img{image_id}") for image_id in ids)


def test_newest_first_with_a_share_for_the_oldest():
    exposures, _ = constructExposures()
    addImages(exposures, range(1, 101))
    assert exposures.chooseFresh(10) == [100, 99, 98, 97, 1, 96, 95, 94, 93, 2]


def test_orders():
    for order, first in (("newest", [9, 8, 7]), ("oldest", [1, 2, 3])):
        exposures, _ = constructExposures(order)
        addImages(exposures, range(1, 10))
        assert exposures.chooseFresh(3) == first
    exposures, _ = constructExposures("shuffle")
    addImages(exposures, range(1, 100))
    chosen = exposures.chooseFresh(99)
    assert sorted(chosen) == list(range(1, 100)) != chosen


def test_failures_survive_a_restart_and_what_was_not_the_image_does_not():
    exposures, _ = constructExposures(attempts=2)
    addImages(exposures, [1, 2, 3])
    for image_id in exposures.chooseFresh(3):
        exposures.submitted(image_id)
    for _ in range(2):
        exposures.fail(1, ImageFailure("broken"))
    exposures.fail(2, ConfigurationFailure("no calibration"))
    exposures.fail(3, ImageFailure("broken once"))
    assert exposures.phase[2] is Phase.SET_ASIDE

    again, _ = constructExposures(attempts=2)
    again.recall((), exposures.attempts.values())
    addImages(again, [1, 2, 3])
    assert again.phase == {1: Phase.SET_ASIDE, 2: Phase.QUEUED, 3: Phase.BACKING_OFF}
    assert again.retry([1]) == [1]
    assert again.phase[1] is Phase.QUEUED


def test_a_lost_worker_counts_only_when_others_get_through():
    exposures, _ = constructExposures(infrastructure_attempts=3)
    addImages(exposures, [1, 2, 3, 4, 5])
    for _ in range(20):
        exposures.fail(1, InfrastructureFailure("disk full"))
    assert exposures.phase[1] is Phase.BACKING_OFF
    for other in (2, 3, 4):
        exposures.finish(other)
        exposures.fail(1, InfrastructureFailure("worker lost"))
    assert exposures.phase[1] is Phase.SET_ASIDE
    assert exposures.attempts[1].count == 0


@given(st.lists(st.integers(1, 30), max_size=60), st.sampled_from(["live", "newest", "oldest", "shuffle"]))
@settings(deadline=None, max_examples=50)
def test_line_gives_every_valid_id_once(pushes, order):
    line = Line(order, seed=0)
    for image_id in pushes:
        line.push(image_id)
    odd = {image_id for image_id in pushes if image_id % 2}
    assert sorted(line.pop(100, lambda image_id: image_id in odd)) == sorted(odd)


@pytest.mark.parametrize("order", ["live", "newest", "oldest", "shuffle"])
@given(pushes=st.sets(st.integers(1, 3000), max_size=20), many=st.booleans())
@settings(deadline=None, max_examples=50)
def test_last_in_line_is_at_its_other_end_and_keeps_its_place(pushes, many, order):
    line = Line(order, seed=0)
    stock = range(1000, 2000) if many else ()
    line.extend(stock)
    for image_id in pushes:
        line.push(image_id)
    odd = {image_id for image_id in {*pushes, *stock} if image_id % 2}
    last = max(odd, default=None) if order == "oldest" else min(odd, default=None)
    assert line.findLast(odd.__contains__) == last
    assert sorted(line.pop(2000, odd.__contains__)) == sorted(odd)


def test_nothing_is_kept_of_what_is_done():
    exposures, _ = constructExposures()
    for image_id in range(1, 20_001):
        addImages(exposures, [image_id])
        for chosen in exposures.chooseFresh(1):
            exposures.submitted(chosen)
            exposures.computed(chosen)
            exposures.finish(chosen)
    assert exposures.counts[Phase.DONE] == 20_000
    kept = (exposures.names, exposures.waits, exposures.attempts, exposures._marks, exposures._wakeups)
    assert not any(kept)
    assert exposures.phase.findEarliest() is None
    assert len(exposures._fresh._newest) + len(exposures._fresh._oldest) < 2500
