"""The loop with a step in memory: run, stopped, and asked what happened."""

from __future__ import annotations

import os
import signal
import threading
import time

from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.events import readEvents

ONCE = LoopOptions(wait=False, workers=2)


class Away(Exception):
    """The database does not answer."""


def run(lab, options=ONCE):
    return runLoop(
        lab.step(), lab.rundir, options, isDatabaseAway=lambda error: isinstance(error, Away), reconnect=lambda: None
    )


def whatHappened(lab, image_id=None):
    return [event["what"] for event in readEvents(lab.rundir, image_id)]


def waitUntil(condition, timeout=600):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def stopWhen(condition):
    """Send SIGTERM to this process as soon as `condition` holds."""

    def watch():
        waitUntil(condition)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread
