"""Alarms: what is asked for, what is known when they are judged, what became of them, and what is still to be told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

#: What a rule may look at beside a number of the exposures.
NOTHING_STORED, SET_ASIDE, FREE_SPACE, ENDED = "nothing_stored", "set_aside", "free_space", "ended"

#: Units of these.
UNITS = {NOTHING_STORED: "min", SET_ASIDE: "exposures", FREE_SPACE: "GB", ENDED: ""}

#: What a message says of its alarm.
BEGINS, OVER, TRIAL = "begins", "over", "trial"


@dataclass(frozen=True)
class Rule:
    """When there is an alarm.

    Attributes:
        name: by which people know it; no two have the same.
        subject: a column of the series, or one of the words above.
        limit: beyond which it begins: in the number's unit, minutes, exposures, GB, or times the session's median.
        below: whether small values are bad. session: whether the limit is a factor of what the session had before.
        clear: on the good side of which it may end.
        last: of how many exposures the median is taken.
        unexpected: of ENDED: only an end that nobody asked for.
    """

    name: str
    subject: str
    limit: float = 0.0
    below: bool = False
    session: bool = False
    clear: float = 0.0
    last: int = 20
    unexpected: bool = False


@dataclass(frozen=True)
class Receiver:
    """Who is told: a program with its arguments, or the address of a service, or where that stands (`env:`, `file:`).

    `name`: by which people know it, without anything secret; no two have the same.
    """

    name: str
    command: tuple[str, ...] = ()
    service: str = ""


@dataclass(frozen=True)
class Alarms:
    """All that the settings ask for; `settle`: seconds for which all has to be well before an alarm is over."""

    rules: tuple[Rule, ...] = ()
    receivers: tuple[Receiver, ...] = ()
    address: str = ""
    settle: float = 300.0


@dataclass(frozen=True)
class Facts:
    """What a run is like at one moment; None and what is left out are not known.

    Attributes:
        now: Unix time. running: whether a daemon works on it.
        end: why it does not, in words. unexpected: nobody asked for that.
        to_do: exposures that are there to be stored. last_stored: Unix time of the last result.
        set_aside: exposures. free: GB on the disk of the run folder.
        values: of each number those of all exposures that have it, in the order in which they were taken.
    """

    now: float
    running: bool = True
    end: str = ""
    unexpected: bool = False
    to_do: int | None = None
    last_stored: float | None = None
    set_aside: int | None = None
    free: float | None = None
    values: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """What a rule finds: the value, the limit that it is held against, and both in words.

    `reference`: the session's median by which the limit was made. `cleared`: on the good side of where it may end.
    """

    value: float
    limit: float
    beyond: bool
    cleared: bool
    text: str
    reference: float | None = None


@dataclass(frozen=True)
class State:
    """What is remembered of a rule.

    Attributes:
        active: whether there is an alarm; since: when that or the opposite began (Unix time).
        reference: what it began with. text: what was found then.
        well_since: since when it could be over. busy_since: since when there has been something to store.
    """

    active: bool = False
    since: float = 0.0
    reference: float | None = None
    text: str = ""
    well_since: float | None = None
    busy_since: float | None = None


@dataclass(frozen=True)
class Letter:
    """A message, as a receiver gets it, and the names of those that are still to be told it."""

    message: Mapping[str, Any]
    waiting: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """A receiver that could not be told: how often in a row, when it is tried again (Unix time), and why."""

    tried: int
    next_try: float
    why: str


@dataclass(frozen=True)
class Memory:
    """What is kept of a run's alarms: states by rule, letters in their order, receivers that could not be told."""

    states: Mapping[str, State] = field(default_factory=dict)
    letters: tuple[Letter, ...] = ()
    refusals: Mapping[str, Refusal] = field(default_factory=dict)


def encodeMemory(memory: Memory) -> str:
    """Return the text that :func:`decodeMemory` understands."""
    return json.dumps(asdict(memory), indent=1)


def decodeMemory(text: str | bytes) -> Memory:
    """Return what was remembered.

    Raises:
        ValueError: it is something else.
    """
    try:
        tree = json.loads(text)
        states = {name: State(**state) for name, state in tree["states"].items()}
        letters = [Letter(dict(letter["message"]), tuple(letter["waiting"])) for letter in tree["letters"]]
        return Memory(states, tuple(letters), {name: Refusal(**one) for name, one in tree["refusals"].items()})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"no memory of alarms: {error}") from error
