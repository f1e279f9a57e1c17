"""Alarms of a daemon that is killed, beside receivers that hang, fail and print rubbish; and judged from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from appion.base.retrieve.events import readEvents
from appion.base.retrieve.memory import readMemory
from appion.base.retrieve.series import readSeries
from tests.faults.test_daemon_kill import count, finish, start
from tests.services.waiting import isRunning, waitFor

ROOT = Path(__file__).parents[2]
FAR = {"name": "far", "number": "drift", "last": 10, "above_session": 2}
END = {"name": "end", "ended": True}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A function that writes the settings of the alarms, as daemons and commands then have them."""
    config = tmp_path / "config"
    config.mkdir()
    monkeypatch.setenv("DASK_CONFIG", str(config))

    def write(rules, receivers, **more):
        alarms = {"rules": rules, "receivers": receivers, "every": 0.2, "settle": 0, "timeout": 120, **more}
        (config / "appion.yaml").write_text(yaml.safe_dump({"appion": {"alarms": alarms}}))
        return tmp_path

    return write


def tellFile(path):
    """A receiver that appends what it is told to a file, one line each."""
    return {"command": ["tee", "-a", str(path)], "name": path.name}


def readLetters(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def alarm(*words):
    return subprocess.run(
        [sys.executable, str(ROOT / "bin" / "appion"), "alarm", *map(str, words)], text=True, capture_output=True,
        timeout=600, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def kill(daemon):
    os.killpg(daemon.pid, signal.SIGKILL)
    daemon.communicate()


def take(folder, number):
    """Have exposures up to this number taken, and wait until they are stored."""
    (folder / "number").write_text(str(number))
    waitFor(lambda: len(count(folder, "marker")) == number)


def test_a_drift_that_trebles_alarms_once_and_clears_once_whoever_is_killed(site):
    """Three daemons: one is killed after the alarm began, one before it is over; somebody else judges all the time."""
    folder = site([FAR], [], address="https://em.example.org/appion")
    told = folder / "told"
    site([FAR], [tellFile(told)], address="https://em.example.org/appion")
    words = folder, 40, 0.01, "wait=1", "treble=41-80"
    daemon = start(*words)
    try:
        take(folder, 40)
        assert readLetters(told) == []
        take(folder, 60)
        waitFor(lambda: readLetters(told) and not readMemory(folder / "run").letters)
        kill(daemon)
        assert alarm(folder / "run", folder / "run").returncode == 1
        daemon = start(*words)
        take(folder, 80)
        assert alarm(folder / "run").returncode == 1
        kill(daemon)
        daemon = start(*words)
        take(folder, 110)
        waitFor(lambda: len(readLetters(told)) == 2 and not readMemory(folder / "run").letters)
        assert alarm(folder / "run").returncode == 0
        daemon.send_signal(signal.SIGTERM)
        assert finish(daemon)[0] == 0
    finally:
        if daemon.poll() is None:
            kill(daemon)
    begins, over = readLetters(told)
    assert (begins["what"], over["what"]) == ("begins", "over")
    assert begins["session_value"] == 10.0
    assert begins["value"] in (20.0, 30.0)
    assert begins["limit"] == 20.0
    assert begins["text"].startswith("drift ")
    assert over["value"] == 10.0
    assert begins["link"] == "https://em.example.org/appion/"
    assert begins["run"] == str(folder / "run")
    events = [event for event in readEvents(folder / "run") if event["what"].startswith("alarm")]
    assert [(event["what"], event["rule"]) for event in events] == [("alarm", "far"), ("alarm over", "far")]


def test_a_daemon_that_is_killed_is_told_of_from_outside_and_its_end_by_itself(site):
    folder = site([END], [])
    told = folder / "told"
    site([END], [tellFile(told)])
    daemon = start(folder, 3, 0.01, "wait=1")
    try:
        waitFor(lambda: len(count(folder, "marker")) == 3)
        assert alarm(folder / "run").returncode == 0
    finally:
        kill(daemon)
    looked = alarm(folder / "run")
    assert (looked.returncode, looked.stderr) == (1, "")
    assert "new: ALARM: end: the run is over: its daemon was killed or its host died" in looked.stdout
    alarm(folder / "run")
    assert [letter["what"] for letter in readLetters(told)] == ["begins"]
    daemon = start(folder, 4, 0.01, "wait=1")
    try:
        waitFor(lambda: len(readLetters(told)) == 2)
        daemon.send_signal(signal.SIGTERM)
        assert finish(daemon)[0] == 0
    finally:
        if daemon.poll() is None:
            kill(daemon)
    letters = readLetters(told)
    assert [letter["what"] for letter in letters] == ["begins", "over", "begins"]
    assert letters[-1]["text"] == "the run is over: stopped"
    assert alarm(folder / "run").returncode == 1
    assert len(readLetters(told)) == 3


def test_receivers_that_hang_fail_or_print_rubbish_delay_nobody_and_are_named(site):
    folder = site([FAR], [])
    told, pid = folder / "told", folder / "pid"
    rubbish = "import sys\nsys.stdout.write('\\x1b[2Jrubbish\\n' * 200_000)\nsys.stdout.flush()\nsys.exit(3)"
    site([FAR], [
        {"command": ["sh", "-c", f"echo $$ > {pid}; exec sleep 3600"], "name": "hangs"},
        {"command": [sys.executable, "-c", rubbish], "name": "fails"},
        {"command": [sys.executable, "-c", "while True: print('x' * 100_000)"], "name": "floods"},
        tellFile(told),
    ])  # fmt: skip
    daemon = start(folder, 40, 0.01, "wait=1", "treble=41-80")
    try:
        take(folder, 80)
        waitFor(lambda: readLetters(told) and pid.exists() and pid.read_text())
        take(folder, 120)  # while the one that hangs hangs
        hanging = int(pid.read_text())
        waitFor(lambda: {"fails", "floods"} <= set(readMemory(folder / "run").refusals))
    finally:
        kill(daemon)
    waitFor(lambda: not isRunning(hanging))
    refusals = readMemory(folder / "run").refusals
    assert refusals["fails"].why == r"exit code 3: \x1b[2Jrubbish"
    assert refusals["floods"].why == "it printed more than 16 MB"
    site([FAR], [tellFile(told), {"command": ["sh", "-c", "exec sleep 3600"], "name": "hangs"}], timeout=1)
    looked = alarm(folder / "run")
    assert looked.returncode == 1
    assert "hangs could not be told, it is tried again: it did not end within 1 s" in looked.stderr
    assert [letter["what"] for letter in readLetters(told)] == ["begins", "over"]
    site([FAR], [tellFile(told), tellFile(folder / "hangs")])
    waitForTry(folder / "run", "hangs")
    assert alarm(folder / "run").returncode == 0
    assert [letter["what"] for letter in readLetters(folder / "hangs")] == ["begins", "over"]
    assert [letter["what"] for letter in readLetters(told)] == ["begins", "over"]


def waitForTry(rundir, name):
    """Wait until a receiver that could not be told is tried again."""
    waitFor(lambda: time.time() > readMemory(rundir).refusals[name].next_try)


def test_who_is_killed_while_somebody_is_told_is_followed_by_one_who_tells_it_again(site):
    """Told twice rather than never: the first was told, and killed with the daemon before that was known."""
    folder = site([FAR], [])
    told, block = folder / "told", folder / "block"
    block.touch()
    script = f"cat >> {told}; while [ -e {block} ]; do sleep 0.1; done"
    site([FAR], [{"command": ["sh", "-c", script]}])
    daemon = start(folder, 40, 0.01, "wait=1", "treble=41-80")
    try:
        take(folder, 80)
        waitFor(lambda: readLetters(told))
    finally:
        kill(daemon)
    block.unlink()
    assert alarm(folder / "run").returncode == 1
    first, second = readLetters(told)
    assert first == second, "a receiver knows it again by its id"
    alarm(folder / "run")
    assert len(readLetters(told)) == 2


def test_a_run_without_rules_has_no_thread_and_no_file(tmp_path):
    daemon = start(tmp_path, 3, 0.01)
    assert finish(daemon)[0] == 0
    assert not (tmp_path / "run" / ".appion" / "alarms.json").exists()
    assert len(readSeries(tmp_path / "run").lines) == 3
    asked = alarm(tmp_path / "run")
    assert asked.returncode == 2
    assert "appion.alarms.rules has no rule" in asked.stderr
