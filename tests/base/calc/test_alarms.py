"""Whether there is an alarm: limits, the session as its own measure, hysteresis, what is not known."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.calc.alarmpost import LONGEST, MANY, TOO_OLD, findLetter, giveUp, markRefused, markTold
from appion.base.calc.alarmrules import parseRules
from appion.base.calc.alarms import judgeAlarms, judgeRule
from appion.base.records.alarm import Alarms, Facts, Memory, Receiver, State, decodeMemory, encodeMemory

ABOUT = {"session": "26nov22a", "run": "/data/ddstack1", "step": "motioncorrection", "host": "em1"}


def makeRule(**table):
    return parseRules([{"name": "one", **table}])[0]


def follow(rule, series, settle=0.0, step=60.0):
    """Judge one look after another; returns what changed, as (look, whether there is an alarm, text)."""
    state, changes = State(), []
    for look, facts in enumerate(series):
        now = 1e9 + step * look
        facts = replace(facts, now=now)
        new, reading = judgeRule(rule, facts, state, settle)
        if new.active != state.active:
            changes.append((look, new.active, reading.text))
        state = new
    return changes


def grow(values, number="drift"):
    """What is known after each exposure."""
    return [Facts(0, values={number: values[:end]}) for end in range(len(values) + 1)]


def test_a_drift_that_trebles_begins_once_and_ends_once():
    values = [10.0] * 60 + [30.0] * 60 + [10.0] * 60
    (begin, active, text), (end, inactive, over) = follow(makeRule(number="drift", above_session=2.0), grow(values))
    assert (active, inactive) == (True, False)
    assert begin == 71  # eleven of twenty
    assert 130 <= end <= 131
    assert text == "drift 30.0 Å (median of the last 20), 3.0 times the session's 10.0 Å; above 2 times"
    assert over == "drift 10.0 Å (median of the last 20), 1.0 times the session's 10.0 Å; not above 2 times"


def test_a_session_that_stays_bad_does_not_become_its_own_measure():
    changes = follow(makeRule(number="drift", above_session=2.0), grow([10.0] * 40 + [30.0] * 400))
    assert [active for _, active, _ in changes] == [True]


@given(st.lists(st.floats(29.0, 31.0), min_size=40, max_size=80))
def test_a_value_that_dances_around_its_limit_begins_at_most_once(values):
    assert len(follow(makeRule(number="drift", last=1, above=30), grow(values))) <= 1


def test_a_value_that_jumps_from_side_to_side_is_over_when_it_has_settled():
    rng = random.Random(7)
    series = grow([rng.choice([10.0, 50.0]) for _ in range(200)] + [10.0] * 20)
    changes = follow(makeRule(number="drift", last=1, above=30), series, settle=900.0)
    assert [active for _, active, _ in changes] == [True, False]
    assert changes[1][0] >= 200


@pytest.mark.parametrize(("table", "good", "between", "bad"), [
    ({"number": "drift", "last": 1, "above": 30}, 26.9, 29.0, 30.1),
    ({"number": "confidence", "last": 1, "below": 0.5}, 0.56, 0.52, 0.49),
    ({"number": "drift", "last": 1, "above": 30, "clear": 20}, 20.0, 26.0, 31.0),
    ({"number": "defocus_error", "last": 1, "below": -5000}, -4000.0, -4800.0, -5100.0),
])  # fmt: skip
def test_over_is_on_the_good_side_of_the_limit(table, good, between, bad):
    values = [between, bad, between, good, between, bad]
    changes = follow(makeRule(**table), [Facts(0, values={table["number"]: [value]}) for value in values])
    assert [(look, active) for look, active, _ in changes] == [(1, True), (3, False), (5, True)]


def test_too_few_exposures_and_unknown_facts_change_nothing():
    nothing = [Facts(0, values={"drift": [99.0] * 19}), Facts(0), Facts(0, to_do=None, set_aside=None, free=None)]
    for table in ({"number": "drift", "above": 1}, {"number": "drift", "above_session": 1}, {"nothing_stored": 1},
                  {"set_aside": 1}, {"free_space": 1}):  # fmt: skip
        assert follow(makeRule(**table), nothing * 5) == []


def test_what_is_not_known_does_not_end_an_alarm():
    bad, gone = Facts(0, set_aside=20), Facts(0)
    assert len(follow(makeRule(set_aside=10), [bad, gone, gone, bad, gone])) == 1


def test_nothing_stored_counts_from_when_there_was_something_to_do():
    rule = makeRule(nothing_stored=30)
    idle, busy = Facts(0, to_do=0, last_stored=1e9 - 1e6), Facts(0, to_do=7, last_stored=1e9 - 1e6)
    changes = follow(rule, [idle] * 100 + [busy] * 40 + [replace(busy, last_stored=1e9 + 60 * 139)] * 5)
    assert [(look, active) for look, active, _ in changes] == [(131, True), (140, False)]
    assert changes[0][2] == "nothing was stored for 31 min, 7 exposures are to be done; above 30 min"
    stored = [replace(busy, last_stored=1e9 + 60 * look) for look in range(100)]
    assert follow(rule, stored) == []


def test_space_and_exposures_that_are_set_aside():
    assert follow(makeRule(free_space=50), [Facts(0, free=free) for free in (80.0, 49.9, 52.0, 55.1)]) == [
        (1, True, "49.9 GB are free on the disk of the run; below 50 GB"),
        (3, False, "55.1 GB are free on the disk of the run; not below 50 GB"),
    ]
    changes = follow(makeRule(set_aside=0), [Facts(0, set_aside=number) for number in (0, 1, 2, 0)])
    assert [(look, active) for look, active, _ in changes] == [(1, True), (3, False)]


@pytest.mark.parametrize(("ended", "unexpected", "rings"), [
    (True, False, True), (True, True, True), ("unexpected", False, False), ("unexpected", True, True),
])  # fmt: skip
def test_a_run_that_ended(ended, unexpected, rings):
    there = Facts(0, running=True)
    gone = Facts(0, running=False, end="killed", unexpected=unexpected)
    changes = follow(makeRule(ended=ended), [there, gone, gone, there, gone, there, there, there], settle=100.0)
    assert [(look, active) for look, active, _ in changes] == ([(1, True), (7, False)] if rings else [])


def test_a_message_has_numbers_and_a_link_and_memory_comes_back_as_it_was():
    rules = parseRules([{"name": "far", "number": "drift", "above_session": 2}])
    alarms = Alarms(rules, (Receiver("a"), Receiver("b")), "https://em/appion", 0.0)
    facts = Facts(1e9, values={"drift": [10.0] * 20 + [30.0] * 20})
    memory, (message,), readings = judgeAlarms(alarms, facts, ABOUT, Memory())
    assert (message["value"], message["limit"], message["session_value"], message["unit"]) == (30.0, 20.0, 10.0, "Å")
    assert message["link"] == "https://em/appion/session/26nov22a/"
    assert (message["what"], message["alarm"], message["title"]) == ("begins", "far", "ALARM: far")
    assert decodeMemory(encodeMemory(memory)) == memory
    assert readings["far"].text == message["text"]
    again, messages, _ = judgeAlarms(alarms, facts, ABOUT, memory)
    assert (again, messages) == (memory, [])
    calm = replace(facts, now=1e9 + 600, values={"drift": [10.0] * 40})
    _, (over,), _ = judgeAlarms(alarms, calm, ABOUT, memory)
    assert over["text"].endswith("; it lasted 10 min")
    assert over["since"] == message["since"] == 1e9
    assert over["id"] != message["id"]


def test_every_message_has_its_unit():
    drift = {"number": "drift", "above": 1}
    tables = ({"nothing_stored": 1}, {"set_aside": 1}, {"free_space": 9}, {"ended": True}, drift)
    alarms = Alarms(tuple(replace(makeRule(**table), name=str(table)) for table in tables))
    facts = Facts(1e9, False, "killed", True, 3, 1.0, 5, 2.0, {"drift": [9.0] * 20})
    busy = {str(tables[0]): State(busy_since=1.0)}
    _, messages, _ = judgeAlarms(alarms, facts, ABOUT, Memory(busy))
    assert [message["unit"] for message in messages] == ["min", "exposures", "GB", "", "Å"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"states": {"a": 1}, "letters": [], "refusals": {}}', "null"])
def test_what_is_no_memory_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        decodeMemory(text)


def makeLetters(count=2):
    alarms = Alarms(parseRules([{"name": "aside", "set_aside": 10}]), (Receiver("a"), Receiver("b")), settle=0.0)
    memory = Memory()
    for look in range(count):
        facts = Facts(1e9 + look, set_aside=0 if look % 2 else 20)
        memory, _, _ = judgeAlarms(alarms, facts, ABOUT, memory)
    assert len(memory.letters) == count
    return memory


def test_each_receiver_gets_letters_in_their_order_and_later_after_a_refusal():
    memory, now = makeLetters(), 1e9
    first = findLetter(memory, "a", now)
    memory = markRefused(memory, "b", "no", now)
    assert findLetter(memory, "b", now + 59) is None
    assert findLetter(memory, "b", now + 61) == first
    assert findLetter(memory, "b", now - 1e6) == first, "a clock that was set back silences nobody"
    memory = markTold(memory, "a", first)
    assert findLetter(memory, "a", now).message["what"] == "over"
    assert findLetter(memory, "b", now + 61).waiting == ("b",)
    for _ in range(50):
        memory = markRefused(memory, "b", "no", now)
    assert memory.refusals["b"].next_try == now + LONGEST
    while letter := findLetter(memory, "b", now + LONGEST):
        memory = markTold(memory, "b", letter)
    assert memory.refusals == {}
    assert [letter.waiting for letter in memory.letters] == [("a",)]


def test_letters_that_are_too_old_or_too_many_are_given_up():
    memory = markRefused(makeLetters(4), "b", "no", 1e9)
    kept, gone = giveUp(memory, 1e9 + TOO_OLD + 1.5)
    assert (len(kept.letters), len(gone)) == (2, 2)
    kept, gone = giveUp(memory, 1e9 + 2 * TOO_OLD)
    assert (kept.letters, len(gone), kept.refusals) == ((), 4, {})
    many = replace(memory, letters=memory.letters * MANY)
    assert len(giveUp(many, 1e9)[0].letters) == MANY
