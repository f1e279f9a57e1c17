"""The loop with a step in memory and workers that answer at once."""

from __future__ import annotations

import errno
import json
import signal
from collections import Counter

import dask.config
import pytest

from appion.base.controller import finish
from appion.base.failures import ImageFailure, InfrastructureFailure, NotReady
from appion.base.loop import LoopOptions
from appion.base.records.runfolder import journalPath
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.status import readStatus
from appion.base.store.attempts import saveRetryRequest
from appion.base.store.journal import removeResult, saveResult
from tests.base.running import Away, run, stopWhen, whatHappened

pytestmark = pytest.mark.usefixtures("fast", "inline")


def test_everything_is_done_and_stored_once(lab):
    lab.add(*range(1, 31))
    lab.rejected = {4, 5}
    summary = run(lab)
    assert set(lab.stored) == set(range(1, 31)) - {4, 5}
    assert max(Counter(lab.computed).values()) == 1
    assert summary.counts["done"] == 28
    assert summary.counts["rejected"] == 2
    assert summary.total == 30 == sum(summary.counts.values())
    assert retrieveResultIds(lab.rundir) == []
    assert whatHappened(lab, 7) == ["submitted", "computed", "stored"]
    assert readStatus(lab.rundir)["state"] == "ended"
    assert readLockHolder(lab.rundir) is None
    lab.add(31)
    run(lab)
    assert lab.computed.count(31) == 1
    assert len(lab.computed) == 29


def test_missing_movies_cost_nothing_and_do_not_block(lab):
    lab.add(*range(1, 2011))

    def missing(image_id):
        if image_id > 10:
            raise NotReady(f"/data/img{image_id:05d}.mrc is missing")

    lab.onReady = missing
    summary = run(lab)
    assert set(lab.stored) == set(range(1, 11))
    assert summary.counts["waiting"] == 2000
    assert readAttempts(lab.rundir) == {}
    assert len(lab.bulks) < 80
    waiting = readStatus(lab.rundir)["waiting_for"]
    assert len(waiting) == 1
    assert waiting[0]["count"] == 2000


def test_a_late_movie_is_done_when_it_comes(lab):
    lab.add(1, 2)
    looks = Counter()

    def late(image_id):
        looks[image_id] += 1
        if image_id == 2 and looks[2] < 4:
            raise NotReady(f"{looks[2]} of 9 bytes")

    lab.onReady = late
    run(lab)
    assert set(lab.stored) == {1, 2}
    assert whatHappened(lab, 2) == ["waiting", "submitted", "computed", "stored"]


def test_lost_workers_are_not_the_images_fault(lab, inline):
    lab.add(*range(1, 11))
    lost = Counter()

    def lose(image_id):
        lost[image_id] += 1
        return lost[image_id] <= 2

    inline.lose = lose
    run(lab)
    assert set(lab.stored) == set(range(1, 11))
    assert "paused" in whatHappened(lab)
    assert readAttempts(lab.rundir) == {}


def test_a_worker_lost_after_its_work_is_no_loss(lab, inline):
    lab.add(1)

    def lose(image_id):
        saveResult(lab.rundir, image_id, {"id": image_id})
        return True

    inline.lose = lose
    run(lab)
    assert set(lab.stored) == {1}
    assert lab.computed == []


def test_results_of_a_killed_daemon_are_stored_and_broken_records_computed_again(lab):
    lab.add(1, 2, 3)
    saveResult(lab.rundir, 1, {"id": 1})
    saveResult(lab.rundir, 2, {"wrong": "kind"})
    saveResult(lab.rundir, 3, {})
    journalPath(lab.rundir, 3).write_text('{"id": ')
    run(lab)
    assert set(lab.stored) == {1, 2, 3}
    assert sorted(lab.computed) == [2, 3]
    assert {path.name for path in journalPath(lab.rundir, 0).parent.iterdir()} == {"2.json.bad", "3.json.bad"}


def test_what_a_killed_daemon_stored_or_computed_without_telling_is_told_once(lab):
    lab.add(1, 2)
    lab.stored[1] = {"id": 1}
    saveResult(lab.rundir, 1, {"id": 1})
    saveResult(lab.rundir, 2, {"id": 2})
    for _ in range(2):
        run(lab)
        assert whatHappened(lab, 1) == ["stored"]
        assert whatHappened(lab, 2) == ["recovered", "stored"]
        saveResult(lab.rundir, 1, {"id": 1})  # killed again, after it had told
    told = list(readEvents(lab.rundir, 2))[-1]
    assert told["name"] == lab.candidates[2]


def test_a_record_that_cannot_be_removed_is_neither_stored_nor_told_again(lab, monkeypatch):
    lab.add(1, 2)
    refusals = iter(range(3))

    def refuse(rundir, image_id):
        if next(refusals, None) is not None:
            raise OSError(errno.EIO, "not now")
        removeResult(rundir, image_id)

    monkeypatch.setattr(finish, "removeResult", refuse)
    stored = []
    lab.onStore = stored.append
    run(lab)
    assert retrieveResultIds(lab.rundir) == []
    assert sorted(stored) == [1, 2]
    assert [whatHappened(lab, one).count("stored") for one in (1, 2)] == [1, 1]
    assert next(refusals, None) is None


def test_without_commit_results_stay_in_the_journal(lab):
    lab.add(1, 2)
    options = LoopOptions(wait=False, commit=False, workers=1)
    run(lab, options)
    assert not lab.stored
    assert retrieveResultIds(lab.rundir) == [1, 2]
    run(lab, options)
    assert len(lab.computed) == 2
    run(lab)  # now with commit
    assert set(lab.stored) == {1, 2}
    assert len(lab.computed) == 2


def test_the_database_goes_away_and_comes_back(lab):
    lab.add(*range(1, 9))
    down = Counter()

    def away(_=None):
        down["asked"] += 1
        if down["asked"] % 3:
            raise Away("server has gone away")

    lab.onPoll, lab.onStore = away, away
    summary = run(lab)
    assert set(lab.stored) == set(range(1, 9))
    assert max(Counter(lab.computed).values()) == 1
    assert summary.counts["done"] == 8
    assert {"database away", "database back"} <= set(whatHappened(lab))


def test_a_full_disk_while_storing_loses_nothing(lab):
    lab.add(1, 2, 3)
    tries = Counter()

    def full(image_id):
        tries[image_id] += 1
        if tries[image_id] < 3:
            raise OSError(28, "No space left on device")

    lab.onStore = full
    run(lab)
    assert set(lab.stored) == {1, 2, 3}
    assert len(lab.computed) == 3
    assert readAttempts(lab.rundir) == {}


def test_an_unusable_result_is_computed_again_and_others_only_stored_again(lab):
    lab.add(1, 2)
    tries = Counter()

    def complain(image_id):
        tries[image_id] += 1
        if tries[image_id] == 1:
            raise ImageFailure("the sum is gone") if image_id == 1 else KeyError("bug")

    lab.onStore = complain
    run(lab)
    assert set(lab.stored) == {1, 2}
    assert Counter(lab.computed) == {1: 2, 2: 1}


def test_one_bad_row_does_not_spoil_the_bulk(lab):
    lab.add(*range(1, 6))

    def bad(image_id):
        if image_id == 3:
            raise TypeError("a row nobody thought of")

    lab.onParams = bad
    summary = run(lab)
    assert set(lab.stored) == {1, 2, 4, 5}
    assert summary.counts["set aside"] == 1


def test_polls_are_incremental_and_see_rejects_and_requests(lab):
    lab.add(*range(1, 1001))
    lab.rejected = set(range(1, 1000))

    def fail(image_id):
        if image_id == 1002 and len(readAttempts(lab.rundir)) < 1:
            raise ValueError("broken")

    def act():
        if len(lab.asked) == 2:
            lab.add(1001)
        if len(lab.asked) == 3:
            lab.rejected.discard(7)
        if len(lab.asked) == 4:
            lab.add(1002)
        if 1002 in readAttempts(lab.rundir):
            saveRetryRequest(lab.rundir, [1002])

    lab.onCalc, lab.onPoll = fail, act
    stopWhen(lambda: {7, 1000, 1001, 1002} <= set(lab.stored))
    with dask.config.set({"appion.attempts": 1}):
        summary = run(lab, LoopOptions(workers=2))
    assert summary.why == "stopped"
    assert lab.asked[0] == 0
    assert min(lab.asked[1:]) == 900
    assert "retry" in whatHappened(lab, 1002)
    assert "no longer rejected" in whatHappened(lab, 7)
    assert readAttempts(lab.rundir) == {}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_low_space_pauses(lab):
    lab.add(1)
    polls = Counter()

    def act():
        polls["n"] += 1
        if polls["n"] == 3:
            dask.config.set({"appion.free_space": 0})

    lab.onPoll = act
    with dask.config.set({"appion.free_space": 1e9}):
        run(lab)
    assert set(lab.stored) == {1}
    assert whatHappened(lab)[1:3] == ["paused", "resumed"]


def test_status_is_readable_json_with_every_candidate_counted(lab):
    lab.add(*range(1, 11))
    lab.onCalc = lambda image_id: (_ for _ in ()).throw(InfrastructureFailure("gpu busy")) if image_id == 3 else None
    with dask.config.set({"appion.infrastructure_attempts": 2}):
        run(lab)
    status = json.loads((lab.rundir / ".appion" / "status.json").read_text())
    assert sum(status["counts"].values()) == status["total"] == 10
    assert status["failures"][0] == {
        "reason": "gpu busy", "class": "infrastructure", "remedy": "", "count": 1, "set_aside": 1
    }  # fmt: skip
