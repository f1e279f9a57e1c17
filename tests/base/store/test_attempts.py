"""The failures of a run: a line for each change, whatever a writer died of."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appion.base.controller.attempts import Attempts
from appion.base.records.attempt import TAIL, Attempt, encodeAttempt
from appion.base.records.runfolder import attemptsPath, formerAttemptsPath
from appion.base.retrieve.attempts import readAttempts
from appion.base.store import files
from appion.base.store.attempts import compactAttempts, saveAttempts


@pytest.fixture
def rundir(tmp_path):
    (tmp_path / ".appion").mkdir()
    return tmp_path


def fail(image_id, reason="broken", tail="what it printed"):
    return Attempt(image_id, f"img{image_id}", "image", 1, 0, reason, "", "program -x", "host", tail, 5.0, 9.0)


def save(rundir, attempts):
    saveAttempts(rundir, attempts.listChanges())
    attempts.settle()


#: What may happen to the failures of few images: they happen, change, are forgotten; all is written, or compacted.
DEEDS = st.lists(st.tuples(st.sampled_from(["fail", "alter", "forget", "save", "compact"]), st.integers(1, 4)),
                 max_size=40)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(DEEDS)
def test_the_lines_say_what_is_known(rundir, deeds):
    """Whatever happened: read again it is what it was, with what the programs printed."""
    attemptsPath(rundir).unlink(missing_ok=True)
    attempts, known = Attempts(), {}
    for number, (deed, image_id) in enumerate(deeds):
        if deed == "fail":
            known[image_id] = fail(image_id, f"reason {number}", f"output {number}")
            attempts.note(known[image_id])
        elif deed == "alter" and image_id in known:
            known[image_id] = replace(known[image_id], kind="infrastructure", count=number, next_try=None)
            attempts.alter(image_id, kind="infrastructure", count=number, next_try=None)
        elif deed == "forget":
            known.pop(image_id, None)
            attempts.forget(image_id)
        elif deed == "save":
            save(rundir, attempts)
            assert readAttempts(rundir) == known
            bare = {one: replace(attempt, log_tail="", command="") for one, attempt in known.items()}
            assert readAttempts(rundir, details=False) == bare == attempts
        elif deed == "compact":
            before = readAttempts(rundir)
            compactAttempts(rundir)
            assert readAttempts(rundir) == before
    save(rundir, attempts)
    compactAttempts(rundir)
    assert readAttempts(rundir) == known
    lines = attemptsPath(rundir).read_bytes().splitlines()
    assert sorted(json.loads(line)["image_id"] for line in lines) == sorted(known)


def test_a_writer_that_dies_at_any_byte_leaves_what_was_before_or_after(rundir):
    path = attemptsPath(rundir)
    saveAttempts(rundir, [encodeAttempt(fail(1)), encodeAttempt(fail(2))])
    saveAttempts(rundir, [{"image_id": 1}, {"image_id": 2, "count": 7, "kind": "image", "next_try": None}])
    whole, seen = path.read_bytes(), []
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        now = {image_id: attempt.count for image_id, attempt in readAttempts(rundir).items()}
        if not seen or now != seen[-1]:
            seen.append(now)
        if end % 7 == 0:
            saveAttempts(rundir, [encodeAttempt(fail(3))])  # the next daemon's
            assert {image_id: one.count for image_id, one in readAttempts(rundir).items()} == {**now, 3: 1}
            compactAttempts(rundir)
            assert {image_id: one.count for image_id, one in readAttempts(rundir).items()} == {**now, 3: 1}
    assert seen == [{}, {1: 1}, {1: 1, 2: 1}, {2: 1}, {2: 7}]


def test_zeros_of_a_host_that_lost_power_are_passed_over(rundir):
    saveAttempts(rundir, [encodeAttempt(fail(1))])
    with open(attemptsPath(rundir), "ab") as file:
        file.write(bytes(4096))
    saveAttempts(rundir, [encodeAttempt(fail(2))])
    assert set(readAttempts(rundir)) == {1, 2}


def test_what_an_earlier_version_wrote_is_read_and_taken_over(rundir):
    former = {str(one): encodeAttempt(fail(one, tail="x" * 4000)) for one in (1, 2)}
    formerAttemptsPath(rundir).write_text(json.dumps(former, indent=1))
    assert set(readAttempts(rundir)) == {1, 2}
    assert readAttempts(rundir, details=False)[1].log_tail == ""
    saveAttempts(rundir, [{"image_id": 1}])
    assert not formerAttemptsPath(rundir).exists()
    assert readAttempts(rundir) == {2: fail(2, tail="x" * TAIL)}


def test_a_start_that_dies_while_it_takes_over_loses_nothing(rundir, monkeypatch):
    formerAttemptsPath(rundir).write_text(json.dumps({"1": encodeAttempt(fail(1))}))
    replace_, renamed = os.replace, []

    def die(*names):
        replace_(*names)
        renamed.append(names)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            compactAttempts(rundir)
    assert renamed
    assert readAttempts(rundir) == {1: fail(1)}
    assert compactAttempts(rundir) == attemptsPath(rundir).stat().st_size
    assert not formerAttemptsPath(rundir).exists()


def test_a_full_disk_leaves_what_was_there(rundir, monkeypatch):
    saveAttempts(rundir, [encodeAttempt(fail(1))])
    before = attemptsPath(rundir).read_bytes()

    def full(_number):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            saveAttempts(rundir, [encodeAttempt(fail(2))])
        assert attemptsPath(rundir).read_bytes() == before
        attemptsPath(rundir).write_bytes(before + b'{"image_id": 1}\n')
        with pytest.raises(OSError, match="No space"):
            compactAttempts(rundir)
    assert attemptsPath(rundir).read_bytes() == before + b'{"image_id": 1}\n'
    assert readAttempts(rundir) == {}


def test_a_failure_is_written_once_however_many_there_are(rundir, monkeypatch):
    """What is written for each of them is its own line."""
    attempts, written = Attempts(), []
    monkeypatch.setattr("appion.base.store.attempts.compactAttempts", lambda _: pytest.fail("not asked for"))
    for image_id in range(1, 301):
        attempts.note(fail(image_id, tail="y" * TAIL))
        before = attemptsPath(rundir).stat().st_size if written else 0
        save(rundir, attempts)
        written.append(attemptsPath(rundir).stat().st_size - before)
    assert max(written) < 2 * TAIL
    assert not any(attempt.log_tail for attempt in attempts.values())
    assert readAttempts(rundir)[300].log_tail == "y" * TAIL
