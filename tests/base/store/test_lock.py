"""The lock of a run folder before other users: they can neither keep a daemon out nor have somebody dead blamed."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.records.process import findUserName
from appion.base.records.runfolder import holderPath, lockPath, statusPath
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.status import isRunning
from appion.base.store.lock import acquireLock
from tests.stranger import STRANGER, asRoot, makeShared, runAsStranger, runPythonAsStranger, startStranger

HOLD = ("import sys, time\nfrom appion.base.store.lock import acquireLock\n"
        "lock = acquireLock(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(600)\n")  # fmt: skip
FLOCK = "flock $2 $1 sh -c 'echo held; exec sleep 600'"


@pytest.fixture
def rundir():
    with makeShared() as shared:
        path = shared / "run1"
        (path / ".appion").mkdir(parents=True)
        for folder in (path, path / ".appion"):
            folder.chmod(0o755)
        yield path


@pytest.fixture
def daemon(rundir):
    """A process that holds the lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(rundir)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("folder", "before", "after"), [
    (0o755, None, 0o600), (0o755, 0o664, 0o600), (0o755, 0o644, 0o600), (0o775, 0o664, 0o660), (0o777, None, 0o660)])
def test_who_may_write_into_the_folder_may_lock(rundir, folder, before, after):
    lockPath(rundir).parent.chmod(folder)
    if before is not None:
        lockPath(rundir).touch()
        lockPath(rundir).chmod(before)
    with acquireLock(rundir):
        assert stat.S_IMODE(lockPath(rundir).stat().st_mode) == after
        assert json.loads(holderPath(rundir).read_text())["pid"] == os.getpid()
    assert not holderPath(rundir).exists()


@asRoot
def test_who_may_only_read_cannot_lock(rundir):
    acquireLock(rundir).release()
    done = runAsStranger("flock -s $1 echo held; flock -x $1 echo held; exec 3< $1 && flock -s 3", lockPath(rundir))
    assert done.returncode != 0
    assert "held" not in done.stdout
    acquireLock(rundir, patience=0).release()


@asRoot
@pytest.mark.parametrize(("how", "seen"), [("-s", None), ("-x", {})])
def test_whoever_locked_it_when_all_could_is_named_and_nobody_else(rundir, how, seen):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    note = {"host": os.uname().nodename, "pid": int(dead.stdout), "since": time.time(), "started": 5}
    lockPath(rundir).write_text(json.dumps(note))
    lockPath(rundir).chmod(0o644)
    with startStranger(FLOCK, lockPath(rundir), how):
        with pytest.raises(ConfigurationFailure, match=r"is locked by .*, and that is no daemon") as caught:
            acquireLock(rundir, patience=0)
        assert not re.search(rf"\b{dead.stdout.strip()}\b", str(caught.value))
        assert readLockHolder(rundir) == seen
        status = {"host": os.uname().nodename, "state": "working", "heartbeat": time.time()}
        assert not isRunning(rundir, status)
        if f":{lockPath(rundir).stat().st_ino} " in Path("/proc/locks").read_text():  # where the system tells
            assert f" of user {findUserName(STRANGER)}" in str(caught.value)


@asRoot
def test_others_are_told_who_holds_it(rundir, daemon):
    statusPath(rundir).write_text("{}")
    look = ("import json; holder = readLockHolder(sys.argv[1])\n"
            "print(json.dumps([holder, isRunning(sys.argv[1], json.loads(sys.argv[2]))]))")  # fmt: skip
    imports = ("from appion.base.retrieve.lock import readLockHolder\n"
               "from appion.base.retrieve.status import isRunning")  # fmt: skip
    status = {"host": os.uname().nodename, "state": "working", "heartbeat": time.time()}

    def ask():
        done = runPythonAsStranger(imports, look, rundir, json.dumps(status))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    holder, running = ask()
    assert (holder["pid"], running) == (daemon.pid, True)
    daemon.kill()
    daemon.wait()
    assert ask() == [None, False]
    status["host"] = "elsewhere"
    assert ask() == [None, True]


def test_a_daemon_of_the_version_before_keeps_one_of_this_out_and_is_kept_out(rundir):
    """Both lock the same file in the same way."""
    before = ("import fcntl, json, os, sys, time\n"
              "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o664)\n"
              "fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
              "os.pwrite(fd, json.dumps({'host': os.uname().nodename, 'pid': os.getpid(), 'since': 0}).encode(), 0)\n"
              "print('held', flush=True); time.sleep(float(sys.argv[2]))")  # fmt: skip
    command = [sys.executable, "-c", before, str(lockPath(rundir))]
    with subprocess.Popen([*command, "600"], stdout=subprocess.PIPE) as old:
        assert old.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationFailure, match=f"already worked on by process {old.pid} on"):
            acquireLock(rundir, patience=0)
        assert readLockHolder(rundir)["pid"] == old.pid
        old.kill()
    with acquireLock(rundir):
        assert "BlockingIOError" in subprocess.run([*command, "0"], capture_output=True, text=True).stderr


def test_a_lock_that_is_a_link_is_not_followed(rundir, tmp_path):
    (tmp_path / "mine").write_text("keep")
    lockPath(rundir).symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigurationFailure, match="cannot be opened: Too many levels"):
        acquireLock(rundir)
    assert (tmp_path / "mine").read_text() == "keep"


@asRoot
def test_who_may_not_lock_is_told_why(rundir):
    acquireLock(rundir).release()
    done = runPythonAsStranger("from appion.base.store.lock import acquireLock", "acquireLock(sys.argv[1])", rundir)
    assert "belongs to user root and has mode 0600 (run as that user" in done.stderr
