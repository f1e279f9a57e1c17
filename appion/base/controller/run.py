"""One run while it lasts: what its functions share, how they ask the database, and how a failure is noted."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from appion.base.calc.outage import Outage
from appion.base.config import setting
from appion.base.controller.alarms import Watch
from appion.base.controller.alike import Alike
from appion.base.controller.refusal import SEVERAL_VALUES, DatabaseRefusal, ValueRefusal, findOutage, refuseAll
from appion.base.controller.report import Reporter
from appion.base.controller.state import Exposures, Phase
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.step import Step
from appion.base.store.lock import RunLock
from appion.base.workers.pool import Pool

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class LoopOptions:
    """How to go through the exposures.

    Attributes:
        wait: go on when everything is done, for new exposures.
        limit: end after this many exposures; those not ready do not count.
        order: live (newest first, a share for the oldest), newest, oldest or shuffle.
        commit: store results; without it they stay in the journal.
        workers: workers on this machine; None: as the settings say.
        gpus: ids of the GPUs to use; empty if the program needs none.
        scratch: folder of the scratch folders if it is not the one in the run folder.
        session: name of the session, for whoever watches.
        warnings: what is noted at the start, in the events and in the status.
    """

    wait: bool = True
    limit: int | None = None
    order: str = "live"
    commit: bool = True
    workers: int | None = None
    gpus: tuple[int, ...] = ()
    scratch: Path | None = None
    session: str = ""
    warnings: tuple[str, ...] = ()


class DatabaseAway(Exception):
    """The database does not answer, or it is too early to ask it again."""


def _pause(tolerance: int = 0, longest: float | None = None) -> Outage:
    return Outage(setting("pause"), setting("pause_max") if longest is None else longest, tolerance)


@dataclass
class Run:
    """Everything that the functions of the loop share."""

    step: Step
    rundir: Path
    options: LoopOptions
    exposures: Exposures
    pool: Pool
    reporter: Reporter
    watch: Watch
    lock: RunLock
    isDatabaseAway: Callable[[BaseException], bool]
    reconnect: Callable[[], None]
    database: Outage = field(default_factory=lambda: _pause(longest=30.0))
    polling: Outage = field(default_factory=lambda: _pause(longest=60.0))
    storage: Outage = field(default_factory=_pause)
    infrastructure: Outage = field(default_factory=lambda: _pause(tolerance=int(setting("pause_after")) - 1))
    folder: Outage = field(default_factory=lambda: _pause(longest=30.0))  # files that the daemon itself needs
    refused: Outage = field(default_factory=_pause)  # what the database does not let the daemon read
    alike: Alike = field(default_factory=lambda: Alike(max(2, int(setting("pause_after_alike"))), _pause()))
    to_store: deque[int] = field(default_factory=deque)
    taken: set[int] = field(default_factory=set)  # ids handed out, kept only with a limit
    busy_at: float = field(default_factory=time.monotonic)  # when there was last anything to do, or anything new
    next_look: float = 0.0  # for requests of people
    next_poll: float = 0.0
    next_full: float = 0.0
    next_job_look: float = field(default_factory=lambda: time.monotonic() + setting("job_poll"))  # at the job's own row
    unheard: bool = True  # what was new could not be asked for yet
    attempts_limit: int = 0  # bytes of the file of failures at which it is made smaller
    recovered: bool = False  # it is known what earlier daemons did
    polled: bool = False
    over: bool = False  # the session has been declared finished
    proven: bool = False  # some exposure had parameters: a configuration failure of another is its own
    working: bool = False  # some exposure got to a worker, now or earlier: what keeps another from it is its own
    suspect: ConfigurationFailure | None = None  # kept an exposure from a worker and may be wrong for all of them
    crowd: int = 0  # how many were looked at in vain in the last turn
    low_space: str = ""
    fatal: ConfigurationFailure | None = None
    stops: int = 0
    aborted: bool = False
    stop_deadline: float | None = None
    idle_since: float | None = None
    live_jobs: set[str] | None = None  # as last heard of

    @property
    def stopping(self) -> bool:
        return self.stops > 0 or self.fatal is not None

    @property
    def outages(self) -> tuple[Outage, ...]:
        paused = self.infrastructure, self.folder, self.refused, self.alike.outage
        return self.database, self.polling, self.storage, *paused


def askDatabase(run: Run, function: Callable[..., T], *arguments: Any) -> T:
    """Call something that talks to the database.

    Raises:
        DatabaseAway: it does not answer, or does not let the account in; noted, and after a while tried again.
        DatabaseRefusal: it refuses what all exposures need.
    """
    if run.database.isPaused():
        raise DatabaseAway
    try:
        answer = function(*arguments)
    except Exception as error:
        reason = findOutage(error, run.isDatabaseAway)
        if not reason:
            refuseAll(error, run.reconnect)
            raise
        if run.database.fail(reason):
            logger.warning("the database is away: %s; trying again", reason)
            run.reporter.event("database away", reason=reason)
        run.reconnect()
        raise DatabaseAway from error
    if run.database.clear():
        logger.info("the database is back")
        run.reporter.event("database back")
    return answer


def stopRun(run: Run, failure: ConfigurationFailure) -> None:
    """Have the run end, with this failure as its reason, when what is on the workers is back."""
    if run.fatal is None:
        run.fatal = failure
        logger.error("stopping: %s", failure)


def noteFailure(run: Run, image_id: int, failure: Failure, **where: Any) -> None:
    """Record one failure of one exposure and what becomes of it."""
    name = run.exposures.names.get(image_id, "")
    excused: dict[int, int] = {}
    if failure.kind == "image":
        excused = noteAlike(run, image_id, failure, where.get("during", ""))
    attempt = run.exposures.fail(image_id, failure, excused.pop(image_id, None))
    for other, count in excused.items():
        run.exposures.excuse(other, count)
    aside = run.exposures.phase[image_id] is Phase.SET_ASIDE
    delay = None if attempt.next_try is None else round(max(0.0, attempt.next_try - time.time()), 1)
    run.reporter.event(
        "set aside" if aside else "failed",
        image=image_id, name=name, attempt=attempt.count, **{"class": attempt.kind}, reason=failure.reason,
        remedy=failure.remedy, command=failure.command, retry_in=delay, **({"host": failure.host} | where),
    )  # fmt: skip
    logger.warning("%s (image %d) failed%s: %s", name, image_id, ", set aside" if aside else "", failure)
    if failure.kind == "infrastructure" and run.infrastructure.fail(failure.reason):
        logger.warning("too many failures in a row, pausing: %s", failure.reason)
        run.reporter.event("paused", reason=failure.reason)


def noteAlike(run: Run, image_id: int, failure: Failure, stage: str) -> dict[int, int]:
    """Take in a failure that is to be held against an image; see :meth:`Alike.fail` for what is returned."""
    before, exposures = run.alike.isActive(), run.exposures
    name, old = exposures.names.get(image_id, ""), exposures.attempts.get(image_id)
    needed = SEVERAL_VALUES if isinstance(failure, ValueRefusal) else None
    excused = run.alike.fail(image_id, name, failure.reason, old, stage, needed)
    if run.alike.isActive() and not before:
        reason = run.alike.describe()
        logger.error("%s; nothing is held against them, and one is tried now and then", reason)
        run.reporter.event("paused", reason=reason, remedy=failure.remedy)
    return excused


def noteSuccess(run: Run, stage: str = "") -> None:
    """One got through: whatever failed alike before is tried again now."""
    excused = run.alike.succeed(stage)
    if excused is not None:
        logger.info("exposures succeed again; the %d that had failed alike are tried again", len(excused))
        run.reporter.event("resumed", reason="exposures succeed again")
        run.exposures.hasten(excused)


def noteRefused(run: Run, refusal: DatabaseRefusal) -> None:
    """The database refuses to be read: nothing is handed out until it is asked again. Raises `refusal` at the start."""
    if not run.working:
        raise refusal
    if run.refused.fail(refusal.reason):
        logger.error("pausing, nothing is held against the exposures: %s", refusal.reason)
        run.reporter.event("paused", reason=refusal.reason)


def noteAdmitted(run: Run) -> None:
    """It lets itself be read."""
    if run.refused.clear():
        logger.info("the database can be read again")
        run.reporter.event("resumed", reason="the database can be read again")
