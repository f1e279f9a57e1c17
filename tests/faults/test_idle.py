"""The real daemon when nothing is left to do: what it lets go of, and that it is there at once when it is needed."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

import sinedon
from tests.faults.test_daemon import Daemon, checkStoredOnce, makeExposures, waitForStatus, writeMovies
from tests.services.sessions import addImages


def waitForRest(daemon: Daemon, done: int, timeout: float = 240) -> None:
    """Wait until the status says that the workers are let go after so many exposures."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status = waitForStatus(daemon, timeout, done=done)
        if status["workers"].get("resting"):
            return
        time.sleep(0.1)
    raise AssertionError(f"it does not rest: {json.dumps(status)}")


def listChildren(pid: int) -> list[str]:
    """Command lines of a process's children, but for that of Python's own resource tracker."""
    children = [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    lines = [Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children]
    return [line for line in lines if "resource_tracker" not in line]


@pytest.mark.usefixtures("mariadatabase")
def test_without_work_there_are_no_workers_and_one_connection(mariadb, tmp_path):
    made = makeExposures(tmp_path, 2)
    writeMovies(made)
    daemon = Daemon(tmp_path, made, rest_after=0.5, status_interval=0.2)
    listed = "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
    others = {one for (one,) in mariadb.execute(listed)}
    process = daemon.start()
    try:
        for done in (2, 3):
            waitForRest(daemon, done)
            assert listChildren(process.pid) == []
            loaded = Path(f"/proc/{process.pid}/maps").read_text()
            assert [name for name in ("numba", "scipy", "matplotlib", "llvmlite") if f"/{name}/" in loaded] == []
            sinedon.closeConnections()
            deadline = time.monotonic() + 120
            while len({one for (one,) in mariadb.execute(listed)} - others) != 1:
                assert time.monotonic() < deadline, mariadb.execute("SHOW PROCESSLIST")
                time.sleep(0.1)
            said = daemon.appion("status", str(daemon.rundir))
            assert (said.returncode, "workers: none until something comes" in said.stdout) == (0, True), said.stdout
            if done == 2:
                known, made = made.filenames, addImages(made, 1)
                writeMovies(replace(made, filenames=made.filenames[len(known) :]))
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0, daemon.readLog()
    finally:
        process.kill()
        process.wait()
    checkStoredOnce(made, daemon)


@pytest.mark.usefixtures("sqlitedatabase")
def test_a_signal_ends_a_daemon_that_hardly_ever_asks(tmp_path):
    made = makeExposures(tmp_path, 1)
    writeMovies(made)
    daemon = Daemon(tmp_path, made, rest_after=0.2, status_interval=0.2, poll=3600, poll_max=3600, full_poll=7200)
    process = daemon.start()
    try:
        waitForRest(daemon, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0, daemon.readLog()
    finally:
        process.kill()
        process.wait()
