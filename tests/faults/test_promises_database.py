"""P8: the database server stops answering, is killed, and comes back, while exposures are processed and stored."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

import sinedon
from appion.base.retrieve.attempts import readAttempts
from tests.faults.test_daemon import Daemon, checkStoredOnce, makeExposures, writeMovies

NUMBER = 24


@pytest.fixture
def running(mariadatabase, tmp_path):
    """A daemon that has stored a few exposures and has many to go; its database may be silent for two seconds."""
    config = mariadatabase.folder / "sinedon.cfg"
    config.write_text(config.read_text().replace("[global]\n", "[global]\nread_timeout: 2\nconnect_timeout: 2\n"))
    made = makeExposures(tmp_path, NUMBER)
    writeMovies(made)
    daemon = Daemon(tmp_path, made)
    process = daemon.start("--no-wait", seconds=0.2)
    try:
        waitForStatus(daemon, lambda status: status["counts"]["done"] >= 3)
        yield made, daemon, process
    finally:
        process.kill()
        process.wait()


def waitForStatus(daemon, condition, timeout=600):
    """The first status for which `condition` holds."""
    path = daemon.rundir / ".appion" / "status.json"
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if path.exists():
            status = json.loads(path.read_text())
            if condition(status):
                return status
        time.sleep(0.1)
    raise AssertionError(daemon.readLog())


def checkOutage(daemon, began):
    """What a person is told while the database is away."""
    status = waitForStatus(daemon, lambda status: status["database"])
    assert began - 1 <= status["database"]["since"] <= time.time()
    told = daemon.appion("status", str(daemon.rundir))
    assert told.returncode == 1
    assert "the database does not answer since" in told.stdout
    metrics = (daemon.rundir / ".appion" / "metrics.prom").read_text()
    assert [line for line in metrics.splitlines() if 'what="database"' in line and line.endswith(" 1.0")]
    return status


def checkAllDone(made, daemon, process):
    """The daemon ends by itself; everything is stored once, computed once, and nobody was blamed."""
    assert process.wait(600) == 0, daemon.readLog()
    sinedon.closeConnections()
    checkStoredOnce(made, daemon)
    assert set(daemon.readLedger().values()) == {1}
    assert daemon.readLedger().total() == 2 * NUMBER
    assert readAttempts(daemon.rundir) == {}
    what = [json.loads(line)["what"] for line in (daemon.rundir / ".appion" / "events.jsonl").read_text().splitlines()]
    assert what.count("stored") == NUMBER
    assert {"database away", "database back"} <= set(what)
    assert not {"failed", "set aside"} & set(what)


def test_P8_stopped_then_killed_then_restarted_server_loses_nothing(running, server):
    """SIGSTOP: it takes connections and says nothing. SIGKILL: it is gone in the middle of whatever it was doing."""
    made, daemon, process = running
    began = time.time()
    os.kill(server.process.pid, signal.SIGSTOP)
    first = checkOutage(daemon, began)
    status = waitForStatus(daemon, lambda status: status["heartbeat"] > first["heartbeat"] + 3)
    assert status["database"]["since"] == first["database"]["since"]
    server.process.kill()
    server.process.wait()
    time.sleep(1)
    server.start(port=server.port)
    checkAllDone(made, daemon, process)


def test_P8_stopped_server_that_goes_on_writes_nothing_twice(running, server):
    """What it was asked before it stopped it does when it goes on, although nobody waits for the answer any more."""
    made, daemon, process = running
    for _ in range(2):
        began = time.time()
        os.kill(server.process.pid, signal.SIGSTOP)
        checkOutage(daemon, began)
        os.kill(server.process.pid, signal.SIGCONT)
        waitForStatus(daemon, lambda status: not status["database"])
    checkAllDone(made, daemon, process)


def test_P8_server_killed_again_and_again_under_load(running, server):
    """It is killed at no particular moment and restarted at once: some connections break, some are refused."""
    made, daemon, process = running
    for pause in (0.3, 0.7, 1.1):
        time.sleep(pause)
        server.process.kill()
        server.process.wait()
        server.start(port=server.port)
    checkAllDone(made, daemon, process)


def test_P8_broken_table_is_waited_for_until_it_is_repaired(running, server):
    """A power cut left the index of a MyISAM table half-written: no exposure is to blame for that."""
    made, daemon, process = running
    server.stop()
    index = server.root / "data" / "ap1" / "ApDDFrameTrajectoryData.MYI"
    os.truncate(index, index.stat().st_size // 2)
    server.start(port=server.port)
    waitForStatus(daemon, lambda status: status["database"] and "try to repair it" in status["database"]["reason"])
    repaired = server.execute("REPAIR TABLE ApDDFrameTrajectoryData USE_FRM", database="ap1")
    assert repaired[-1][-1] == "OK", repaired
    checkAllDone(made, daemon, process)
