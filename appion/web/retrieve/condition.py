"""How runs are doing, as `appion status` says it; a run folder is looked at once in a while, however many ask."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.status import Condition, judgeRun
from appion.base.retrieve.verdict import describeVerdict

#: Seconds for which a look at a run folder does for everybody.
FRESH = 2.0

#: The colours of the traffic light, by the exit code of `appion status`.
VERDICTS = ("ok", "trouble", "stopped")


@dataclass(frozen=True)
class State:
    """What is known of a run's daemon.

    Attributes:
        verdict: one of VERDICTS; ``stopped`` also where no daemon of this package ever worked.
        words: the verdict in a sentence. trouble: what a person should look at, a line each.
        status: what the daemon last wrote; empty if it never did.
        running: whether one works now.
    """

    verdict: str
    words: str
    trouble: tuple[str, ...] = ()
    status: dict[str, Any] | None = None
    running: bool = False


_states: dict[str, tuple[float, State]] = {}
_lock = threading.Lock()


def readState(folder: str) -> State:
    """Return how the run of a folder is doing, as it was a moment ago at the earliest."""
    with _lock:
        until, state = _states.get(folder, (0.0, None))
    if state is not None and time.monotonic() < until:
        return state
    state = judgeState(folder)
    with _lock:
        if len(_states) > 10_000:
            _states.clear()
        _states[folder] = time.monotonic() + FRESH, state
    return state


def judgeState(folder: str) -> State:
    """Look at a run folder."""
    if not folder:
        return State("stopped", "The run has no folder on record.")
    try:
        condition = judgeRun(folder)
    except ConfigurationFailure as failure:
        return State("stopped", f"No daemon of this package is at work here: {failure.reason}.")
    except (OSError, KeyError, TypeError) as error:
        return State("trouble", f"TROUBLE: {folder} cannot be read: {describeError(error)}", (describeError(error),))
    return State(VERDICTS[condition.exit_code], describeWords(condition), condition.trouble, condition.status or None,
                 condition.running)  # fmt: skip


def describeWords(condition: Condition) -> str:
    """Return the verdict and every trouble, as `appion status` prints them, in one text."""
    return " ".join(line.strip().removeprefix("! ") for line in describeVerdict(condition)).strip()


def describeError(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or f"it is not what a daemon writes ({type(error).__name__})")
