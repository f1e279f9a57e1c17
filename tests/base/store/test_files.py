"""Whole files, the journal, events, the lock and scratch folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.records.process import readStartTime
from appion.base.records.runfolder import (
    attemptsPath,
    eventsPath,
    formerAttemptsPath,
    journalPath,
    lockPath,
    retryFolder,
)
from appion.base.retrieve.attempts import readAttempts, takeRetryRequests
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import UnreadableRecord, readResult, readResults
from appion.base.retrieve.lock import readLockHolder
from appion.base.store.attempts import saveRetryRequest
from appion.base.store.events import saveEvents
from appion.base.store.files import placeFile, removeTemporaries, writeAtomically
from appion.base.store.journal import removeResult, saveResult, setResultAside
from appion.base.store.lock import acquireLock
from appion.base.store.scratch import (
    OWNER,
    calcScratchRoot,
    cleanEndedJobs,
    cleanScratch,
    makeScratch,
    workInScratch,
)


@pytest.fixture
def rundir(tmp_path):
    (tmp_path / ".appion").mkdir()
    return tmp_path


def test_temporary_files_of_the_dead_are_removed_and_those_of_others_kept(tmp_path):
    host = os.uname().nodename.split(".")[0]
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    dead = tmp_path / f".7.json.{host}-{done.pid}-139-4.tmp"
    kept = [tmp_path / name for name in (f".7.json.{host}-{os.getpid()}-139-4.tmp", ".7.json.node9-12-139-4.tmp",
                                         f"7.json.{host}-{done.pid}-139-4.tmp", ".7.tmp", "7.json")]  # fmt: skip
    for path in (dead, *kept):
        path.touch()
    removeTemporaries(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    removeTemporaries(tmp_path / "gone")


def test_writing_replaces_the_whole_file_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    writeAtomically(path, "Å")
    assert path.read_text(encoding="utf-8") == "Å"

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        writeAtomically(path, b"new")
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("linking", [True, False])
def test_placing_never_overwrites_and_can_be_repeated(tmp_path, monkeypatch, linking):
    source, target, other = tmp_path / "s", tmp_path / "t", tmp_path / "o"
    source.write_bytes(b"sum" * 1000)
    other.write_bytes(b"another's")
    if not linking:

        def fail(*_):
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", fail)
    for _ in range(2):
        placeFile(source, target)
        assert target.read_bytes() == source.read_bytes()
    with pytest.raises(FileExistsError, match="it is kept"):
        placeFile(source, other)
    assert other.read_bytes() == b"another's"
    with pytest.raises(FileNotFoundError):
        placeFile(tmp_path / "nothing", tmp_path / "new")
    assert sorted(os.listdir(tmp_path)) == ["o", "s", "t"]
    assert os.path.samefile(source, target) == linking


def test_journal_keeps_replaces_and_sets_aside(rundir):
    saveResult(rundir, 5, {"a": 1})
    saveResult(rundir, 5, {"a": 2})
    saveResult(rundir, 7, {})
    journalPath(rundir, 6).write_text("[1]")
    found = dict(readResults(rundir))
    assert found[5] == {"a": 2}
    assert isinstance(found[6], UnreadableRecord)
    assert setResultAside(rundir, 6).name == "6.json.bad"
    half, other = (journalPath(rundir, one).parent / f".{one}.json.node9-12-139-4.tmp" for one in (5, 55))
    half.touch()  # of a worker that was killed while it wrote
    other.touch()
    removeResult(rundir, 5)
    removeResult(rundir, 5)
    assert readResult(rundir, 5) is None
    assert (half.exists(), other.exists()) == (False, True)
    assert [image_id for image_id, _ in readResults(rundir)] == [7]


def test_events_survive_a_torn_line(rundir):
    assert list(readEvents(rundir)) == []
    saveEvents(rundir, [{"image": 1, "what": "submitted", "reason": ""}])
    with open(eventsPath(rundir), "a") as file:
        file.write('{"image": 1, "wh')
    saveEvents(rundir, [{"image": 1, "what": "stored"}, {"image": 11, "what": "stored"}])
    assert list(readEvents(rundir, 1)) == [{"image": 1, "what": "submitted"}, {"image": 1, "what": "stored"}]
    assert len(list(readEvents(rundir))) == 3


def test_broken_attempts_file_is_an_error_that_says_so(rundir):
    for path, texts in (
        (formerAttemptsPath(rundir), ("{", "[]", '{"1": {"image_id": 1}}')),
        (attemptsPath(rundir), ("[]", "MOTION", '{"1": {"image_id": 1}}', '{"image_id": 1, "more": 2}', "\x7fELF")),
    ):
        for text in texts:
            path.write_text(text)
            with pytest.raises(ConfigurationFailure, match=rf"{path.name} cannot be read.*move it away"):
                readAttempts(rundir)


def test_retry_requests_are_taken_once(rundir):
    saveRetryRequest(rundir, {3, 1})
    saveRetryRequest(rundir, None)
    (retryFolder(rundir) / "broken.json").write_text("{")
    assert takeRetryRequests(rundir) == [{1, 3}, None]
    assert takeRetryRequests(rundir) == []


def test_lock_names_its_holder_and_a_stale_file_means_nothing(rundir):
    lockPath(rundir).write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": 0}))
    assert readLockHolder(rundir) is None
    program = (
        "import sys, time\nfrom appion.base.store.lock import acquireLock\n"
        "lock = acquireLock(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(rundir)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert readLockHolder(rundir)["pid"] == holder.pid
        with pytest.raises(ConfigurationFailure, match=f"process {holder.pid} on host {os.uname().nodename} since 20"):
            acquireLock(rundir, patience=0.2)
        holder.kill()
    assert readLockHolder(rundir) is None
    with acquireLock(rundir):
        pass


def test_looking_at_the_lock_does_not_keep_a_daemon_out(rundir):
    acquireLock(rundir).release()
    for _ in range(50):
        assert readLockHolder(rundir) is None
        acquireLock(rundir).release()


def test_scratch_folder_names(tmp_path):
    root = calcScratchRoot("/data/m25.mrc/run1", tmp_path)
    assert root.parent == tmp_path
    assert ".mrc" not in root.name
    assert calcScratchRoot("/data/run1").parts[-2:] == (".appion", "scratch")
    one, two = makeScratch(root, 12), makeScratch(root, 12)
    assert one != two
    assert one.name.startswith("12-")
    assert json.loads((one / OWNER).read_text())["pid"] == os.getpid()
    assert cleanScratch(root) == []  # both are in use by this process


LEFT_OVER = """
import subprocess, sys, time
from pathlib import Path
from appion.base.store.scratch import makeScratch, saveOwner
scratch = makeScratch(Path(sys.argv[1]), 7)
program = subprocess.Popen(["sh", "-c", "sleep 300 & echo $! > child; wait"], cwd=scratch, start_new_session=True,
                           stdout=subprocess.DEVNULL)
saveOwner(scratch, program.pid)
while not (scratch / "child").exists() or not (scratch / "child").read_text():
    time.sleep(0.01)
print(program.pid, (scratch / "child").read_text().strip(), flush=True)
"""


@pytest.mark.parametrize("leader_first", [False, True])
def test_left_over_programs_are_ended_with_their_children(tmp_path, leader_first):
    done = subprocess.run([sys.executable, "-c", LEFT_OVER, str(tmp_path)], stdout=subprocess.PIPE, check=True)
    leader, child = map(int, done.stdout.split())
    if leader_first:
        os.kill(leader, 9)
    lines = cleanScratch(tmp_path)
    assert len(lines) == 1
    assert "ended its program" in lines[0]
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + 600
    while isAlive(child) or isAlive(leader):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def isAlive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_folders_of_jobs_that_have_ended_are_removed_whatever_their_host(tmp_path, monkeypatch):
    kept = [makeScratch(tmp_path, 1)]
    for job in ("7", "8"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        kept.append(makeScratch(tmp_path, 1))
    assert len(cleanEndedJobs(tmp_path, {"8"})) == 1
    assert [folder.exists() for folder in kept] == [True, False, True]


def test_what_a_killed_job_left_on_its_node_is_removed_by_the_next_one(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-c", LEFT_OVER, str(tmp_path)], stdout=subprocess.PIPE, check=True)
    (left,) = tmp_path.iterdir()
    program = json.loads((left / OWNER).read_text())["program"]
    container = makeScratch(tmp_path, 2)
    owner = json.loads((left / OWNER).read_text())
    (container / OWNER).write_text(json.dumps(owner | {"namespace": "pid:[1]", "program": None}))
    mine, bare = makeScratch(tmp_path, 3), tmp_path / "4-elsewhere-5-6"
    bare.mkdir()
    with workInScratch(tmp_path, 5):
        assert left.exists(), "nobody but a job cleans up after others"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with workInScratch(tmp_path, 5):
        assert set(tmp_path.glob("[1-4]-*")) == {container, mine, bare}
    assert not isAlive(program)


def test_a_process_that_got_the_same_id_later_is_spared(tmp_path):
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        scratch = makeScratch(tmp_path, 1)
        owner = {"host": os.uname().nodename, "pid": 2**22 - 7, "started": 5, "program": stranger.pid}
        owner["program_started"] = readStartTime(stranger.pid) - 1
        (scratch / OWNER).write_text(json.dumps(owner))
        elsewhere = makeScratch(tmp_path, 2)
        (elsewhere / OWNER).write_text(json.dumps(owner | {"host": "elsewhere"}))
        assert len(cleanScratch(tmp_path)) == 1
        assert stranger.poll() is None
        stranger.kill()
    assert list(tmp_path.iterdir()) == [elsewhere]
