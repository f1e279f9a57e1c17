"""P9, P13 and P14: raw files that come late or in pieces, one daemon for each run, and an end that is always clean."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter

import dask.config
import pytest

from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.settled import checkSettled
from appion.base.retrieve.status import readStatus
from appion.base.store.lock import acquireLock
from tests.base.fakes import fast, inline, lab

__all__ = ["fast", "inline", "lab"]

SIDE, FRAMES = 32, 4
MOVIE = struct.pack("<4i", SIDE, SIDE, FRAMES, 2).ljust(208, b"\0") + b"MAP " + b"\x44\x44\0\0"
MOVIE = MOVIE.ljust(1024, b"\0") + bytes(SIDE * SIDE * FRAMES * 4)


def run(lab, **options):
    return runLoop(
        lab.step(), lab.rundir, LoopOptions(**{"wait": False, "workers": 2} | options),
        isDatabaseAway=lambda _: False, reconnect=lambda: None,
    )  # fmt: skip


def writeSlowly(path, pieces=12, pause=0.08):
    """Append piece by piece."""
    size = -(-len(MOVIE) // pieces)
    for start in range(0, len(MOVIE), size):
        with open(path, "ab") as file:
            file.write(MOVIE[start : start + size])
        time.sleep(pause)


def writeTwice(path):
    """Write half, remove it, write it again from the start."""
    path.write_bytes(MOVIE[: len(MOVIE) // 2])
    time.sleep(0.5)
    path.unlink()
    time.sleep(0.3)
    writeSlowly(path, 5)


def cutAndMend(path):
    """A truncated copy that stands still for a while before a whole one replaces it."""
    path.write_bytes(MOVIE[:-100])
    time.sleep(1.0)
    path.with_suffix(".part").write_bytes(MOVIE)
    path.with_suffix(".part").rename(path)


@pytest.mark.usefixtures("fast", "inline")
def test_P9_partial_and_late_files_cost_no_attempt(lab, tmp_path):
    writers = {1: writeSlowly, 2: writeTwice, 3: cutAndMend, 4: lambda path: path.write_bytes(MOVIE)}
    paths = {image_id: tmp_path / f"img{image_id:05d}.frames.mrc" for image_id in writers}
    lab.add(*writers)
    sizes = {}

    def look(image_id):
        checkSettled(str(paths[image_id]), 0.2)
        readMovieHeader(str(paths[image_id]))

    lab.onReady = look
    lab.onCalc = lambda image_id: sizes.update({image_id: paths[image_id].stat().st_size})
    threads = [threading.Thread(target=write, args=(paths[image_id],)) for image_id, write in writers.items()]
    for thread in threads:
        thread.start()
    with dask.config.set({"appion.nowait_patience": 300}):
        summary = run(lab)
    for thread in threads:
        thread.join()
    assert summary.counts["done"] == 4
    assert Counter(lab.computed) == dict.fromkeys(writers, 1)
    assert set(sizes.values()) == {len(MOVIE)}
    assert readAttempts(lab.rundir) == {}
    assert not {"failed", "set aside"} & {event["what"] for event in readEvents(lab.rundir)}


def test_P13_a_second_daemon_ends_at_once_and_names_the_first(tmp_path):
    (tmp_path / ".appion").mkdir()
    script = "import sys; from appion.base.store.lock import acquireLock; acquireLock(sys.argv[1])"
    with acquireLock(tmp_path):
        command = [sys.executable, "-c", script, str(tmp_path)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert second.returncode != 0
        assert f"process {os.getpid()} on host {os.uname().nodename}" in second.stderr
    assert subprocess.run(command, timeout=600).returncode == 0


@pytest.mark.usefixtures("fast", "inline")
@pytest.mark.parametrize("point", range(20))
def test_P14_sigterm_at_any_point_ends_cleanly_and_the_next_start_completes_it(lab, point):
    """The signal comes during the n-th thing that the step is asked to do: a poll, parameters, computing, storing."""
    lab.add(*range(1, 9))
    things = []

    def thing(*_):
        things.append(1)
        if len(things) == 1 + 2 * point:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGCONT)  # says nothing to the daemon

    lab.onPoll = lab.onParams = lab.onReady = lab.onCalc = lab.onStore = thing
    assert run(lab, wait=True, workers=1).why == "stopped"
    status = readStatus(lab.rundir)
    assert status["state"] == "ended"
    assert status["counts"]["running"] == status["counts"]["storing"] == 0, "what ran was waited for, and stored"
    assert status["counts"]["done"] == len(lab.stored) == len(lab.computed)
    assert readLockHolder(lab.rundir) is None
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    run(lab)
    assert Counter(lab.computed) == dict.fromkeys(range(1, 9), 1)
    assert set(lab.stored) == set(range(1, 9))
    assert retrieveResultIds(lab.rundir) == []
