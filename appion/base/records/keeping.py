"""What the keeper of sessions says of itself, in its own folder: for those who write it and those who read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: What may be the matter with a run that the keeper knows. `alien`: a person started it, the keeper leaves it alone.
STATES = ("waiting", "starting", "running", "alien", "backing off", "refused", "ended")


def keepingPath(folder: Path | str) -> Path:
    """Where the keeper's state is kept."""
    return Path(folder) / "keep.json"


def keeperLockPath(folder: Path | str) -> Path:
    """What the keeper holds a lock on while it works. It stays when nobody holds it."""
    return Path(folder) / "lock"


def keeperEventsPath(folder: Path | str) -> Path:
    """Where the keeper's events are kept, a line for each."""
    return Path(folder) / "events.jsonl"


def preferredFolder(folder: Path | str) -> Path:
    """Where sessions that shall hurry are named, a file for each."""
    return Path(folder) / "preferred"


@dataclass(frozen=True)
class KeptRun:
    """A run that the keeper started, will start, or found.

    Attributes:
        rundir: the run folder, absolute. session: name of the session. profile: which profile of the settings asks for
            it. command: the classic command's name, e.g. ``motioncor2.py``. runname: as in the database.
        state: one of :data:`STATES`. reason: why, in words for a person; empty where the state says it all.
        since: when it came into this state; next_try: when it is started (again), None if not by itself (both seconds
            since the epoch).
        pid: of the daemon on the keeper's host, None where it is not known. starts: how often it was started.
    """

    rundir: str
    session: str
    profile: str
    command: str
    runname: str
    state: str
    reason: str = ""
    since: float = 0.0
    next_try: float | None = None
    pid: int | None = None
    starts: int = 0


@dataclass(frozen=True)
class NotStarted:
    """A session for which a profile starts nothing (yet), and why; `since`: seconds since the epoch."""

    session: str
    profile: str
    reason: str
    since: float = 0.0


@dataclass(frozen=True)
class Keeping:
    """The keeper's state.

    Attributes:
        host, pid: of the keeper. started, heartbeat: seconds since the epoch; it is written every few seconds.
        runs: worst first is the reader's business. skipped: sessions for which nothing is started.
        ended: why the keeper ended; empty while it works. trouble: what keeps it from its work, a line each.
    """

    host: str
    pid: int
    started: float
    heartbeat: float
    runs: tuple[KeptRun, ...] = ()
    skipped: tuple[NotStarted, ...] = ()
    ended: str = ""
    trouble: tuple[str, ...] = ()
