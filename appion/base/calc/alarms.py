"""Whether there is an alarm, and in words why: from rules, facts and what was before. No clock and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Any

from appion.base.calc.alarmmessage import constructMessage, nameUnit
from appion.base.calc.numbers import formatNumber, formatValue
from appion.base.records.alarm import (
    BEGINS,
    ENDED,
    FREE_SPACE,
    NOTHING_STORED,
    OVER,
    SET_ASIDE,
    Alarms,
    Facts,
    Letter,
    Memory,
    Reading,
    Rule,
    State,
)


def judgeAlarms(
    alarms: Alarms, facts: Facts, about: Mapping[str, Any], memory: Memory
) -> tuple[Memory, list[dict[str, Any]], dict[str, Reading | None]]:
    """Return what is to be remembered after a look at a run, with letters to all; new messages; what each rule found.

    `about`: which run it is, see :func:`appion.base.calc.alarmmessage.constructMessage`.
    """
    states, messages, readings = dict(memory.states), [], {}
    for rule in alarms.rules:
        before = states.get(rule.name, State())
        state, reading = judgeRule(rule, facts, before, alarms.settle)
        states[rule.name], readings[rule.name] = state, reading
        if state.active != before.active:
            what, since = (BEGINS, facts.now) if state.active else (OVER, before.since)
            messages.append(constructMessage(rule, what, reading, about, alarms.address, facts.now, since))
    waiting = tuple(receiver.name for receiver in alarms.receivers)
    letters = [Letter(message, waiting) for message in messages if waiting]
    return replace(memory, states=states, letters=(*memory.letters, *letters)), messages, readings


def judgeRule(rule: Rule, facts: Facts, state: State, settle: float) -> tuple[State, Reading | None]:
    """Return the state of a rule after a look at a run, and what was found; None if that cannot be told.

    An alarm begins beyond the limit. It is over when the value has been on the good side of `rule.clear` for `settle`
    seconds. Whatever is not known changes nothing.
    """
    if rule.subject == NOTHING_STORED:
        state = noteBusy(facts, state)
    reading = readRule(rule, facts, state)
    if reading is None:
        return state, None
    if not state.active:
        if reading.beyond:
            new = replace(state, active=True, since=facts.now, reference=reading.reference, text=reading.text)
            return replace(new, well_since=None), reading
        return state, reading
    if not reading.cleared:
        return replace(state, well_since=None), reading
    well_since = facts.now if state.well_since is None else state.well_since
    if facts.now - well_since < settle:
        return replace(state, well_since=well_since), reading
    return State(since=facts.now, text=reading.text, busy_since=state.busy_since), reading


def noteBusy(facts: Facts, state: State) -> State:
    """Return a state that knows since when there has been something to store."""
    if facts.to_do is None:
        return state
    busy_since = (state.busy_since or facts.now) if facts.to_do else None
    return replace(state, busy_since=busy_since)


def readRule(rule: Rule, facts: Facts, state: State) -> Reading | None:
    """Return what a rule finds, whether that is new or not; None if it is not known."""
    if rule.subject == ENDED:
        return readEnd(rule, facts)
    if rule.subject == NOTHING_STORED:
        return readStill(rule, facts, state)
    if rule.subject == SET_ASIDE:
        number = facts.set_aside
        return None if number is None else compare(rule, number, f"{number} exposures are set aside")
    if rule.subject == FREE_SPACE:
        free = facts.free
        return None if free is None else compare(rule, free, f"{free:.1f} GB are free on the disk of the run")
    return readNumber(rule, facts, state)


def readEnd(rule: Rule, facts: Facts) -> Reading:
    """Return whether the run is over."""
    ended = not facts.running and (facts.unexpected or not rule.unexpected)
    text = f"the run is over: {facts.end}" if not facts.running else "a daemon works on the run"
    return Reading(float(ended), 0.0, ended, not ended, text)


def readStill(rule: Rule, facts: Facts, state: State) -> Reading | None:
    """Return for how many minutes nothing was stored, as far as there was something to store all the time."""
    if facts.to_do is None:
        return None
    if state.busy_since is None:
        return compare(rule, 0.0, "nothing is to be stored")
    minutes = (facts.now - max(state.busy_since, facts.last_stored or 0.0)) / 60
    return compare(rule, max(0.0, minutes), f"nothing was stored for {max(0.0, minutes):.0f} min, {facts.to_do}"
                   " exposures are to be done")  # fmt: skip


def readNumber(rule: Rule, facts: Facts, state: State) -> Reading | None:
    """Return the median of the last exposures; None as long as there are too few.

    The session is what was before them, and as long as there is an alarm what it was when that began: a session that
    stays bad is not to become the measure of itself.
    """
    values = facts.values.get(rule.subject, ())
    if len(values) < rule.last:
        return None
    value = float(median(values[-rule.last :]))
    what = f"{formatNumber(rule.subject, value)} (median of the last {rule.last})"
    if not rule.session:
        return compare(rule, value, what)
    before = values[: -rule.last]
    reference = state.reference if state.active else float(median(before)) if len(before) >= rule.last else None
    if not reference or reference < 0:
        return None
    factor = value / reference
    what += f", {factor:.1f} times the session's {formatValue(rule.subject, reference)}"
    return replace(compare(rule, factor, what), value=value, limit=rule.limit * reference, reference=reference)


def compare(rule: Rule, value: float, what: str) -> Reading:
    """Return a value beside the limit of its rule, which has the same unit, and `what` the value is with that limit."""
    sign, word = (-1.0, "below") if rule.below else (1.0, "above")
    beyond, cleared = sign * value > sign * rule.limit, sign * value <= sign * rule.clear
    unit = "times" if rule.session else nameUnit(rule)
    limit = f"{word} {rule.limit:g} {unit}".rstrip()
    return Reading(value, rule.limit, beyond, cleared, f"{what}; {'' if beyond else 'not '}{limit}")
