"""Alarms while a run goes on: judged and told by a thread of their own, for which the loop waits at its end only."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appion.base.calc.alarmpost import findLetter, giveUp, markRefused, markTold
from appion.base.calc.alarms import judgeAlarms
from appion.base.config import setting
from appion.base.controller.rarely import Rarely
from appion.base.controller.report import Reporter
from appion.base.failures import ConfigurationFailure
from appion.base.programs.tell import tellReceiver
from appion.base.records.alarm import BEGINS, Alarms, Memory, Reading, Receiver
from appion.base.retrieve.alarms import Follower, collectFacts
from appion.base.store.alarms import loadMemory, lockAlarms, saveMemory

logger = logging.getLogger(__name__)

#: Seconds beyond the time of a receiver that its end may take.
MARGIN = 15.0


@dataclass(frozen=True)
class Look:
    """What one look at a run brought: what is remembered, what each rule found, and who could not be told and why."""

    memory: Memory
    readings: Mapping[str, Reading | None]
    refused: tuple[tuple[str, str], ...] = ()


def takeLook(
    rundir: Path, alarms: Alarms, status: Mapping[str, Any], running: bool, follower: Follower,
    note: Callable[[Mapping[str, Any]], None], patience: float = 0.0, memory: Memory | None = None,
    save: Callable[[Path, Memory], None] = saveMemory,
) -> Look | None:  # fmt: skip
    """Judge the alarms of a run and tell what is to be told; None if for `patience` seconds somebody else did that.

    What begins and what is over is kept before anybody is told, and that somebody was told as soon as that is known.
    Whoever is killed in between is followed by one who tells it again: twice rather than never.

    Args:
        note: is given each new message before anybody is told.
        memory: what is remembered, if that is not what was kept. save: keeps it.

    Raises:
        OSError, ConfigurationFailure: it cannot be looked at, or not be kept; then nobody is told.
    """
    with lockAlarms(rundir, patience) as mine:
        if not mine:
            return None
        facts = collectFacts(rundir, status, running, follower)
        before = load(rundir) if memory is None else memory
        new, messages, readings = judgeAlarms(alarms, facts, describeRunOf(rundir, status), before)
        new, given_up = giveUp(new, facts.now)
        if new != before or memory is not None:
            save(rundir, new)
        for letter in given_up:
            logger.error("given up: %s could not be told %r", " and ".join(letter.waiting), letter.message.get("title"))
        for message in messages:
            note(message)
        post = Post(rundir, new, save)
        post.deliver(alarms.receivers)
    return Look(post.memory, readings, tuple(post.refused))


def load(rundir: Path) -> Memory:
    """Return what was kept; what cannot be understood is begun anew, with alarms that there are told again."""
    try:
        return loadMemory(rundir)
    except ValueError as error:
        logger.warning("%s; the alarms of %s are begun anew", error, rundir)
        return Memory()


def describeRunOf(rundir: Path, status: Mapping[str, Any]) -> dict[str, Any]:
    """Return which run it is, as messages tell it."""
    return {"session": status.get("session", ""), "run": str(rundir), "step": status.get("program", ""),
            "host": status.get("host", "")}  # fmt: skip


class Post:
    """Letters on their way: to all receivers at once, to each in their order, until one could not be told."""

    def __init__(self, rundir: Path, memory: Memory, save: Callable[[Path, Memory], None]):
        self.rundir, self.memory, self.save = rundir, memory, save
        self.refused: list[tuple[str, str]] = []
        self.timeout = setting("alarms.timeout")
        self._mutex = threading.Lock()

    def deliver(self, receivers: tuple[Receiver, ...]) -> None:
        """Tell what is due."""
        due = [one for one in receivers if findLetter(self.memory, one.name, time.time())]
        if due:
            with ThreadPoolExecutor(len(due), "alarms") as threads:
                list(threads.map(self.serve, due))

    def serve(self, receiver: Receiver) -> None:
        """Tell one receiver what is due."""
        while letter := findLetter(self.memory, receiver.name, time.time()):
            why = tellReceiver(receiver, letter.message, self.timeout)
            with self._mutex:
                if why:
                    self.refused.append((receiver.name, why))
                    self.memory = markRefused(self.memory, receiver.name, why, time.time())
                else:
                    self.memory = markTold(self.memory, receiver.name, letter)
                self.save(self.rundir, self.memory)


class Watch:
    """The alarms of a daemon's own run; without rules it does nothing. To be used in a `with` block."""

    def __init__(self, reporter: Reporter, alarms: Alarms):
        self.reporter, self.alarms = reporter, alarms
        self.active: dict[str, bool] = {}
        self._follower = Follower(reporter.rundir, alarms.rules)
        self._unsaved: Memory | None = None
        self._news: deque[dict[str, Any]] = deque()
        self._rarely = Rarely()
        self._every = max(0.05, setting("alarms.every"))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alarms", daemon=True)

    def __enter__(self) -> Watch:
        if self.alarms.rules:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look for the last time; receivers that take too long are told by whoever looks next."""
        if self._thread.ident is not None:
            self._stop.set()
            self._thread.join(2 * setting("alarms.timeout") + MARGIN)  # it may just have somebody told
            self.report()

    def report(self) -> None:
        """Note in the events what began and what is over; called by the loop."""
        while self._news:
            self.reporter.event(**self._news.popleft())

    def _work(self) -> None:
        ended = False
        while not ended:
            ended = self._stop.wait(self._every)
            status = self.reporter.status
            if status:
                try:
                    self._look(status, MARGIN / 2 if ended else 0.0)
                except (OSError, ConfigurationFailure) as error:
                    if self._rarely.isNews("look", str(error)):
                        logger.error("alarms cannot be judged, trying again: %s", error)
                except Exception as error:
                    if self._rarely.isNews("look", repr(error)):
                        logger.exception("alarms cannot be judged, trying again")

    def _look(self, status: Mapping[str, Any], patience: float) -> None:
        running = status.get("state") != "ended"
        look = takeLook(self.reporter.rundir, self.alarms, status, running, self._follower, self._note, patience,
                        self._unsaved, self._save)  # fmt: skip
        self._rarely.clear("look")
        if look is None:
            return
        self.active = {rule.name: look.memory.states[rule.name].active for rule in self.alarms.rules}
        for name, why in look.refused:
            if self._rarely.isNews(name, why):
                logger.error("%s could not be told of alarms, trying again: %s", name, why)

    def _note(self, message: Mapping[str, Any]) -> None:
        """Say what begins or is over in the log, and by the loop in the events."""
        begins, name = message["what"] == BEGINS, message["alarm"]
        self.active = {**self.active, name: begins}
        logger.log(logging.WARNING if begins else logging.INFO, "%s: %s", message["title"], message["text"])
        self._news.append({"what": "alarm" if begins else "alarm over", "rule": name, "reason": message["text"]})

    def _save(self, rundir: Path, memory: Memory) -> None:
        """Keep what is remembered; while that is not possible it is remembered by this thread alone."""
        try:
            saveMemory(rundir, memory)
            self._unsaved = None
        except OSError as error:
            self._unsaved = memory
            if self._rarely.isNews("keeping", str(error)):
                logger.error("alarms cannot be kept in %s, trying again: %s", rundir, error)
