"""Telling people of a run that a person has to mend: once, by the receivers of alarms, beside the keeper's turns."""

from __future__ import annotations

import logging
import threading
import time

from appion.base.calc.alarmmessage import constructMessage
from appion.base.config import setting
from appion.base.programs.tell import tellReceiver
from appion.base.records.alarm import BEGINS, ENDED, Alarms, Reading, Rule
from appion.base.retrieve.alarms import readAlarms
from appion.keep.keeper import Keeper
from appion.keep.records import OwnRun
from appion.keep.store.runs import saveRun

logger = logging.getLogger(__name__)

#: Seconds after which who could not be told is told again.
AGAIN = 300.0


class Teller:
    """Tells of refused runs, those not told of yet, one after the other in a thread of its own."""

    def __init__(self, keeper: Keeper):
        self.keeper, self.alarms = keeper, readAlarms()
        self.thread: threading.Thread | None = None
        self.due: dict[str, float] = {}
        self.told: dict[str, set[str]] = {}

    def tell(self) -> None:
        """Begin to tell what is to be told; what was told is written down."""
        if self.thread and self.thread.is_alive():
            return
        for run in self.keeper.runs.values():
            names = {receiver.name for receiver in self.alarms.receivers}
            if run.state == "refused" and not run.told:
                if names <= self.told.get(run.key, set()):
                    run.told = True
                    saveRun(self.keeper.folder, run)
                    self.told.pop(run.key, None)
                elif self.due.get(run.key, 0.0) <= time.monotonic():
                    self.due[run.key] = time.monotonic() + AGAIN
                    self.thread = threading.Thread(target=self.tellAll, args=(run,), daemon=True)
                    self.thread.start()
                    return

    def tellAll(self, run: OwnRun) -> None:
        """Tell all receivers of a run, as far as they were not told yet."""
        message = constructRefusal(run, self.alarms)
        told = self.told.setdefault(run.key, set())
        for receiver in self.alarms.receivers:
            if receiver.name not in told:
                why = tellReceiver(receiver, message, setting("alarms.timeout"))
                if why:
                    logger.warning("%s could not be told, it is tried again: %s", receiver.name, why)
                else:
                    told.add(receiver.name)


def constructRefusal(run: OwnRun, alarms: Alarms) -> dict[str, object]:
    """Return the message, in the words of an alarm of a run that is over."""
    text = f"{run.program} does not start, somebody has to mend this: {run.reason}"
    about = {"session": run.session, "run": run.rundir, "step": run.program, "host": ""}
    reading = Reading(1.0, 0.0, True, False, text)
    return constructMessage(Rule("keep", ENDED), BEGINS, reading, about, alarms.address, run.since, run.since)
