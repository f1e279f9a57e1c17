"""The keeper's turns, until it is told to end; its daemons go on without it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import sinedon
from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.records.keeping import Keeping, keeperLockPath, preferredFolder
from appion.base.store.systemd import READY, STOPPING, takeSystemd, tellAlive, tellSystemd
from appion.keep.keeper import Keeper, changeState, constructKeeper, listKept
from appion.keep.looking import lookAtRuns
from appion.keep.placing import placeRuns
from appion.keep.programs.start import fetchChildren
from appion.keep.records import againFolder
from appion.keep.store.runs import listWishes, lockFolder, openFolder, removeWishes, saveKeeping
from appion.keep.telling import Teller
from appion.keep.wanting import tryConsider

logger = logging.getLogger(__name__)

#: Longest time between two turns, in seconds, and between two while something begins or ends.
TURN, BUSY = 5.0, 1.0

#: Seconds in which what is started begins, unless it is a job that waits.
SOON = 60.0

#: For a share of the time that nothing came the database is not asked again.
SLOWNESS = 60.0


class Clock:
    """When the database is to be asked again, by a clock that nobody sets."""

    def __init__(self) -> None:
        self.asked = self.afresh = self.news = float("-inf")

    def isDue(self) -> bool:
        quiet = time.monotonic() - self.news
        interval = max(setting("poll"), min(setting("poll_max"), quiet / SLOWNESS))
        return time.monotonic() - self.asked >= interval

    def note(self, news: bool, afresh: bool) -> None:
        self.asked = time.monotonic()
        self.news = self.asked if news else self.news
        self.afresh = self.asked if afresh else self.afresh


def runService(folder: Path, once: bool = False) -> int:
    """Keep all sessions until SIGTERM or SIGINT, or for one turn; returns the exit code.

    Raises:
        ConfigurationFailure: a profile is not possible, another keeper is at work, or the folder cannot be written to.
    """
    takeSystemd()
    openFolder(folder)
    lock, stop = lockFolder(keeperLockPath(folder)), threading.Event()
    before = {number: signal.signal(number, lambda _number, _frame: stop.set())
              for number in (signal.SIGTERM, signal.SIGINT)}  # fmt: skip
    try:
        keeper, clock = constructKeeper(folder), Clock()
        teller = Teller(keeper)
        logger.info("keeping %d profiles, in %s", len(keeper.profiles), folder)
        tellSystemd(READY)
        while not stop.is_set():
            tellAlive()
            takeTurn(keeper, clock)
            teller.tell()
            if once:
                break
            stop.wait(min(BUSY if isBusy(keeper) else TURN, setting("poll")))
        tellSystemd(STOPPING)
        saveState(keeper, "one turn was asked for" if once else "stopped")
    finally:
        os.close(lock)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def isBusy(keeper: Keeper) -> bool:
    """Whether something begins or ends at this moment."""
    soon = time.time() - SOON
    return any(run.stopping or (run.state == "starting" and run.began > soon) for run in keeper.runs.values())


def takeTurn(keeper: Keeper, clock: Clock) -> None:
    """Look at everything once, and do what is to be done. A database or a disk that is away is waited for."""
    fetchChildren()
    keeper.trouble = ()
    heedWishes(keeper)
    try:
        askDatabase(keeper, clock)
        lookAtRuns(keeper)
        tryConsider(keeper)
        placeRuns(keeper)
        sinedon.closeConnections(keep="leginondata")  # by which it asks whether there is anything new
    except Exception as error:
        away = sinedon.isDatabaseAway(error) or isinstance(error, (sinedon.errors.SinedonError, Failure, OSError))
        if not away and sinedon.findRefusal(error) is None:
            raise
        sinedon.closeConnections()
        reason = str(sinedon.findRefusal(error) or error)
        logger.warning("trying again: %s", reason)
        keeper.trouble = (*keeper.trouble, reason)
        lookAtRuns(keeper)
    saveState(keeper)


def askDatabase(keeper: Keeper, clock: Clock) -> None:
    """Ask what is new if it is time to."""
    if not clock.isDue():
        return
    if not keeper.connected:
        sinedon.setup()
        keeper.connected = True
    afresh = time.monotonic() - clock.afresh >= setting("full_poll")
    clock.asked = time.monotonic()  # also of a question that fails
    clock.note(keeper.watch.update(afresh), afresh)


def heedWishes(keeper: Keeper) -> None:
    """Take in which sessions shall hurry, and which refused runs shall be started again."""
    keeper.preferred = listWishes(preferredFolder(keeper.folder))
    again = listWishes(againFolder(keeper.folder))
    for run in keeper.runs.values():
        if run.session in again and run.state in ("refused", "ended", "backing off"):
            changeState(keeper, run, "waiting", "somebody asked for it", final=False, fails=0, next_try=None)
    removeWishes(againFolder(keeper.folder), again)


def saveState(keeper: Keeper, ended: str = "") -> None:
    """Write what the keeper says of itself; a disk that takes it not is said in the log."""
    keeping = Keeping(os.uname().nodename, os.getpid(), keeper.started, time.time(), listKept(keeper),
                      tuple(keeper.skipped.values()), ended, keeper.trouble)  # fmt: skip
    try:
        saveKeeping(keeper.folder, keeping)
    except OSError as error:
        logger.warning("%s cannot be written: %s", keeper.folder, error.strerror or error)
