"""Who runs when not all can: live sessions before backlog, and none starves.

A pure function of what there is and what wants to be: called at each turn, it knows nothing of what it said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A run that wants to be, or is.

    Attributes:
        key: by which it is known. gpus: that it takes. profile: whose limit it counts against.
        live: exposures come. preferred: somebody asked it to hurry. priority: higher first.
        running: it holds its place; since: for how long it has done so, or waited (Unix time).
        granted: it has the turn that those get who waited too long.
        stopping: it was told to end and still holds its place.
    """

    key: str
    gpus: int = 0
    profile: str = ""
    live: bool = True
    preferred: bool = False
    priority: float = 0
    running: bool = False
    since: float = 0.0
    granted: bool = False
    stopping: bool = False


@dataclass(frozen=True)
class Limits:
    """What there is: runs at a time, GPUs in all, runs of a profile at a time (None, or not there: any number).

    `turn`: seconds after which who waits may not wait longer, and for which it then holds its place.
    """

    runs: int | None = None
    gpus: int | None = None
    profiles: Mapping[str, int | None] | None = None
    turn: float = 1800.0


@dataclass(frozen=True)
class Decision:
    """Which to start, of these which as a turn of those who waited too long, which to stop, and why others wait."""

    start: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    reasons: Mapping[str, str] | None = None


class Room:
    """What is left of the limits."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.runs, self.gpus = 0, 0
        self.profiles: dict[str, int] = {}

    def find(self, claim: Claim) -> str:
        """Return why a run does not fit; empty if it does."""
        limits = self.limits
        own = (limits.profiles or {}).get(claim.profile)
        if limits.runs is not None and self.runs + 1 > limits.runs:
            return f"{limits.runs} runs at a time (keep.runs)"
        if claim.gpus and limits.gpus is not None and self.gpus + claim.gpus > limits.gpus:
            return f"{limits.gpus} GPUs in all, of which it needs {claim.gpus}"
        if own is not None and self.profiles.get(claim.profile, 0) + 1 > own:
            return f"{own} runs of profile {claim.profile} at a time"
        return ""

    def take(self, claim: Claim) -> None:
        self.runs += 1
        self.gpus += claim.gpus
        self.profiles[claim.profile] = self.profiles.get(claim.profile, 0) + 1


def decideRuns(claims: Iterable[Claim], limits: Limits, now: float) -> Decision:
    """Return what is to be started and stopped.

    First comes who has the turn of those who waited longer than a turn, for a turn; if nobody has it, the one that
    waited longest gets it. Then those that shall hurry, live ones, backlog; among their like by priority, then who runs
    before who waits, so that nobody is stopped for his like; then who has run least, or waited longest. In this order
    each gets a place if there is room: who runs and gets none is stopped, who waits is started as soon as there is room
    in fact.
    """
    everybody = list(claims)
    turn = chooseTurn(everybody, limits, now)
    chosen, reasons = selectClaims(sorted(everybody, key=lambda claim: rankClaim(claim, turn)), limits)
    held = Room(limits)
    for claim in everybody:
        if claim.running:
            held.take(claim)
    start: list[str] = []
    for claim in chosen:
        if claim.running:
            continue
        if reason := held.find(claim):
            reasons[claim.key] = f"a place is being made: {reason}"
            continue
        held.take(claim)
        start.append(claim.key)
    keep = {claim.key for claim in chosen}
    stop = tuple(one.key for one in everybody if one.running and not one.stopping and one.key not in keep)
    return Decision(tuple(start), tuple(key for key in start if key == turn), stop, reasons)


def chooseTurn(claims: Sequence[Claim], limits: Limits, now: float) -> str:
    """Return who has the turn of those who waited too long; empty if nobody waited so long."""
    for claim in claims:
        if claim.granted and claim.running and not claim.stopping and now - claim.since < limits.turn:
            return claim.key
    overdue = [one for one in claims if not one.running and now - one.since >= limits.turn
               and not Room(limits).find(one)]  # fmt: skip
    return min(overdue, key=lambda one: (one.since, one.key)).key if overdue else ""


def rankClaim(claim: Claim, turn: str) -> tuple[object, ...]:
    """What claims are ordered by."""
    place = 0 if claim.key == turn else 1 + 2 * (not claim.preferred) + (not claim.live)
    holds = claim.running and not claim.stopping
    return place, -claim.priority, not holds, -claim.since if holds else claim.since, claim.key


def selectClaims(ordered: Sequence[Claim], limits: Limits) -> tuple[list[Claim], dict[str, str]]:
    """Return those that get a place, and of the others why not."""
    room, chosen, reasons = Room(limits), list[Claim](), dict[str, str]()
    for claim in ordered:
        if claim.stopping:
            continue
        if reason := room.find(claim):
            if not claim.running:
                reasons[claim.key] = reason
            continue
        room.take(claim)
        chosen.append(claim)
    return chosen, reasons


def dealGPUs(ids: Iterable[int], taken: Iterable[int], number: int) -> list[int] | None:
    """Return so many GPUs that nobody has; None if there are not enough."""
    used = set(taken)
    free = [one for one in ids if one not in used]
    return free[:number] if len(free) >= number else None


def calcDelay(fails: int, first: float, longest: float) -> float:
    """Return after how many seconds a daemon that died so often in a row is started again; it doubles."""
    return min(longest, first * 2.0 ** min(max(fails - 1, 0), 30))
