"""Scratch folders where others may write: what somebody has put there before us is neither used nor believed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import pytest

from appion.base.cli.wiring import createScratchRoot
from appion.base.failures import ConfigurationFailure
from appion.base.records.process import readStartTime
from appion.base.store import ownfolder
from appion.base.store.scratch import (
    OWNER,
    calcScratchRoot,
    cleanDead,
    cleanEndedJobs,
    cleanScratch,
    listScratch,
    makeScratch,
    openScratchRoot,
    saveOwner,
    workInScratch,
)
from tests.stranger import STRANGER, asRoot, makeShared, runAsStranger


@pytest.fixture
def shared():
    with makeShared() as folder:
        yield folder


def test_scratch_is_of_its_user_alone(tmp_path):
    root = calcScratchRoot("/data/run1", tmp_path)
    with workInScratch(root, 7) as scratch:
        for folder in (root, scratch):
            assert stat.S_IMODE(os.lstat(folder).st_mode) == 0o700
        assert scratch.parent == root
    root.chmod(0o777)
    assert createScratchRoot(root) == ()
    assert not root.stat().st_mode & 0o022, "what was made in another way is closed"


@asRoot
def test_a_folder_that_somebody_made_before_is_not_used(shared, tmp_path):
    """Through the link output.txt the daemon's user wrote over a file of its own."""
    root, mine = calcScratchRoot("/data/run1", shared), tmp_path / "mine"
    mine.write_text("keep")
    assert runAsStranger("mkdir -m 777 $1", root).returncode == 0
    for _ in range(2):  # the other name is found again
        (warning,) = createScratchRoot(root)
        assert f"{root} is a folder of user" in warning
        with workInScratch(root, 7) as scratch:
            assert str(scratch.parent) in warning
            assert scratch.parent != root
            assert runAsStranger("ln -s $1 $2/output.txt; ls $2", mine, scratch).returncode != 0
            assert (os.lstat(scratch.parent).st_uid, stat.S_IMODE(os.lstat(scratch.parent).st_mode)) == (0, 0o700)
    assert len(list(shared.iterdir())) == 2
    left = makeScratch(root, 8)
    saveOwner(left)
    (left / OWNER).write_text((left / OWNER).read_text().replace(str(os.getpid()), str(2**22 - 7)))
    assert cleanScratch(root) == [f"removed {left}"]


@asRoot
@pytest.mark.parametrize("made", ["ln -s $2 $1", "touch $1", "mkfifo $1"])
def test_a_link_or_a_file_instead_of_a_folder(shared, tmp_path, made):
    root = calcScratchRoot("/data/run1", shared)
    assert runAsStranger(made, root, tmp_path).returncode == 0
    with workInScratch(root, 7) as scratch:
        assert scratch.parent.parent == shared
    assert list(tmp_path.iterdir()) == []
    assert cleanScratch(root) == []


@asRoot
@pytest.mark.parametrize("ours", ["nothing", "the root", "the root and the folder"])
def test_forged_notes_have_nobody_killed(shared, ours):
    """Also not where the folder around was open to others when it was made."""
    root = calcScratchRoot("/data/run1", shared)
    victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        started = readStartTime(victim.pid)
        note = json.dumps({
            "host": os.uname().nodename, "pid": victim.pid, "started": started, "job": "7", "program": victim.pid,
            "program_started": started, "namespace": os.readlink("/proc/self/ns/pid"),
        })  # fmt: skip
        scratch = root / f"7-{os.uname().nodename.split('.')[0]}-5-6"
        assert runAsStranger('umask 0; mkdir -p $1; printf %s "$2" > $1/owner.json', scratch, note).returncode == 0
        for folder in {"nothing": [], "the root": [root]}.get(ours, [root, scratch]):
            os.chown(folder, 0, 0)
        cleanDead(root)
        assert cleanEndedJobs(root, set()) == []
        assert scratch.exists()
        assert cleanScratch(root) == ([] if ours == "nothing" else [f"removed {scratch}"])
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


def test_where_everybody_may_rename_nothing_is_put(tmp_path):
    open_ = tmp_path / "scratch"
    open_.mkdir()
    open_.chmod(0o777)
    with pytest.raises(ConfigurationFailure, match=r"has mode 0777: everybody may rename .*chmod \+t"):
        createScratchRoot(calcScratchRoot("/data/run1", open_))
    open_.chmod(0o1777)
    assert createScratchRoot(calcScratchRoot("/data/run1", open_)) == ()
    rundir = tmp_path / "run"
    (rundir / ".appion").mkdir(parents=True)
    (rundir / ".appion").chmod(0o777)
    assert openScratchRoot(calcScratchRoot(rundir)) == (calcScratchRoot(rundir), "")


@asRoot
def test_a_server_that_knows_this_user_by_another_number(tmp_path, monkeypatch):
    """Exported with root_squash or all_squash: what we make belongs to somebody else."""
    tmp_path.chmod(0o777)
    (tmp_path / ".appion").mkdir()
    monkeypatch.setattr(ownfolder.os, "geteuid", lambda: STRANGER)  # root's files pass for those of such a server
    root = calcScratchRoot(tmp_path)
    with workInScratch(root, 7) as scratch:
        assert scratch.parent == root
        assert [one.name for one in listScratch(root)] == [scratch.name]
        assert SimpleNamespace(**json.loads((scratch / OWNER).read_text())).pid == os.getpid()


def test_two_who_start_at_once(tmp_path):
    program = ("import sys; from appion.base.store.scratch import makeScratch\n"
               "print(makeScratch(sys.argv[1], 7).parent)")  # fmt: skip
    root = calcScratchRoot("/data/run1", tmp_path)
    both = [subprocess.Popen([sys.executable, "-c", program, root], stdout=subprocess.PIPE, text=True) for _ in "ab"]
    assert {one.communicate()[0].strip() for one in both} == {str(root)}
