"""An idle hour by a clock of its own: how often the database is asked, what rests, and what wakes it."""

from __future__ import annotations

import argparse
import itertools
import time
from collections import deque
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import dask.config
import pytest
from django.db import connections

import sinedon
from appion.base import loop
from appion.base.calc.outage import Outage
from appion.base.controller import report, rest
from appion.base.failures import ImageFailure
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.news import constructNews
from appion.base.retrieve.session import Session, isSessionDone
from appion.base.step import Candidate
from appion.base.store.attempts import saveRetryRequest
from tests.base.fakes import InlinePool
from tests.base.running import run
from tests.services.sessions import addImages, makeSession

HOUR = 3600.0
WAIT = loop.LoopOptions(wait=True)


class Clock:
    """Time that passes only while the daemon waits for its workers; at given times something happens."""

    def __init__(self):
        self.start = self.now = time.monotonic()
        self.due = []

    def __call__(self):
        return self.now

    def at(self, seconds, happen):
        self.due.append((self.now + seconds, happen))
        self.due.sort(key=lambda pair: pair[0])

    @property
    def minutes(self):
        return (self.now - self.start) / 60

    def sleep(self, seconds):
        self.now += seconds
        while self.due and self.due[0][0] <= self.now:
            self.due.pop(0)[1]()


@pytest.fixture
def clock(monkeypatch):
    """The daemon's clock, and a pool that lets it pass and notes when it rested."""
    clock = Clock()

    class Pool(InlinePool):
        rests: ClassVar[list[float]] = []
        alive = False

        def start(self):
            type(self).alive = True

        def isAlive(self):
            return self.alive

        def rest(self):
            if not self.alive:
                return False
            type(self).alive = False
            self.rests.append(clock.now)
            return True

        def collect(self, timeout):
            if not self.flights:
                clock.sleep(max(timeout, 0.001))
            return super().collect(0)

    clock.pool = Pool
    monkeypatch.setattr("appion.base.loop.Pool", Pool)
    monkeypatch.setattr(time, "monotonic", clock)
    with dask.config.set({"appion.free_space": 0, "appion.quit_after_idle": HOUR}):
        yield clock


class Asked:
    """When the session was asked for news and when for all, counted from the start."""

    def __init__(self, lab, clock):
        self.lab, self.clock, self.start = lab, clock, clock.now
        self.polls, self.full, self.rests, self.heard = [], [], 0, None

    def hasNews(self, afresh):
        self.polls.append(self.clock.now - self.start)
        now = (dict(self.lab.candidates), set(self.lab.rejected), self.lab.over)
        if now == self.heard and not afresh:
            return False
        self.heard = now
        return True

    def step(self):
        def letGo():
            self.rests += 1

        self.lab.onPoll = lambda: self.full.append(self.clock.now - self.start)
        return replace(type(self.lab).step(self.lab), hasNews=self.hasNews, rest=letGo)

    def listIntervals(self, since, until):
        times = [moment for moment in self.polls if since <= moment <= until]
        return [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]


@pytest.fixture
def asked(lab, clock, monkeypatch):
    asked = Asked(lab, clock)
    monkeypatch.setattr(lab, "step", asked.step, raising=False)
    return asked


def test_the_rate_of_asking_falls_while_nothing_comes(lab, clock, asked):
    lab.add(1, 2, 3)
    assert run(lab, WAIT).why == f"nothing to do for {HOUR:g} s"
    assert set(lab.stored) == {1, 2, 3}
    assert set(asked.listIntervals(0, 290)) == {5.0}
    late = asked.listIntervals(1900, HOUR)
    assert min(late) >= 30
    assert max(late) < 36  # a turn that is due in between comes a little after
    assert len(asked.polls) < 4 * 60
    assert len(asked.full) <= 2 + HOUR / 600  # at the start, and each ten minutes
    assert len(clock.pool.rests) == 1
    assert asked.rests > 100


def test_what_comes_is_seen_at_the_next_question_and_asked_for_as_often_as_before(lab, clock, asked):
    lab.add(1)
    clock.at(1200, lambda: lab.add(2))
    run(lab, WAIT)
    assert set(lab.stored) == {1, 2}
    seen = next(moment for moment in asked.polls if moment >= 1200)
    assert seen - 1200 <= 1200 / 60 + 5
    assert set(asked.listIntervals(seen, seen + 250)) == {5.0}
    assert len(clock.pool.rests) == 2  # the workers came and went again


def test_while_exposures_come_slowly_but_steadily_nothing_rests(lab, clock, asked):
    for number in range(1, 12):
        clock.at(50 * number, lambda number=number: lab.add(number))
    for number in range(12, 20):  # more slowly: within twice the pause before
        clock.at(550 + 90 * (number - 11), lambda number=number: lab.add(number))
    with dask.config.set({"appion.quit_after_idle": 300}):
        run(lab, WAIT)
    assert len(lab.stored) == 19
    assert set(asked.listIntervals(0, 1300)) == {5.0}
    assert len(clock.pool.rests) == 1  # at the end


@pytest.mark.usefixtures("asked")
def test_a_request_to_retry_does_not_wait_for_the_next_question(lab, clock):
    lab.add(1)

    def fail(_):
        raise ImageFailure("broken")

    def mend():
        lab.onCalc = None
        saveRetryRequest(lab.rundir, None)

    lab.onCalc = fail
    clock.at(3000, mend)
    with dask.config.set({"appion.attempts": 1, "appion.quit_after_idle": 3100}):
        run(lab, WAIT)
    assert set(lab.stored) == {1}


def test_the_status_is_rewritten_rarely_but_well_within_the_patience_of_who_watches(lab, clock, asked, monkeypatch):
    written = []
    monkeypatch.setattr(report, "saveStatus", lambda *_: written.append(clock.now - asked.start))
    lab.add(1)
    run(lab, WAIT)
    gaps = [later - earlier for earlier, later in itertools.pairwise(written)]
    assert max(gaps) <= 25
    assert len([moment for moment in written if moment > 100]) <= (HOUR - 100) / 20 + 2
    assert len([moment for moment in written if moment < 50]) >= 20


def test_nothing_rests_while_anything_is_out_of_order(clock):
    outages = [Outage(1, 1) for _ in range(5)]
    one = SimpleNamespace(
        outages=outages, busy_at=clock.now - HOUR, stopping=False, polled=True, low_space="",
        reporter=SimpleNamespace(arrived=deque()),
    )  # fmt: skip
    assert rest.isResting(one)
    assert rest.calcPollInterval(one) == 30
    for outage in outages:
        outage.fail("gone")
        assert not rest.isResting(one)
        assert rest.calcPollInterval(one) == 5
        assert rest.calcStatusInterval(one) == 2
        outage.clear()
    for trouble in ({"stopping": True}, {"polled": False}, {"low_space": "0 GB free"}):
        assert not rest.isResting(SimpleNamespace(**{**vars(one), **trouble}))
    with dask.config.set({"appion.rest_after": 0}):
        assert not rest.isResting(one)
    with dask.config.set({"appion.poll": 60, "appion.status_interval": 30}):
        assert (rest.calcPollInterval(one), rest.calcStatusInterval(one)) == (60, 30)


def test_idle_minutes_of_a_real_session_costs_few_queries_and_one_connection(anydatabase, lab, clock, monkeypatch):
    made = makeSession(images=3)
    session = Session(made.session_id, made.name, made.image_path, made.frame_path, anydatabase.projectid)
    args = argparse.Namespace(mrcnames=None, preset="enn", startimgid=None, endimgid=None, tiltangle="all",
                              norejects=True, bestimages=False, sibassess=False)  # fmt: skip
    candidates, rejected = constructSelection(args, session)
    step = replace(
        lab.step(), retrieveCandidates=candidates, retrieveRejected=rejected,
        isOver=lambda: isSessionDone(session.def_id), hasNews=constructNews(session.def_id, True),
        rest=lambda: sinedon.closeConnections(keep="leginondata"),
    )  # fmt: skip
    monkeypatch.setattr(lab, "step", lambda: step)
    count = []
    with sinedon.countQueries() as queries:
        clock.at(300, lambda: count.append(queries.count))
        clock.at(360, lambda: count.append(queries.count))
        clock.at(500, lambda: addImages(made, 1))
        clock.at(1000, lambda: count.append([one.alias for one in connections.all() if one.connection]))
        with dask.config.set({"appion.quit_after_idle": 510}):
            run(lab, WAIT)
    assert len(lab.stored) == 4
    limit = 20 if anydatabase.engine == "mariadb" else 26  # a minute; a file each is asked for itself
    assert count[1] - count[0] <= limit
    assert queries.count <= limit * clock.minutes
    assert count[2] == ["leginondata"]
    assert isinstance(next(iter(candidates(0))), Candidate)
