"""What goes on while microscope and daemons work: one is started, all are watched, and how far they are is shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db.utils import Error as DjangoDatabaseError

import sinedon
from appion.base.calc.plain import makePlain
from appion.base.cli.screen import show
from appion.demo.plan import Plan
from appion.demo.processes import DemoError, Process, startProcess
from appion.demo.report import explainImage, readEstimated, readGivenUp, readImageIds, readStored

#: Seconds in which something has to get done.
STALL_TIMEOUT = 120.0

T = TypeVar("T")


def startMicroscope(plan: Plan, environment: dict[str, str]) -> Process:
    """Start the process that takes the exposures; the folder holds the recipe."""
    # -P: not from the current folder, where a checkout of classic has a sinedon, too.
    command = [sys.executable, "-P", "-m", "appion.demo.leginon", str(plan.folder)]
    return startProcess(command, plan.folder / "microscope.log", environment, ends=True)


def waitForSession(plan: Plan, microscope: Process, timeout: float = 60.0) -> None:
    """Wait until the microscope has taken its first exposure; time counts while it says nothing."""
    start, before = time.monotonic(), ""
    while not readImageIds(plan):
        microscope.checkRunning()
        now = microscope.readTail(1)
        if now != before:
            start, before = time.monotonic(), now
            showProgress(now, news=False)
        if time.monotonic() > start + timeout:
            raise DemoError(f"no exposure after {timeout:g} s:\n{microscope.readTail()}")
        time.sleep(0.2)


def watch(plan: Plan, processes: Sequence[Process], patience: float = STALL_TIMEOUT, interval: float = 0.5) -> None:
    """Show how far things are until the microscope is done and every exposure has its CTF or its reason is known.

    Raises:
        DemoError: a process failed, or nothing got done for `patience` seconds.
    """
    start = last = time.monotonic()
    before = ""
    while True:
        ids, stored, estimated, done = askPatiently(lambda: readProgress(plan), patience)
        left = [p for p in plan.exposures if ids.get(p.filename, 0) not in done]
        now = f"taken {len(ids)} of {len(plan.exposures)}   corrected {len(stored)}   CTF {len(estimated)}"
        showProgress(f"{time.monotonic() - start:5.0f} s   {now}", news=now != before)
        for process in processes:
            process.checkRunning()
        explained = all(not p.is_good and explainImage(plan.rundir, ids.get(p.filename, 0)) for p in left)
        if processes[0].popen.poll() == 0 and explained:
            showProgress("", news=True)
            return
        if now != before:
            before, last = now, time.monotonic()
        if time.monotonic() - last > patience + plan.seconds_between:
            tails = "\n".join(process.readTail() for process in processes)
            raise DemoError(f"nothing got done for {patience:g} s:\n{tails}")
        time.sleep(interval)


def readProgress(plan: Plan) -> tuple[dict[str, int], set[int], set[int], set[int]]:
    """Return the ids of exposures: taken, by name; corrected; with CTF; with CTF or given up."""
    ids, stored, estimated = readImageIds(plan), readStored(plan), readEstimated(plan)
    return ids, stored, estimated, estimated | readGivenUp(plan)


def askPatiently(question: Callable[[], T], patience: float, pause: float = 5.0) -> T:
    """Return the answer of a database; while that is away it is asked again, for `patience` seconds.

    Raises:
        DemoError: it stayed away.
    """
    end = time.monotonic() + patience
    while True:
        try:
            return question()
        except DjangoDatabaseError as error:
            if not sinedon.isDatabaseAway(error):
                raise
            sinedon.closeConnections()
            if time.monotonic() > end:
                raise DemoError(f"the database does not answer: {error}") from error
            time.sleep(pause)


def showProgress(line: str, news: bool) -> None:
    """Rewrite the live line on a terminal; elsewhere print it when it has `news`."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{makePlain(line)}", end="", flush=True)
    elif news:
        show(line, file=sys.stdout)
