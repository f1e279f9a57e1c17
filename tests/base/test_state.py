"""The states of exposures: nothing is ever lost, counted twice or starved."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.line import Line
from appion.base.state import FINISHED, Exposures, Limits, Phase
from appion.base.step import Candidate

IDS = st.integers(1, 40)


class Conservation(RuleBasedStateMachine):
    """Whatever happens in whatever order, each candidate is in exactly one phase and can still get done."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.exposures = Exposures(Line, Limits(attempts=2), clock=lambda: self.now, wall=lambda: self.now)
        self.exposures.recall({3, 4, 5})
        self.known: set[int] = set()
        self.running: set[int] = set()
        self.storing: set[int] = set()

    @rule(ids=st.sets(IDS))
    def find(self, ids):
        self.exposures.add(Candidate(image_id, f"img{image_id}") for image_id in ids)
        self.known |= ids

    @rule(ids=st.sets(IDS))
    def reject(self, ids):
        self.exposures.updateRejected(ids)

    @rule(seconds=st.floats(0, 5000))
    def pass_time(self, seconds):
        self.now += seconds
        self.exposures.wake()

    @rule(number=st.integers(1, 10), what=st.lists(st.sampled_from(["submit", "wait", "fail", "leave"]), min_size=10))
    def choose(self, number, what):
        ids = self.exposures.chooseFresh(number)
        assert len(ids) == len(set(ids)) <= number
        for image_id, action in zip(ids, what, strict=False):
            assert self.exposures.phase[image_id] is Phase.QUEUED
            if action == "submit":
                self.exposures.submitted(image_id)
                self.running.add(image_id)
            elif action == "wait":
                self.exposures.wait(image_id, "missing", None)
            elif action == "fail":
                self.exposures.fail(image_id, ConfigurationFailure("no calibration"))
        self.exposures.putBack(ids)

    @rule(number=st.integers(1, 10), ready=st.booleans())
    def recheck(self, number, ready):
        for image_id in self.exposures.chooseDue(number):
            if ready:
                self.exposures.ready(image_id)
            else:
                self.exposures.wait(image_id, "missing", None)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.sampled_from([None, ImageFailure("broken"), InfrastructureFailure("lost")]))
    def come_back(self, data, outcome):
        image_id = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(image_id)
        if outcome is None:
            self.exposures.computed(image_id)
            self.storing.add(image_id)
        else:
            self.exposures.fail(image_id, outcome)

    @precondition(lambda self: self.storing)
    @rule()
    def store(self):
        self.exposures.finish(self.storing.pop())

    @rule(ids=st.none() | st.sets(IDS))
    def retry(self, ids):
        self.exposures.retry(ids)

    @invariant()
    def each_in_one_phase(self):
        assert set(self.exposures.phase) == self.known
        assert +self.exposures.counts == Counter(self.exposures.phase.values())
        assert set(self.exposures.waits) == self.having(Phase.WAITING)
        assert self.having(Phase.RUNNING) == self.running
        assert self.having(Phase.STORING) == self.storing
        assert set(self.exposures.since) == {i for i, phase in self.exposures.phase.items() if phase not in FINISHED}

    def having(self, phase):
        return {image_id for image_id, other in self.exposures.phase.items() if other is phase}

    def teardown(self):
        """In the end everything that is not rejected or set aside gets its turn."""
        for image_id in self.running:
            self.exposures.computed(image_id)
        for image_id in self.running | self.storing:
            self.exposures.finish(image_id)
        for _ in range(3):
            self.now += 1e6
            self.exposures.wake()
            for image_id in self.exposures.chooseDue(1000):
                self.exposures.ready(image_id)
            for image_id in self.exposures.chooseFresh(1000):
                self.exposures.submitted(image_id)
                self.exposures.computed(image_id)
                self.exposures.finish(image_id)
        assert set(self.exposures.phase.values()) <= FINISHED


TestConservation = Conservation.TestCase
TestConservation.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


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


def test_broken_newest_do_not_starve_the_old():
    exposures, clock = constructExposures(attempts=3, backoff=30)
    addImages(exposures, range(1, 301))
    turns = 0
    while exposures.counts[Phase.DONE] < 50:
        turns += 1
        assert turns < 400
        clock[0] += 10
        exposures.wake()
        for image_id in exposures.chooseFresh(4):
            exposures.submitted(image_id)
            if image_id > 50:
                exposures.fail(image_id, ImageFailure("broken"))
            else:
                exposures.computed(image_id)
                exposures.finish(image_id)


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


def test_nothing_is_kept_of_what_is_done():
    exposures, _ = constructExposures()
    for image_id in range(1, 20_001):
        addImages(exposures, [image_id])
        for chosen in exposures.chooseFresh(1):
            exposures.submitted(chosen)
            exposures.computed(chosen)
            exposures.finish(chosen)
    assert exposures.counts[Phase.DONE] == 20_000
    kept = (exposures.names, exposures.since, exposures.waits, exposures.attempts, exposures._marks, exposures._wakeups)
    assert not any(kept)
    assert len(exposures._fresh._first) + len(exposures._fresh._oldest) < 2500
