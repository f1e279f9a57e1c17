"""The daemon is killed, stopped, and loses its workers; nothing is lost, stored twice or computed twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.services.waiting import isRunning, waitFor

DAEMON = Path(__file__).with_name("daemon.py")
ROOT = Path(__file__).parents[2]


#: Daemons that a test has started; what one that fails leaves is ended after it.
_started: list[subprocess.Popen] = []


def start(folder, number, seconds, *options):
    command = [sys.executable, "-W", "error::ResourceWarning", str(DAEMON), str(folder), str(number), str(seconds)]
    daemon = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    _started.append(daemon)
    return daemon


def endStarted():
    """Kill the daemons that still run, and close what is open of them."""
    while _started:
        with _started.pop() as daemon:
            daemon.kill()


def finish(daemon, timeout=600):
    try:
        out, err = daemon.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        daemon.kill()
        pytest.fail(f"the daemon did not end: {daemon.communicate()}")
    return daemon.returncode, out, err


def readNotes(folder):
    """Every line that was written whole, as words."""
    path = folder / "notes"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def count(folder, what):
    return Counter(int(words[1]) for words in readNotes(folder) if words[0] == what)


def checkOnce(folder, number, lost=0):
    """All rows are there and none was written twice; of one, the line may be missing that a killed daemon left out.

    Where a worker was `lost` in the moment in which its result was fetched, Dask runs the exposure once more, for
    nothing: it is not stored again, and the record that this leaves is removed at the next start.
    """
    for table in ("child", "marker"):
        assert {int(row.name) for row in (folder / table).iterdir()} == set(range(1, number + 1))
        assert max(count(folder, table).values()) == 1
    ends = count(folder, "end")
    assert ends.total() <= number + lost
    again = {f"{image_id}.json" for image_id, times in ends.items() if times > 1}
    assert {path.name for path in (folder / "run/.appion/journal").iterdir()} <= again
    assert list((folder / "run/.appion/scratch").iterdir()) == []


@pytest.fixture
def rng():
    """Another moment of death at each run; the seed is in the report of a failure."""
    seed = random.randrange(2**32)
    print("seed", seed)
    return random.Random(seed)


def test_P3_killed_with_its_workers_at_any_point_and_restarted(tmp_path, rng):
    for _ in range(4):
        daemon = start(tmp_path, 30, 0.1)
        before = len(readNotes(tmp_path))
        waitFor(lambda before=before: len(readNotes(tmp_path)) > before or len(count(tmp_path, "marker")) == 30)
        time.sleep(rng.uniform(0, 0.6))
        daemon.kill()
        daemon.communicate()
    code, out, err = finish(start(tmp_path, 30, 0.1))
    assert (code, out) == (0, "nothing is left to do\n"), err
    checkOnce(tmp_path, 30)


def test_workers_and_programs_die_with_the_daemon(tmp_path):
    daemon = start(tmp_path, 2, 300)
    waitFor(lambda: len([words for words in readNotes(tmp_path) if words[0] == "program"]) == 2)
    notes = readNotes(tmp_path)
    pids = [int(words[2]) for words in notes if words[0] == "start"]
    pids += [int(words[1]) for words in notes if words[0] == "program"]
    assert all(isRunning(pid) for pid in pids)
    daemon.kill()
    daemon.communicate()
    waitFor(lambda: not any(isRunning(pid) for pid in pids), timeout=600)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_waits_for_what_runs(tmp_path, number):
    daemon = start(tmp_path, 50, 0.4, "wait=1")
    waitFor(lambda: len(count(tmp_path, "marker")) >= 1)
    os.killpg(daemon.pid, number)  # as the terminal does: workers are hit, too
    code, out, err = finish(daemon)
    assert (code, out) == (0, "stopped\n"), err
    started, stored = count(tmp_path, "start"), count(tmp_path, "marker")
    assert started == stored
    assert len(stored) < 50
    status = json.loads((tmp_path / "run/.appion/status.json").read_text())
    assert status["state"] == "ended"
    assert status["counts"]["done"] == len(stored)


def test_after_a_signal_no_worker_begins_what_it_was_given_in_advance(tmp_path):
    """Two of four that were handed out run when the signal comes: they are waited for, the other two are not begun."""
    daemon = start(tmp_path, 9, 300, "wait=1")
    events = tmp_path / "run/.appion/events.jsonl"
    try:
        waitFor(lambda: sum(words[0] == "program" for words in readNotes(tmp_path)) == 2)
        waitFor(lambda: events.read_text().count('"submitted"') == 4)
        daemon.terminate()
        waitFor(lambda: events.read_text().count('"handed back"') == 2)
    except AssertionError:
        daemon.kill()
        raise
    for words in readNotes(tmp_path):
        if words[0] == "program":
            os.kill(int(words[1]), signal.SIGKILL)  # as if it was done: the stand-in does not ask how it ended
    code, out, err = finish(daemon)
    assert (code, out) == (0, "stopped\n"), err
    assert len(count(tmp_path, "start")) == 2
    assert count(tmp_path, "start") == count(tmp_path, "marker")
    counts = json.loads((tmp_path / "run/.appion/status.json").read_text())["counts"]
    assert (counts["done"], counts["running"], counts["queued"]) == (2, 0, 7)


def test_a_second_signal_stops_at_once(tmp_path):
    daemon = start(tmp_path, 13, 0.05, "wait=1", "hang=1")
    waitFor(lambda: len(count(tmp_path, "marker")) == 12)
    programs = [int(words[1]) for words in readNotes(tmp_path) if words[0] == "program"]
    daemon.terminate()
    time.sleep(0.5)
    assert daemon.poll() is None
    daemon.terminate()
    code, out, err = finish(daemon, timeout=600)
    assert code == 0, err
    assert "at once, 1 exposures given up" in out
    counts = json.loads((tmp_path / "run/.appion/status.json").read_text())["counts"]
    assert (counts["done"], counts["running"], counts["queued"]) == (12, 0, 1)
    waitFor(lambda: not any(isRunning(pid) for pid in programs))
    assert list((tmp_path / "run/.appion/scratch").iterdir()) == []


def test_a_second_daemon_is_refused(tmp_path):
    first = start(tmp_path, 1, 0.05, "wait=1")
    waitFor(lambda: len(count(tmp_path, "marker")) == 1)
    code, _, err = finish(start(tmp_path, 1, 0.05))
    assert code == 1  # the command of a step turns this error into exit code 2
    assert f"is already worked on by process {first.pid} on host {os.uname().nodename}" in err
    first.terminate()
    assert finish(first)[0] == 0
