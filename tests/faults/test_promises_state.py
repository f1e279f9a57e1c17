"""P1 and P5: every exposure is in exactly one phase and ends in exactly one, and broken ones do not starve others."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import dask.config
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from appion.base.controller.line import Line
from appion.base.controller.report import Reporter
from appion.base.controller.state import FINISHED, Exposures, Limits, Phase
from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure, NotReady
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.status import readStatus
from appion.base.step import Candidate
from tests.base.fakes import Lab, fast, inline, lab

__all__ = ["fast", "inline", "lab"]

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
        since = self.exposures.phase.listUnfinished()
        assert set(since) == {i for i, phase in self.exposures.phase.items() if phase not in FINISHED}
        assert self.exposures.phase.findEarliest() == min(since.values(), default=None)

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


def test_P1_each_exposure_is_in_one_phase_whatever_happens():
    """Random sequences of everything that can happen to exposures, on the states themselves."""
    run_state_machine_as_test(
        Conservation, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )


#: What may become of an exposure that is left alone, and how it ends.
FATES = {
    "good": Phase.DONE,
    "fails once": Phase.DONE,
    "late": Phase.DONE,
    "lost twice": Phase.DONE,
    "stored at the second try": Phase.DONE,
    "bad": Phase.SET_ASIDE,
    "no calibration": Phase.SET_ASIDE,
    "lost each time": Phase.SET_ASIDE,
    "never comes": Phase.WAITING,
}


class Session(Lab):
    """A session in which each exposure has a fate and somebody hides, un-hides and adds exposures at some polls.

    `deeds`: at which poll, which exposure, and whether it is hidden then or not.
    """

    def tell(self, fates, late, deeds):
        self.fates = dict(enumerate(fates, 1))
        self.late, self.deeds = late, deeds
        self.tries, self.polls, self.seen = Counter(), 0, set()
        self.add(*(image_id for image_id in self.fates if image_id not in late))
        self.add(999)  # something always can be done, or the first failure of configuration ends the run
        self.fates[999] = "good"

    def step(self):
        def act():
            self.polls += 1
            if self.polls == 2:
                self.add(*self.late)
            for poll, image_id, hidden in self.deeds:
                if poll == self.polls:
                    (self.rejected.add if hidden else self.rejected.discard)(image_id)

        def reject():
            self.seen = set(self.rejected)
            return self.seen

        self.onPoll, self.onReady, self.onCalc, self.onStore = act, self.look, self.compute, self.keep
        self.onParams = lambda one: ConfigurationFailure("none") if self.fates[one] == "no calibration" else None
        return replace(super().step(), retrieveRejected=reject)

    def count(self, what, image_id):
        self.tries[what, image_id] += 1
        return self.tries[what, image_id]

    def look(self, image_id):
        fate, looks = self.fates[image_id], self.count("look", image_id)
        if fate == "never comes" or (fate == "late" and looks < 4):
            raise NotReady(f"{looks if fate == 'late' else 0} bytes")

    def compute(self, image_id):
        fate, tries = self.fates[image_id], self.count("compute", image_id)
        if fate == "bad" or (fate == "fails once" and tries == 1):
            raise ValueError(f"broken {spell(image_id)}")  # each in its own way: else it would be the program

    def lose(self, image_id):
        fate, tries = self.fates[image_id], self.count("lose", image_id)
        return fate == "lost each time" or (fate == "lost twice" and tries < 3)

    def keep(self, image_id):
        if self.fates[image_id] == "stored at the second try" and self.count("store", image_id) == 1:
            raise KeyError("bug")

    def calcEnd(self, image_id):
        """The phase in which an exposure must have ended."""
        if image_id in self.stored:
            return Phase.DONE
        return Phase.REJECTED if image_id in self.seen else FATES[self.fates[image_id]]


@st.composite
def stories(draw):
    """Fates, which exposures turn up late, hiding and un-hiding, and after how many the first daemon ends."""
    fates = draw(st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=20))
    ids = st.integers(1, len(fates))
    deeds = draw(st.lists(st.tuples(st.integers(0, 6), ids, st.booleans()), max_size=12))
    return fates, draw(st.sets(ids)), deeds, draw(st.integers(1, len(fates)))


@pytest.mark.usefixtures("fast")
@given(story=stories())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_P1_every_exposure_ends_in_exactly_one_way(inline, monkeypatch, story):
    """Good, bad, late, hidden and lost ones through the loop: after each turn the phases and status.json agree."""
    fates, late, deeds, limit = story
    turns = Counter()

    def update(reporter, exposures, force=False, **facts):
        original(reporter, exposures, force, **facts)
        assert +exposures.counts == Counter(exposures.phase.values())
        status = readStatus(reporter.rundir)
        assert status["counts"] == {phase.value: exposures.counts[phase] for phase in Phase}
        assert sum(status["counts"].values()) == status["total"] == len(exposures.phase)
        assert set(exposures.phase) <= set(session.candidates)
        turns.update(["turn"])

    original = Reporter.update
    brief = {"appion.status_interval": 0, "appion.nowait_patience": 0.1, "appion.infrastructure_attempts": 4}
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch, dask.config.set(brief):
        patch.setattr(Reporter, "update", update)
        session = Session(Path(folder))
        session.tell(fates, late, deeds)
        for image_id in [image_id for poll, image_id, hidden in deeds if not poll and hidden]:
            session.rejected.add(image_id)
        inline.lose = session.lose
        run(session, limit=limit)
        summary = run(session)
        assert turns["turn"] > 2
        assert summary.counts == {phase.value: 0 for phase in Phase} | Counter(map(session.calcEnd, session.candidates))
        assert summary.total == len(session.candidates)
        aside = {image_id for image_id, attempt in readAttempts(folder).items() if attempt.next_try is None}
        assert aside >= {one for one in session.candidates if session.calcEnd(one) is Phase.SET_ASIDE}
        kept = set(retrieveResultIds(folder))  # hidden after storing had failed: stored when it is shown again
        assert all(session.calcEnd(one) is Phase.REJECTED for one in kept)


def spell(number):
    """A number in letters."""
    return str(number).translate(str.maketrans("0123456789", "abcdefghij"))


def run(lab, **options):
    return runLoop(
        lab.step(), lab.rundir, LoopOptions(**{"wait": False, "workers": 2} | options),
        isDatabaseAway=lambda _: False, reconnect=lambda: None,
    )  # fmt: skip


@pytest.mark.usefixtures("fast", "inline")
def test_P5_newest_bad_exposures_are_set_aside_and_the_old_good_ones_done(lab):
    lab.add(*range(1, 301))

    def fail(image_id):
        if image_id > 50:
            raise ValueError(f"image {image_id} is broken, {spell(image_id)}")

    lab.onCalc = fail
    summary = run(lab)
    assert set(lab.stored) == set(range(1, 51))
    assert summary.counts["set aside"] == 250
    assert max(Counter(lab.computed).values()) == 3
    attempts = readAttempts(lab.rundir)
    assert attempts[300].reason == f"ValueError: image 300 is broken, {spell(300)}"
    assert "fail" in attempts[300].log_tail
    assert sum(group["set_aside"] for group in readStatus(lab.rundir)["failures"]) >= 10
    lab.computed.clear()
    run(lab)  # attempts survive a restart
    assert lab.computed == []


def test_P5_broken_newest_hold_up_the_old_for_a_bounded_number_of_turns():
    clock = [0.0]
    limits = Limits(attempts=3, backoff=30)
    exposures = Exposures(lambda: Line("live", 0.2, seed=1), limits, clock=lambda: clock[0], wall=lambda: clock[0])
    exposures.add(Candidate(image_id, f"img{image_id}") for image_id in range(1, 301))
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
