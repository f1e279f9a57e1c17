"""Promises about file systems that go away and come back: real mounts, rights and names, and what the system says.

Nothing is held against an image, nothing is computed twice that had a record, nothing is made in what stands in the
place of the run folder, and no line or event is lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import dask.config
import pytest

from appion.base.cli.logs import closeLogging, setupLogging
from appion.base.failures import ImageFailure, InfrastructureFailure, NotReady, classifyException
from appion.base.records.belonging import Belonging, readBelonging
from appion.base.retrieve import access
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.settled import checkSettled
from appion.base.retrieve.status import judgeRun, readStatus
from appion.base.store.journal import saveResult
from appion.base.store.lock import acquireLock
from appion.base.store.logfile import MANY_LINES
from appion.base.store.scratch import workInScratch
from appion.base.workers.task import runTask, workInside
from appion.cli import main
from tests.base.fakes import Lab, fast, inline, lab
from tests.base.programs.disks import fillDisk, mountDisk
from tests.base.running import waitUntil
from tests.faults.test_daemon_kill import DAEMON, ROOT, checkOnce, count
from tests.faults.test_promises_files import BadDisk, checkAllDoneOnce, run, spoil

__all__ = ["fast", "inline", "lab"]

NOBODY = 65534

#: What file systems say while a ticket is over, a mount is gone, a server or its network is away, or locks are.
AWAY = [errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ESHUTDOWN, errno.ENOTCONN, errno.EREMOTEIO,
        errno.ENOLCK, errno.EIO, errno.ESTALE, errno.EPROTO, errno.ENODEV, errno.EBUSY, errno.EINVAL]  # fmt: skip


@contextlib.contextmanager
def asNobody():
    """The rest of the test without the rights of root, whom modes of files do not stop."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def place():
    """A folder that anybody may enter, and that belongs to nobody; pytest's own are root's."""
    folder = Path(tempfile.mkdtemp(prefix="appion-place-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def mountBare(folder):
    """Have another, empty file system in the place of a folder, as a mount point without its mount has none."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"nothing can be mounted: {done.stderr}")


def takeAway(way, rundir):
    {"not allowed": lambda: os.chmod(rundir.parent, 0), "not there": lambda: rundir.rename(f"{rundir}.away"),
     "bare mount point": lambda: mountBare(rundir)}[way]()  # fmt: skip


def bringBack(way, rundir):
    {"not allowed": lambda: os.chmod(rundir.parent, 0o755), "not there": lambda: Path(f"{rundir}.away").rename(rundir),
     "bare mount point": lambda: subprocess.run(["umount", "--lazy", rundir], check=True)}[way]()  # fmt: skip


@pytest.mark.usefixtures("fast", "inline")
@pytest.mark.parametrize("way", ["not allowed", "not there", "bare mount point"])
def test_P10_a_run_folder_that_goes_away_is_waited_for(place, caplog, way):
    """For real: rights are taken away, it is moved away, or its mount is gone and an empty folder is in its place."""
    rundir = place / "mount" / "run"
    with asNobody() if way != "bare mount point" else contextlib.nullcontext():
        rundir.mkdir(parents=True)
        lab, seen = Lab(rundir), {}
        lab.add(*range(1, 26))

        def bring():
            waitUntil(lambda: "does not answer, trying again" in caplog.text)
            seen["made"] = os.listdir(rundir) if way == "bare mount point" else []
            bringBack(way, rundir)

        helper = threading.Thread(target=bring, daemon=True)

        def leave(_image_id):
            if len(lab.computed) == 6:
                takeAway(way, rundir)
                helper.start()

        lab.onCalc = leave
        setupLogging(rundir, "fake", ["--words"])
        try:
            with dask.config.set({"appion.quit_after_idle": 0.5, "appion.backoff": 30, "appion.backoff_max": 1800}):
                summary = run(lab, wait=True)
        finally:
            closeLogging()
        helper.join()
        checkAllDoneOnce(lab, 25, summary)
        assert seen["made"] == []
        assert sorted(path.name for path in rundir.iterdir()) == [".appion", "fake.log", "logs"]
    again = Counter(lab.computed)
    assert sum(count - 1 for count in again.values()) <= 2 * 2, "only what was in flight is computed again"
    events = list(readEvents(rundir))
    assert Counter(event["image"] for event in events if event["what"] == "stored") == dict.fromkeys(range(1, 26), 1)
    assert {event["class"] for event in events if "class" in event} <= {"infrastructure"}
    assert [event["what"] for event in events if "away" in event.get("reason", "")][:1]
    log = (rundir / "fake.log").read_text()
    for words in ("--words", "is away", "the file system answers again", "ended: nothing to do"):
        assert words in log


@pytest.mark.usefixtures("fast", "inline")
@pytest.mark.parametrize("number", AWAY)
def test_P10_whatever_the_system_says_of_the_run_folder_no_image_is_blamed(lab, monkeypatch, number):
    """Every call on it fails for a while; with the back-off of a real run one that was blamed would be missing."""
    lab.add(*range(1, 26))
    run(lab, limit=3)
    disk = BadDisk(monkeypatch, lab.rundir, number)

    def leave(_image_id):
        if len(lab.computed) == 8:
            spoil(disk, 1.0, 0.5)

    lab.onCalc = leave
    with dask.config.set({"appion.quit_after_idle": 0.5, "appion.backoff": 30}):
        summary = run(lab, wait=True)
    assert disk.failed
    checkAllDoneOnce(lab, 25, summary)
    assert {event["class"] for event in readEvents(lab.rundir) if "class" in event} <= {"infrastructure"}


@pytest.mark.parametrize("number", AWAY)
def test_the_path_is_the_evidence(tmp_path, number):
    """The same number is an image's fault only if it is about its own file and the folder of that is there."""
    error = OSError(number, os.strerror(number), str(tmp_path / "movie.mrc"))
    assert classifyException(error).kind == "infrastructure"
    assert access.judgeAccess(str(tmp_path / "gone" / "movie.mrc"), error).kind == "infrastructure"
    kind = access.judgeAccess(str(tmp_path / "movie.mrc"), error).kind
    of_file = {errno.ENOENT: "not ready", errno.ENOTDIR: "not ready", errno.EACCES: "image", errno.EPERM: "image",
               errno.EINVAL: "image"}  # fmt: skip
    assert kind == of_file.get(number, "infrastructure")


def test_a_movie_that_may_not_be_read(place):
    """Its own rights are its own; those of its folder, and all that is above, are the host's."""
    movie = place / "frames" / "movie.mrc"
    with asNobody():
        movie.parent.mkdir()
        movie.write_bytes(b"0" * 2000)
        movie.chmod(0)
        with pytest.raises(ImageFailure, match=r"movie\.mrc cannot be read, although its folder can: Perm"):
            readMovieHeader(movie)
        movie.parent.chmod(0)
        for look in (readMovieHeader, lambda path: checkSettled(str(path), 1.0)):
            with pytest.raises(InfrastructureFailure, match=f"cannot be reached: {movie.parent}: Permission denied"):
                look(movie)
        movie.parent.chmod(0o755)


def test_folders_that_are_away_are_asked_once(tmp_path, monkeypatch):
    """Not once for each movie that waits in them: a server that is away answers slowly."""
    asked = Counter()
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, *args, **kw: (asked.update([str(path)]), real(path, *args, **kw))[1])
    for number in range(500):
        with pytest.raises(NotReady, match="is not there, nor is its folder"):
            checkSettled(str(tmp_path / "gone" / f"{number}.mrc"), 1.0)
        assert not access.isFile(str(tmp_path / "gone" / f"{number}.tif"))
    assert sum(count for path, count in asked.items() if "gone" in path) == 2  # the first movie, and its folder
    (tmp_path / "gone").mkdir()
    waitUntil(lambda: access.askFolder(str(tmp_path / "gone")) is None)
    with pytest.raises(NotReady, match=r"0\.mrc is not there \("):
        checkSettled(str(tmp_path / "gone" / "0.mrc"), 1.0)


def test_a_worker_makes_nothing_in_another_run_folder(tmp_path):
    """It is told by which word the daemon's own is known, and asks for it before and after it computes."""
    rundir = tmp_path / "run"
    with acquireLock(rundir) as lock:
        told = lock.belonging
    assert runTask(lambda params: workInside(told, str, params), 1).result == "1"

    def leave(_params):
        rundir.rename(tmp_path / "away")
        rundir.mkdir()
        saveResult(rundir, 1, {})

    outcome = runTask(lambda params: workInside(told, leave, params), 1)
    assert outcome.failure.kind == "infrastructure"
    assert outcome.failure.reason == f"the run folder {rundir} is away: there is no .appion/lock in it"
    assert os.listdir(rundir) == []
    acquireLock(rundir).release()  # of somebody else
    assert readBelonging(rundir) != told
    outcome = runTask(lambda params: workInside(told, str, params), 1)
    assert outcome.failure.reason.endswith("is away: another folder is in its place")
    with pytest.raises(InfrastructureFailure):
        Belonging(str(tmp_path / "nowhere"), "").check()
    assert not (tmp_path / "nowhere").exists()


def test_the_lock_is_known_again_after_a_new_mount(tmp_path):
    """By its word, as another mount gives its file another number; then that file is the one that is locked."""
    rundir = tmp_path / "run"
    with acquireLock(rundir) as lock:
        lock.check()
        rundir.rename(tmp_path / "before")
        with pytest.raises(InfrastructureFailure, match=r"there is no \.appion/lock in it"):
            lock.check()
        shutil.copytree(tmp_path / "before", rundir)
        lock.check()
        probe = "import sys; from appion.base.store.lock import acquireLock; acquireLock(sys.argv[1], 0.1)"
        done = subprocess.run([sys.executable, "-c", probe, str(rundir)], capture_output=True, text=True, timeout=600)
        assert f"is already worked on by process {os.getpid()}" in done.stderr
        shutil.rmtree(rundir)
        acquireLock(rundir).release()
        with pytest.raises(InfrastructureFailure, match="another folder is in its place"):
            lock.check()


def test_scratch_that_is_away_or_full_is_the_hosts(tmp_path, place):
    def work(root):
        with workInScratch(root, 1) as folder:
            (folder / "sum.mrc").write_bytes(bytes(2**20))

    with asNobody():
        (place / "scratch").mkdir(mode=0)
        with pytest.raises(InfrastructureFailure, match="Permission denied"):
            work(place / "scratch" / "appion")
    with pytest.raises(InfrastructureFailure, match="No such file"):  # no run folder is made for it
        work(tmp_path / "run" / ".appion" / "scratch")
    with mountDisk(tmp_path / "disk", 1) as disk, pytest.raises(InfrastructureFailure, match="No space left"):
        work(disk)


@pytest.mark.usefixtures("fast", "inline")
def test_P10_a_full_run_folder_is_told_of_once_and_by_status(place, capsys):
    """Completely full, not one byte left: what was said before is not repeated, and status asks lock and disk."""
    with mountDisk(place / "run", 12) as rundir:
        lab = Lab(rundir)
        lab.add(*range(1, 31))
        run(lab, limit=2)
        turns = []

        def fill(_image_id):
            if len(lab.computed) == 6:
                fillDisk(rundir)

        def watch():
            if not turns and not (rundir / "filler").exists():
                return
            turns.append(len(turns))
            if len(turns) == 30:
                (rundir / "filler").unlink()
            lab.over = len(turns) > 30 and len(lab.stored) == 30

        lab.onCalc, lab.onPoll = fill, watch
        setupLogging(rundir, "fake")
        try:
            with dask.config.set({"appion.quit_after_session": 1, "appion.log_interval": 0}):
                summary = run(lab, wait=True)
        finally:
            closeLogging()
        checkAllDoneOnce(lab, 30, summary)
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert len(re.findall("fake.log cannot be written: No space left on device", said)) <= 2
        assert len(re.findall("cannot write", said)) <= 4
        stored = Counter(event["image"] for event in readEvents(rundir) if event["what"] == "stored")
        assert stored == dict.fromkeys(range(1, 31), 1)
        assert readStatus(rundir).get("unwritable") is None


def test_P10_real_workers_on_a_mount_that_is_gone_and_on_a_disk_that_is_full(tmp_path, capsys):
    """Nothing is made on the bare mount point, what was computed is not computed again, and little is said."""
    rundir, said = tmp_path / "run", tmp_path / "said"
    with mountDisk(rundir, 16), open(said, "w") as err:
        command = [sys.executable, str(DAEMON), str(tmp_path), "30", "0.1", "wait=1"]
        env = os.environ | {"PYTHONPATH": str(ROOT), "DASK_APPION__QUIT_AFTER_IDLE": "1"}
        daemon = subprocess.Popen(command, stdout=err, stderr=err, env=env)
        try:
            waitUntil(lambda: len(count(tmp_path, "marker")) >= 5)
            mountBare(rundir)
            waitUntil(lambda: "does not answer, trying again: the run folder" in said.read_text())
            made = os.listdir(rundir)
            subprocess.run(["umount", "--lazy", rundir], check=True)
            waitUntil(lambda: len(count(tmp_path, "marker")) >= 12)
            fillDisk(rundir)
            waitUntil(lambda: "No space left" in said.read_text())
            assert main(["status", str(rundir)]) == 1
            assert capsys.readouterr().out.startswith(f"TROUBLE: the disk of {rundir} is full: ")
            (rundir / "filler").unlink()
            assert daemon.wait(600) == 0, said.read_text()
        finally:
            daemon.kill()
            daemon.wait()
        checkOnce(tmp_path, 30)
        assert made == []
        assert not any(attempt.count for attempt in readAttempts(rundir).values())
        assert "the worker died" not in said.read_text()
        assert len(said.read_text().splitlines()) < 60, said.read_text()


def test_status_of_a_full_disk(tmp_path, capsys):
    """A daemon that cannot write a status is there all the same, and one of an earlier daemon is not its own."""
    from tests.base.cli.test_command import heldElsewhere

    with mountDisk(tmp_path / "run", 4) as rundir:
        with heldElsewhere(rundir) as holder:
            fillDisk(rundir)
            assert main(["status", str(rundir)]) == 1
            first, second = capsys.readouterr().out.splitlines()
            assert first == f"TROUBLE: the disk of {rundir} is full: 0.0 MB of 4 MB are free"
            assert f"process {holder.pid} on " in second
            assert "it has written no status so far" in second
            assert main(["status", "--json", str(rundir)]) == 1
            assert '"running": true' in capsys.readouterr().out
        assert main(["status", str(rundir)]) == 2
        assert f"the disk of {rundir} is full" in capsys.readouterr().err


def test_status_of_a_folder_that_may_not_be_read(place, capsys):
    with asNobody():
        (place / "run").mkdir(mode=0)
        assert main(["status", str(place / "run")]) == 2
        said = capsys.readouterr().err
    assert said.startswith(f"appion status: {place}/run/.appion/status.json: Permission denied")


@pytest.mark.usefixtures("fast", "inline")
def test_status_of_an_earlier_daemon_is_not_that_of_this_one(lab, capsys):
    from tests.base.cli.test_command import heldElsewhere

    lab.add(1)
    run(lab)
    with heldElsewhere(lab.rundir) as holder:
        assert main(["status", str(lab.rundir)]) == 0
        out = capsys.readouterr().out
        assert out.startswith("WELL: starting\n")
        assert f"process {holder.pid} on {os.uname().nodename} holds the run" in out
        assert "what follows is of the one before" in out
        lock = lab.rundir / ".appion" / "lock"
        lock.write_text(re.sub(r'"since": [\d.]+', '"since": 1.0e9', lock.read_text()))
        status = lab.rundir / ".appion" / "status.json"
        status.write_text(re.sub(r'"heartbeat": [\d.]+', '"heartbeat": 0.9e9', status.read_text()))
        assert judgeRun(lab.rundir).exit_code == 1
        assert main(["status", str(lab.rundir)]) == 1
        assert "and has not been able to write a status" in capsys.readouterr().out


def test_a_log_on_a_full_disk_says_how_many_lines_were_lost(tmp_path, capsys):
    import logging

    with mountDisk(tmp_path / "disk", 1) as disk:
        setupLogging(disk, "fake", quiet=True)
        logger = logging.getLogger("appion.trial")
        try:
            fillDisk(disk)
            for number in range(MANY_LINES + 100):
                logger.info("line %d, and as much as fills a page of the disk", number)
            assert capsys.readouterr().err.count("\n") == 1
            (disk / "filler").unlink()
            logger.info("the last")
        finally:
            closeLogging()
        said, lines = capsys.readouterr().err, (disk / "fake.log").read_text().splitlines()
    lost = int(re.search(r"\(No space left on device\): (\d+) lines were lost", said)[1])
    numbers = [int(found[1]) for line in lines if (found := re.search(r"line (\d+),", line))]
    assert lost > 0
    assert len(numbers) == MANY_LINES + 100 - lost
    assert numbers == sorted(set(numbers))
    assert "the last" in lines[-2]
    assert f"{lost} lines were lost" in lines[-1]
