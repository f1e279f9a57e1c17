"""Who runs when not all can, in simulation: limits are kept, live comes before backlog, nobody starves."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from appion.keep.calc.fairness import Claim, Limits, calcDelay, dealGPUs, decideRuns

TURN = 100.0


@st.composite
def drawClaims(draw):
    """Limits, and claims each of which fits into them alone."""
    limits = Limits(draw(st.integers(1, 4)), draw(st.integers(1, 6)), {"few": draw(st.integers(1, 3)), "": None}, TURN)
    number = draw(st.integers(1, 9))
    claims = [Claim(
        f"run{index}", draw(st.integers(0, limits.gpus)), draw(st.sampled_from(["few", ""])), draw(st.booleans()),
        draw(st.booleans()), draw(st.integers(-1, 1)), since=draw(st.floats(-50, 0)),
    ) for index in range(number)]  # fmt: skip
    return limits, claims


def fits(claims, limits):
    holding = [claim for claim in claims if claim.running]
    few = sum(claim.profile == "few" for claim in holding)
    return (len(holding) <= limits.runs and sum(claim.gpus for claim in holding) <= limits.gpus
            and few <= limits.profiles["few"])  # fmt: skip


def takeTurn(claims, limits, now, slow=()):
    """What is decided comes true, but daemons of `slow` keys need until the next turn to end."""
    decision = decideRuns(claims, limits, now)
    done = []
    for claim in claims:
        if claim.stopping and claim.key not in slow:
            claim = replace(claim, running=False, stopping=False, granted=False, since=now)
        if claim.key in decision.stop:
            claim = replace(claim, stopping=True)
        if claim.key in decision.start:
            claim = replace(claim, running=True, since=now, granted=claim.key in decision.granted)
        done.append(claim)
    return done, decision


@settings(max_examples=150, deadline=None)
@given(drawClaims())
def test_nobody_starves_and_no_limit_is_passed(made):
    """Whatever is live or shall hurry, and however long daemons take to end: each gets a place, again and again."""
    limits, claims = made
    last = {claim.key: 0.0 for claim in claims}
    now, step = 0.0, 10.0
    patience = TURN * (len(claims) + 2) + 4 * step * len(claims) + 50
    while now < 4 * patience:
        now += step
        slow = [claim.key for claim in claims] if now % 20 else []
        claims, _ = takeTurn(claims, limits, now, slow)
        assert fits(claims, limits)
        for claim in claims:
            if claim.running:
                last[claim.key] = now
            assert now - last[claim.key] <= patience, (claim, claims)


@settings(max_examples=150, deadline=None)
@given(drawClaims())
def test_live_comes_before_backlog_and_who_shall_hurry_before_all(made):
    """Before anybody has waited for a turn: who gets no place would find none if all that count less had gone."""
    limits, claims = made
    for step in range(4):
        claims, decision = takeTurn(claims, limits, step * 10.0)
    places = {claim.key: (not claim.preferred, not claim.live, -claim.priority) for claim in claims}
    for waiting in claims:
        if waiting.running:
            continue
        lesser = {one.key for one in claims if one.running and places[one.key] > places[waiting.key]}
        left = [replace(one, running=one.running and one.key not in lesser) for one in claims]
        assert not fits([replace(one, running=True) if one.key == waiting.key else one for one in left], limits)
        assert decision.reasons[waiting.key]


@settings(max_examples=100, deadline=None)
@given(drawClaims())
def test_what_is_decided_lasts(made):
    """Nobody is started to be stopped at once: without news nothing changes until somebody has waited for a turn."""
    limits, claims = made
    for step in range(4):
        claims, _ = takeTurn(claims, limits, step * 0.5)
    again, decision = takeTurn(claims, limits, 3.0)
    assert (decision.start, decision.stop) == ((), ())
    assert again == claims


def test_one_that_waits_for_many_gpus_is_not_passed_by_small_ones():
    limits = Limits(None, 4, {}, TURN)
    claims = [Claim(f"small{index}", 1) for index in range(6)] + [Claim("large", 4, live=False)]
    started = set()
    for step in range(60):
        claims, decision = takeTurn(claims, limits, 10.0 * step)
        started |= set(decision.start)
        if "large" in decision.start:
            assert decision.granted == ("large",)
    assert started == {claim.key for claim in claims}


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.integers(0, 5))
def test_no_gpu_is_dealt_twice(ids, taken, number):
    dealt = dealGPUs(sorted(ids), taken, number)
    if dealt is None:
        assert len(ids - taken) < number
    else:
        assert len(set(dealt)) == number
        assert set(dealt) <= ids - taken


def test_pauses_double_up_to_the_longest():
    assert [calcDelay(fails, 30, 200) for fails in range(1, 6)] == [30, 60, 120, 200, 200]
    assert calcDelay(10**6, 30, 200) == 200
