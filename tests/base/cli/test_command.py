"""The command `appion` on run folders that the loop made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from appion.base.failures import ImageFailure, NotReady
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import takeRetryRequests
from appion.base.retrieve.status import findTrouble, readStatus
from appion.base.store.lock import acquireLock
from appion.base.store.status import saveStatus
from appion.cli import main

pytestmark = pytest.mark.usefixtures("fast", "inline")


@pytest.fixture
def ended(lab):
    """A run of five of which one is broken and one never comes; numbers 2 to 4 are fine."""

    def fail(image_id):
        if image_id == 1:
            reason, log = "motioncor2 ended with exit code 11", "line 1\nSegmentation fault"
            raise ImageFailure(reason, "look at the movie", "motioncor2 -InMrc a b", "gpu7", log)

    def missing(image_id):
        if image_id == 5:
            raise NotReady("/frames/img00005.mrc is missing")

    lab.add(*range(1, 6))
    lab.onCalc, lab.onReady = fail, missing
    runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=1))
    (lab.rundir / "img00002_st_Log.txt").write_text("log")
    return lab


def test_status_of_an_ended_run(ended, capsys):
    assert main(["status", str(ended.rundir)]) == 2
    out = capsys.readouterr().out
    assert out.startswith("NOT RUNNING: ended")
    assert "3 of 5 exposures done, 1 waiting, 1 set aside" in out
    assert "waiting: 1 x /frames/img00005.mrc is missing (e.g. image 5)" in out
    assert "failed: 1 x motioncor2 ended with exit code 11 [image]\n    -> look at the movie" in out
    assert "appion failures" in out
    assert main(["status", "--json", str(ended.rundir)]) == 2
    status = json.loads(capsys.readouterr().out)
    assert status["counts"]["done"] == 3
    assert status["running"] is False


def test_status_of_a_running_daemon(ended, capsys):
    status = readStatus(ended.rundir) | {"state": "running", "heartbeat": time.time()}
    with heldElsewhere(ended.rundir):
        saveStatus(ended.rundir, status)
        assert main(["status", str(ended.rundir)]) == 1
        assert "! 1 exposure failed for good" in capsys.readouterr().out
        status["counts"]["set aside"] = 0
        saveStatus(ended.rundir, status)
        assert main(["status", str(ended.rundir)]) == 0
        assert capsys.readouterr().out.startswith("WELL: running")
        saveStatus(ended.rundir, status | {"heartbeat": time.time() - 600})
        assert main(["status", str(ended.rundir)]) == 1
        assert "no sign of life for 10 min" in capsys.readouterr().out
    saveStatus(ended.rundir, status)  # as one that was killed leaves it
    assert main(["status", str(ended.rundir)]) == 2
    assert "said no goodbye" in capsys.readouterr().out
    saveStatus(ended.rundir, status | {"host": "elsewhere"})  # its lock may not be seen from here
    assert main(["status", str(ended.rundir)]) == 0


def heldElsewhere(rundir):
    """Another process that holds the lock; leave the context to end it."""
    program = "import sys\nfrom appion.base.store.lock import acquireLock\nlock = acquireLock(sys.argv[1])\n"
    program += "print('held', flush=True)\nsys.stdin.read()\n"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(rundir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_troubles_in_words(ended):
    status = readStatus(ended.rundir)
    outage = {"since": time.time(), "reason": "(2006, 'gone')", "next_try": 5}
    status |= {"database": outage, "paused": outage | {"since": None, "reason": "disk full"}, "workers_started": True}
    status["workers"]["in_sight"] = 0
    status |= {"falling_behind": True, "arriving_per_hour": 90.0, "rate_per_hour": 60.0, "unwritable": "No space"}
    text = "\n".join(findTrouble(status))
    for words in ("does not answer since", "disk full", "none of 1 workers", "90 exposures an hour come", "No space"):
        assert words in text


def test_failures_are_grouped_and_told_in_full(ended, capsys):
    assert main(["failures", str(ended.rundir)]) == 0
    out = capsys.readouterr().out
    for words in ("1 x motioncor2 ended with exit code 11  [image]", "-> look at the movie", "images: img00001 (1)",
                  "1 set aside", "on gpu7", "failures: 3",
                  "command: motioncor2 -InMrc a b", "| Segmentation fault"):  # fmt: skip
        assert words in out
    assert main(["failures", "--json", str(ended.rundir)]) == 0
    assert json.loads(capsys.readouterr().out)["failed"][0][0]["count"] == 3


def test_retry_of_a_run_that_is_not_running(ended, capsys):
    assert main(["retry", str(ended.rundir), "img00001"]) == 0
    assert main(["failures", str(ended.rundir)]) == 0
    assert "motioncor2" not in capsys.readouterr().out
    ended.onCalc = None
    runLoop(ended.step(), ended.rundir, LoopOptions(wait=False, workers=1))
    assert 1 in ended.stored


def test_retry_asks_a_running_daemon(ended, capsys):
    with heldElsewhere(ended.rundir):
        assert main(["retry", str(ended.rundir), "1"]) == 0
        assert main(["retry", str(ended.rundir)]) == 0
    assert takeRetryRequests(ended.rundir) == [{1}, None]
    assert main(["retry", str(ended.rundir), "2"]) == 2
    assert "2 is not among the failures" in capsys.readouterr().err


def test_explain_tells_the_whole_story(ended, capsys):
    assert main(["explain", str(ended.rundir), "img00001.mrc"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("img00001, image 1\n")
    assert [out.index(words) for words in ("submitted", "failed", "set aside", "Segmentation fault")] == sorted(
        out.index(words) for words in ("submitted", "failed", "set aside", "Segmentation fault")
    )
    assert main(["explain", str(ended.rundir), "2"]) == 0
    out = capsys.readouterr().out
    assert "stored" in out
    assert "img00002_st_Log.txt  3 bytes" in out
    assert main(["explain", str(ended.rundir), "77"]) == 2
    assert "knows nothing of image 77" in capsys.readouterr().err


def test_wrong_folders_and_versions(tmp_path, capsys):
    assert main(["status", str(tmp_path / "none")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    assert main(["failures", str(tmp_path)]) == 2
    assert "nothing ran there yet" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("appion ")


@pytest.mark.parametrize(("words", "error"), [
    ("statsu run1", "appion: error: unknown command 'statsu'; did you mean status?"),
    ("zebra", "appion: error: unknown command 'zebra'"),
    ("--verson", "appion: error: unknown option --verson; did you mean --version?"),
    ("status run1 --jsn", "appion status: error: unknown option --jsn; did you mean --json?"),
    ("status run1 run2", "appion status: error: unknown argument 'run2'"),
    ("doctor --sise", "appion doctor: error: unknown option --sise; did you mean --size?"),
    ("demo --exposure-time=2", "appion demo: error: unknown option --exposure-time; did you mean --exposures?"),
])  # fmt: skip
def test_the_nearest_command_or_option_is_named(capsys, words, error):
    with pytest.raises(SystemExit) as end:
        main(words.split())
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == error


def test_as_a_program_with_a_plain_terminal(ended):
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "appion.cli", "explain", str(ended.rundir), "img00001"]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with acquireLock(ended.rundir):
        command = [sys.executable, "-W", "error", "-m", "appion.cli", "status", str(ended.rundir)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 1
