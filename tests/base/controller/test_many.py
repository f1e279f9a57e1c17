"""What is told of very many exposures is kept as they change, and what is done for those that wait is bounded."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from appion.base.calc.pace import calcReasonGroup
from appion.base.controller import waits
from appion.base.controller.line import MANY, Line
from appion.base.controller.phases import FINISHED, Phase
from appion.base.controller.report import summarizeFailures, summarizeWaits
from appion.base.controller.state import Exposures, Limits
from appion.base.controller.tally import Tally
from appion.base.controller.waits import CROWD, LOOKS, SAVED
from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.records.ids import SPARE, Ids, Names
from appion.base.step import Candidate
from tests.faults.test_promises_state import Conservation, spell


class Counting(Conservation):
    """Whatever happens: what is kept is what is found when all are looked at."""

    @rule(image_id=st.integers(1, 40), reason=st.integers(0, 3))
    def wait(self, image_id, reason):
        if self.exposures.phase.get(image_id) in (Phase.QUEUED, Phase.WAITING):
            self.exposures.wait(image_id, f"/data/img{image_id}.mrc has no {spell(reason)}", {"id": image_id})

    @rule(image_id=st.integers(1, 40), reason=st.integers(0, 3), excused=st.booleans())
    def fail(self, image_id, reason, excused):
        if self.exposures.phase.get(image_id) in (Phase.QUEUED, Phase.WAITING, Phase.SET_ASIDE, Phase.BACKING_OFF):
            kinds = ImageFailure, ImageFailure, InfrastructureFailure, ConfigurationFailure
            self.exposures.fail(image_id, kinds[reason](f"img{image_id} is bad: {spell(reason)}"))
            if excused:
                self.exposures.excuse(image_id, 0)

    @rule(ids=st.sets(st.integers(1, 40)))
    def hasten(self, ids):
        self.exposures.hasten(ids)

    @invariant()
    def what_is_kept_is_what_is_counted(self):
        exposures = self.exposures
        assert +exposures.counts == Counter(exposures.phase.values())
        since = exposures.phase.listUnfinished()
        assert set(since) == {one for one, phase in exposures.phase.items() if phase not in FINISHED}
        assert exposures.phase.findEarliest() == min(since.values(), default=None)
        waiting = Counter(calcReasonGroup(wait.reason, f"img{one}") for one, wait in exposures.waits.items())
        assert {calcReasonGroup(group["reason"], group["images"][-1][1]): group["count"]
                for group in summarizeWaits(exposures)} == dict(waiting)  # fmt: skip
        for group in summarizeWaits(exposures):
            ids = [one for one, name in group["images"]]
            alike = calcReasonGroup(group["reason"], f"img{ids[-1]}")
            assert ids == sorted(one for one, wait in exposures.waits.items() if wait.group == alike)[-8:]
        counted, aside = Counter(), Counter()
        for one, attempt in exposures.attempts.items():
            if exposures.phase.get(one) not in (None, Phase.REJECTED):
                key = attempt.kind, calcReasonGroup(attempt.reason, attempt.filename)
                counted[key] += 1
                aside[key] += attempt.next_try is None
        told = summarizeFailures(exposures)
        assert sorted((group["class"], group["count"], group["set_aside"]) for group in told) == sorted(
            (kind, counted[kind, reason], aside[kind, reason]) for kind, reason in counted
        )
        assert [group["count"] for group in told] == sorted((group["count"] for group in told), reverse=True)


def test_what_is_kept_is_what_is_counted_whatever_happens():
    run_state_machine_as_test(Counting, settings=settings(max_examples=30, stateful_step_count=40, deadline=None))


class Watched(dict):
    """A dictionary that counts how many of its entries anybody saw."""

    seen = 0

    def __iter__(self):
        for one in super().__iter__():
            type(self).seen += 1
            yield one

    def values(self):
        return [self[one] for one in self]

    def items(self):
        return [(one, self[one]) for one in self]

    def __getitem__(self, one):
        type(self).seen += 1
        return super().__getitem__(one)


def fill(number, **limits):
    """So many exposures, newest first, half of which have failed for good; the others wait."""
    clock = [1.0]
    exposures = Exposures(Line, Limits(attempts=1, **limits), clock=lambda: clock[0], wall=lambda: clock[0])
    exposures.add(Candidate(one, f"img{one}") for one in range(1, number + 1))
    for one in exposures.chooseFresh(number):
        if one % 2:
            exposures.fail(one, ImageFailure(f"img{one} is bad"))
        else:
            exposures.wait(one, f"/gone/img{one}.mrc is not there", {"id": one, "path": "/gone/img"})
    return exposures, clock


def test_telling_of_many_looks_at_few(monkeypatch):
    looks = {}
    for number in (100, 10_000):
        exposures, _ = fill(number)
        monkeypatch.setattr(Watched, "seen", 0)
        for holder, name in (
            (exposures.waits.tally, "_of"), (exposures.attempts.tally, "_of"), (exposures.phase, "_times"),
            (exposures.waits.tally, "_groups"), (exposures.attempts.tally, "_groups"),
        ):  # fmt: skip
            setattr(holder, name, Watched(getattr(holder, name)))
        told = summarizeWaits(exposures) + summarizeFailures(exposures)
        assert [group["count"] for group in told] == [number // 2, number // 2]
        assert exposures.phase.findEarliest() == 1.0
        looks[number] = Watched.seen
    assert looks[10_000] <= looks[100] < 100


def test_a_crowd_that_waits_is_looked_at_so_often_a_second_and_everyone_in_its_turn():
    """3000 for a quarter of an hour: at first thousands of looks, then a few a second, and nobody is left out."""
    number = 6000
    exposures, clock = fill(number)
    looks, turns, seen = [], 0, Counter()
    end = clock[0] + 900
    while clock[0] < end:
        exposures.wake()
        chosen = exposures.chooseDue(64)
        turns += 1
        looks += [clock[0]] * len(chosen)
        seen.update(chosen)
        for one in chosen:
            exposures.wait(one, f"/gone/img{one}.mrc is not there", None)
        due = exposures.nextWakeup()
        if len(chosen) < 64:
            clock[0] = max(clock[0] + 0.01, min(due, clock[0] + 2))
    assert len(seen) == number // 2
    assert min(seen.values()) >= 900 * LOOKS / (number // 2) / 4
    assert len(looks) <= SAVED + 900 * LOOKS
    late = [moment for moment in looks if moment > end - 300]
    assert len(late) <= 300 * LOOKS + 64
    assert turns < 900 * 3 + SAVED


def test_few_that_wait_are_looked_at_as_often_as_ever():
    exposures, clock = fill(100)
    looks = Counter()
    while clock[0] < 3600:
        exposures.wake()
        for one in exposures.chooseDue(64):
            looks[one] += 1
            exposures.wait(one, "missing", None)
        clock[0] = max(clock[0] + 0.001, exposures.nextWakeup())
    assert all(3570 / 30 - 2 <= number <= 3600 / 30 + 10 for number in looks.values())


def test_a_new_exposure_among_a_crowd_is_seen_no_later_than_it_has_waited():
    exposures, clock = fill(10_000)
    for _ in range(300):
        exposures.wake()
        for one in exposures.chooseDue(64):
            exposures.wait(one, "missing", None)
        clock[0] += 1
    exposures.add([Candidate(20_000, "new")])
    assert exposures.chooseFresh(1) == [20_000]
    exposures.wait(20_000, "0 bytes", None)
    start, moments = clock[0], []
    while clock[0] < start + 100:
        exposures.wake()
        for one in exposures.chooseDue(64):
            moments += [clock[0] - start] if one == 20_000 else []
            exposures.wait(one, "0 bytes" if one == 20_000 else "missing", None)
        clock[0] += 0.25
    assert moments[0] <= 1 + waits.TOGETHER + 0.25
    assert all(later <= 2 * earlier + waits.TOGETHER + 1 for earlier, later in itertools.pairwise(moments))


def test_when_one_of_a_crowd_is_ready_the_others_are_due():
    """Movies that come back are found at once, not when the last of thousands would have had its turn."""
    exposures, clock = fill(10_000)
    for _ in range(300):
        exposures.wake()
        for one in exposures.chooseDue(64):
            exposures.wait(one, f"/gone/img{one}.mrc is not there", None)
        clock[0] += 1
    ready = set()
    for _ in range(200):
        exposures.wake()
        while chosen := exposures.chooseDue(64):
            for one in chosen:
                exposures.ready(one)
            ready |= set(chosen)
        clock[0] += 1
        if len(ready) == 5000:
            break
    assert len(ready) == 5000
    assert not exposures.waits
    assert clock[0] < 500


def test_what_a_crowd_waits_with_takes_few_bytes_and_comes_back_whole():
    exposures, _ = fill(10_000)
    sizes = [len(wait.params) for wait in exposures.waits.values() if isinstance(wait.params, bytes)]
    assert len(sizes) >= 5000 - CROWD - 1
    assert max(sizes) < 60
    for one in (2, 5000, 10_000):
        assert exposures.waits.readParams(one) == {"id": one, "path": "/gone/img"}
    exposures.wait(2, "another thing", lambda: None)  # which cannot be pickled
    assert exposures.waits.readParams(2)() is None


def test_a_run_that_does_not_wait_gives_up_each_once(monkeypatch):
    exposures, clock = fill(2000, patient=False)
    assert exposures.waits.isAnyWatched(10.0)
    clock[0] += 11
    exposures.wake()
    for one in exposures.chooseDue(10_000):
        exposures.wait(one, f"/gone/img{one}.mrc is not there", None)
    monkeypatch.setattr(Watched, "seen", 0)
    assert not exposures.waits.isAnyWatched(10.0)
    for _ in range(100):
        assert not exposures.waits.isAnyWatched(10.0)
    exposures.wait(2, "now it has some bytes", None)
    assert exposures.waits.isAnyWatched(10.0)
    clock[0] += 100
    assert not exposures.waits.isAnyWatched(10.0), "nobody got round to it"


def test_many_that_come_at_once_stand_in_the_same_order_as_one_by_one():
    for order in ("live", "newest", "oldest"):
        lines = [Line(order, 0.2, seed=1), Line(order, 0.2, seed=1)]
        lines[0].extend(range(1, MANY + 500))
        for one in range(1, MANY + 500):
            lines[1].push(one)
        left = set(range(1, MANY + 600)) - {3, 900, 1200}
        for line in lines:
            line.push(MANY + 550)
            line.extend(range(MANY + 500, MANY + 520))
        for _ in range(20):
            first, second = (line.pop(90, left.__contains__) for line in lines)
            assert first == second
            left -= set(first)
        assert not left & set(range(1, MANY + 500))
    line = Line("shuffle", seed=1)
    line.extend(range(MANY))
    assert sorted(line.pop(MANY + 1, lambda _: True)) == list(range(MANY))


def test_ids_are_a_set():
    few = Ids([5, 3, 3, 9])
    assert few == {3, 5, 9}
    assert {3, 5, 9} == few
    assert (few | [4], few & {5, 7}, few - {3}, few ^ {3, 4}) == ({3, 4, 5, 9}, {5}, {5, 9}, {4, 5, 9})
    assert {1, 3} - few == {1}
    assert 5 in few
    assert "5" not in few
    assert not Ids()
    assert list(Ids(few)) == [3, 5, 9]
    assert repr(Ids(range(20))) == "Ids([0, 1, 2, 3, 4, 5, 6, 7] …)"


def test_names_are_forgotten_and_take_no_room_then():
    names, number = Names(), SPARE // 4
    for one in (*range(2, number, 2), *range(1, 300, 2)):
        names.put(one, f"é{one}")
    names.put(4, "another")
    assert (names.get(4), names.get(5), names.get(301), names.get(number + 1, "none")) == ("é4", "é5", "", "none")
    assert list(names.listBetween(2, 5)) == [(3, "é3"), (4, "é4"), (5, "é5")]
    names.drop(4)
    names.drop(4)
    assert 4 not in names
    names.put(4, "again")
    assert names.get(4) == "again"
    for one in list(names):
        if one > 10:
            names.drop(one)
    assert len(names._text) < SPARE + 200
    assert dict(names.listBetween(0, number)) == {one: names.get(one) for one in names}
    assert names.copyIds() == set(names) == set(range(1, 11))


def test_largest_groups_and_their_newest():
    tally = Tally()
    for one in range(1, 101):
        tally.put(one, spell(one % 7), marked=one % 2 == 0)
    for one in range(1, 50):
        tally.put(one, "other")
    assert [group.count for group in tally.listLargest(3)] == [49, 8, 8]
    largest = tally.listLargest(1)[0]
    assert (largest.marked, tally.listNewest(largest, 3)) == (0, [47, 48, 49])
    for one in range(1, 101):
        tally.drop(one)
    assert (tally.listLargest(3), len(tally)) == ([], 0)
    assert not tally._sizes
