"""Promises about disks and clocks: full, hiccuping, set wrong. Nothing is lost and no image is blamed."""

from __future__ import annotations

import builtins
import errno
import io
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import dask.config
import pytest

from appion.base.failures import ImageFailure
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.status import findTrouble, readStatus
from appion.base.store.attempts import saveRetryRequest
from appion.base.store.scratch import workInScratch
from tests.base.fakes import fast, inline, lab
from tests.base.running import stopWhen

__all__ = ["fast", "inline", "lab"]

#: What touches a file system, and where in the arguments the paths are.
CALLS = {"stat": 1, "statvfs": 1, "open": 1, "replace": 2, "rename": 2, "link": 2, "unlink": 1, "mkdir": 1, "rmdir": 1,
         "scandir": 1, "listdir": 1, "fsync": 0}  # fmt: skip


class BadDisk:
    """Makes file systems fail: each call on a path below `folder` raises `number` as often as `chance` says.

    Reading and looking is left alone where only writing is to fail, as on a full disk.
    """

    READING = frozenset({"stat", "statvfs", "scandir", "listdir", "unlink", "rmdir"})

    def __init__(self, monkeypatch, folder, number, reading=True, seed=1):
        self.folder, self.number, self.chance, self.reading = os.fspath(folder), number, 0.0, reading
        self.random, self.failed = random.Random(seed), Counter()
        for name, paths in CALLS.items():
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name), name, paths))
        for module in (builtins, io):
            monkeypatch.setattr(module, "open", self.wrap(open, "open", 1))

    def wrap(self, function, name, paths):
        def call(*args, **kwargs):
            mine = [one for one in args[:paths] if isinstance(one, (str, Path)) and self.isMine(one)]
            writing = name == "open" and any(letter in str(args[1:2] or kwargs.get("mode", "")) for letter in "wax+")
            harmless = not self.reading and (name in self.READING or (name == "open" and not writing))
            if mine and not harmless and self.random.random() < self.chance:
                self.failed[name] += 1
                raise OSError(self.number, os.strerror(self.number), str(mine[0]))
            return function(*args, **kwargs)

        return call

    def isMine(self, path):
        path = os.fspath(path)
        return path == self.folder or path.startswith(self.folder + "/")


def run(lab, onStart=None, **options):
    step = lab.step()
    if onStart:
        step = replace(step, retrieveDone=lambda: onStart() or set(lab.stored))
    return runLoop(
        step, lab.rundir, LoopOptions(**{"wait": False, "workers": 2} | options),
        isDatabaseAway=lambda _: False, reconnect=lambda: None,
    )  # fmt: skip


def checkAllDoneOnce(lab, number, summary):
    assert set(lab.stored) == set(range(1, number + 1))
    assert summary.counts["done"] == summary.total == number
    assert retrieveResultIds(lab.rundir) == []
    assert not any(attempt.count for attempt in readAttempts(lab.rundir).values())


def spoil(disk, chance, seconds):
    """Let the disk be bad for a while; only the first call counts."""
    if not disk.failed and not disk.chance:
        disk.chance = chance
        threading.Timer(seconds, setattr, (disk, "chance", 0.0)).start()


@pytest.mark.usefixtures("fast", "inline")
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_P10_file_server_hiccups_are_waited_out(lab, monkeypatch, number, seed):
    """Any call on the run folder may fail, one in ten or nearly all of them, for a second."""
    lab.add(*range(1, 41))
    run(lab, limit=3)  # the run folder exists
    saveRetryRequest(lab.rundir, [7])
    disk = BadDisk(monkeypatch, lab.rundir / ".appion", number, seed=seed)
    # It is tried a hundred times a second here: ten times in vain are nothing, while others get through by chance.
    with dask.config.set({"appion.quit_after_idle": 0.5, "appion.infrastructure_attempts": 1000}):
        summary = run(lab, lambda: spoil(disk, (0.1, 0.9)[seed % 2], 1.0), wait=True)
    assert disk.failed
    disk.chance = 0.0
    checkAllDoneOnce(lab, 40, summary)
    stored = Counter(event["image"] for event in readEvents(lab.rundir) if event["what"] == "stored")
    assert stored == dict.fromkeys(range(1, 41), 1), "events of the bad time are told later"
    assert not list((lab.rundir / ".appion" / "retry").glob("*"))


@pytest.mark.usefixtures("fast", "inline")
def test_P10_full_run_folder_pauses_explains_and_resumes(lab, monkeypatch):
    """Nothing can be written below the run folder: neither records nor events; what is in memory is not lost."""
    lab.add(*range(1, 21))
    run(lab, limit=2)
    disk = BadDisk(monkeypatch, lab.rundir, errno.ENOSPC, reading=False)
    computed = Counter(lab.computed)

    def fill(image_id):
        computed[image_id] += 1
        if sum(computed.values()) == 6:
            spoil(disk, 1.0, 1.0)

    lab.onCalc = fill
    with dask.config.set({"appion.quit_after_idle": 0.5}):
        summary = run(lab, wait=True)
    assert disk.failed["open"]
    checkAllDoneOnce(lab, 20, summary)
    told = [event for event in readEvents(lab.rundir) if event["what"] in ("failed", "paused")]
    assert all("No space left" in event["reason"] for event in told)
    stored = Counter(event["image"] for event in readEvents(lab.rundir) if event["what"] == "stored")
    assert stored == dict.fromkeys(range(1, 21), 1)
    assert readStatus(lab.rundir).get("unwritable") is None


@pytest.mark.usefixtures("fast", "inline")
def test_P10_full_session_folder_keeps_results_and_says_since_when(lab):
    """Storing fails until there is room; results wait in the journal, nothing is computed again."""
    lab.add(*range(1, 9))
    seen = []

    def full(_image_id):
        status = readStatus(lab.rundir)
        if status.get("storing"):
            seen.append((status["storing"], findTrouble(status)))
        if len(seen) < 3:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/rawdata/a.mrc")

    lab.onStore = full
    before = time.time()
    with dask.config.set({"appion.status_interval": 0}):
        summary = run(lab)
    checkAllDoneOnce(lab, 8, summary)
    assert len(lab.computed) == 8
    outage, trouble = seen[-1]
    assert before - 1 <= outage["since"] <= time.time()
    assert any("results cannot be stored (they are kept) since" in line and "No space" in line for line in trouble)


@pytest.mark.usefixtures("fast", "inline")
def test_P10_full_scratch_is_tried_again_and_blames_no_image(lab, tmp_path):
    """A file of a program does not fit: a real limit of the operating system, in the worker, for the first tries."""
    lab.add(*range(1, 6))
    tries = Counter()
    scratch = tmp_path / "scratch"

    def work(image_id):
        tries[image_id] += 1
        with workInScratch(scratch, image_id) as folder:
            if tries[image_id] <= 2:
                (folder / "sum.mrc").symlink_to("/dev/full")
            with open(folder / "sum.mrc", "wb") as file:
                file.write(b"0" * 100_000)

    lab.onCalc = work
    summary = run(lab)
    checkAllDoneOnce(lab, 5, summary)
    assert set(tries.values()) == {3}
    assert list(scratch.iterdir()) == []
    reasons = {event["reason"] for event in readEvents(lab.rundir) if event["what"] == "failed"}
    assert reasons == {"OSError: [Errno 28] No space left on device"}


def test_P10_file_size_limit_of_the_daemon_does_not_end_it(tmp_path):
    """A limit on file sizes (RLIMIT_FSIZE) stops the event log from growing; the exposures are done all the same."""
    from tests.faults.test_daemon_kill import DAEMON, ROOT, checkOnce

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))

    command = [sys.executable, str(DAEMON), str(tmp_path), "60", "0.01"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600,
        preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    checkOnce(tmp_path, 60)
    assert "cannot write events" in done.stderr


class Clock:
    """The wall clock of this process, which somebody sets."""

    def __init__(self, monkeypatch):
        self.offset, self._time = 0.0, time.time
        monkeypatch.setattr(time, "time", lambda: self._time() + self.offset)


def isHeldUp(lab):
    """Whether a daemon runs and has nothing to do but to wait until it may try again."""
    status = readStatus(lab.rundir)
    done, failed = status["counts"]["done"], status["counts"]["backing off"]
    return status["state"] == "running" and status["total"] == done + failed


@pytest.mark.usefixtures("fast", "inline")
@pytest.mark.parametrize("hours", [2, -2])
@pytest.mark.parametrize("when", ["while it runs", "between two runs"])
def test_P17_clock_set_by_two_hours_delays_nothing(lab, monkeypatch, hours, when):
    """Retries, pauses and waits go on as if nothing had happened, and numbers stay what they are."""
    lab.add(*range(1, 31))
    clock, tries = Clock(monkeypatch), Counter()

    def fail(image_id):
        tries[image_id] += 1
        if image_id % 3 == 0 and tries[image_id] == 1:
            raise ImageFailure("try again")
        if len(lab.computed) == 12 and when == "while it runs":
            clock.offset = hours * 3600

    lab.onCalc = fail
    if when == "between two runs":
        run(lab, limit=9)
        with dask.config.set({"appion.backoff": 30, "appion.backoff_max": 60, "appion.nowait_patience": 0}):
            stopWhen(lambda: isHeldUp(lab))
            run(lab)  # what fails waits for half a minute
        clock.offset = hours * 3600
    with dask.config.set({"appion.backoff_max": 0.05}):
        begin = time.monotonic()
        summary = run(lab)
        assert time.monotonic() - begin < 300  # not the hours by which the clock was set
    checkAllDoneOnce(lab, 30, summary)
    status = readStatus(lab.rundir)
    assert status["behind"] == {"count": 0, "minutes": 0.0}
    assert 0 <= (status["seconds_per_exposure"] or 0) < 60
    assert all(number is None or number >= 0 for number in (status["rate_per_hour"], status["arriving_per_hour"]))
    assert abs(status["heartbeat"] - time.time()) < 60
