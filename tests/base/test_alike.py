"""A program that fails alike on every image is not the images' fault; one bad movie among good ones is its own."""

from __future__ import annotations

from collections import Counter

import dask.config
import pytest

from appion.base.calc.pace import calcAlike
from appion.base.failures import ImageFailure, NotReady
from appion.base.loop import LoopOptions
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.status import findTrouble, readStatus
from tests.base.running import run, stopWhen, whatHappened

pytestmark = pytest.mark.usefixtures("fast", "inline")

ENDLESS = LoopOptions(workers=2)


def crash(image_id):
    where = f"/data/{image_id}/img{image_id:05d}.mrc at 0x7f{image_id}"
    raise ImageFailure(f"the program was ended by signal SIGSEGV: cannot align {where}")


def readFailed(lab):
    return {event["image"] for event in readEvents(lab.rundir) if event["what"] in ("failed", "set aside")}


@pytest.mark.parametrize(("one", "other"), [
    ("cannot read /data/a/img00001.mrc", "cannot read /scratch/7-host-33/img00002_c.mrc"),
    ("signal SIGSEGV: frame 3 of img00001 at 0x7f3a", "signal SIGSEGV: frame 12 of img00002 at 0x99"),
    ("mean 1e-05, not 3", "mean -2.25, not 71"),
    ("file 'img00001.frames.tif': bad", "file 'img00002.frames.tif': bad"),
    ("pid 88 in node7.site.org[3]: no licence", "pid 9 in node12.site.org[14]: no licence"),
])  # fmt: skip
def test_alike_is_what_differs_only_in_names_numbers_and_paths(one, other):
    assert calcAlike(one, "img00001") == calcAlike(other, "img00002")
    assert calcAlike(one, "img00001") != calcAlike(f"{one} or not", "img00001")


@pytest.mark.parametrize("attempts", [1, 3])
def test_nothing_is_set_aside_for_a_program_that_fails_on_all_and_it_goes_on_by_itself(lab, attempts):
    lab.add(*range(1, 41))
    seen = {}

    def mend():
        if lab.onCalc and len(readFailed(lab)) >= 5 and "paused" in whatHappened(lab):
            seen.update(readStatus(lab.rundir))
            if seen["paused"] and len(lab.computed) >= 7:  # it was tried meanwhile
                lab.onCalc = None

    lab.onCalc, lab.onPoll = crash, mend
    stopWhen(lambda: len(lab.stored) == 40)
    with dask.config.set({"appion.attempts": attempts}):
        summary = run(lab, ENDLESS)
    assert set(lab.stored) == set(range(1, 41))
    assert (summary.why, summary.trouble) == ("stopped", "")
    trouble = "\n".join(findTrouble(seen))
    assert "nothing is handed out for now since" in trouble
    assert "failed alike and none succeeded: the program was ended by signal SIGSEGV" in trouble
    assert seen["counts"]["set aside"] == 0
    assert "resumed" in whatHappened(lab)
    assert readAttempts(lab.rundir) == {}


def test_while_it_lasts_one_is_tried_at_a_time_and_each_in_its_turn(lab):
    lab.add(*range(1, 8))
    lab.onCalc = crash
    stopWhen(lambda: len(lab.computed) >= 24)
    summary = run(lab, ENDLESS)
    assert "failed alike" in summary.trouble, "nothing succeeded"
    assert summary.counts["set aside"] == 0
    assert {attempt.count for attempt in readAttempts(lab.rundir).values()} == {0}
    assert min(Counter(lab.computed).values()) >= 2


def test_a_run_that_does_not_wait_ends_with_the_reason(lab):
    lab.add(*range(1, 41))
    lab.onCalc = crash
    summary = run(lab)
    assert "failed alike and none succeeded: the program was ended by signal SIGSEGV" in summary.why
    assert summary.trouble == summary.why
    assert summary.counts["set aside"] == 0
    assert len(lab.computed) < 40
    lab.onCalc = None
    assert run(lab).trouble == ""  # after it was mended
    assert len(lab.stored) == 40


def test_few_images_and_not_one_that_succeeds(lab):
    lab.add(1, 2)
    lab.onCalc = crash
    summary = run(lab)
    assert summary.why == "nothing is left to do"
    assert summary.counts["set aside"] == 2
    assert summary.trouble.startswith("nothing succeeded, 2 exposures failed: the program was ended by signal SIGSEGV")
    assert "nothing succeeded" in readStatus(lab.rundir)["ended"]


def test_bad_movies_among_good_ones_are_set_aside(lab):
    """More than enough of them to be taken for one thing, and all that is left in the end."""
    lab.add(*range(1, 61))
    bad = {image_id for image_id in range(1, 61) if image_id % 4 == 0}
    lab.onCalc = lambda image_id: crash(image_id) if image_id in bad else None
    summary = run(lab)
    assert set(lab.stored) == set(range(1, 61)) - bad
    assert summary.counts["set aside"] == len(bad)
    assert (summary.why, summary.trouble) == ("nothing is left to do", "")
    assert {attempt.count for attempt in readAttempts(lab.rundir).values()} == {3}
    assert run(lab).trouble == "", "a run that has nothing new to do"


@pytest.mark.parametrize("order", ["newest", "oldest", "live", "shuffle"])
def test_the_first_bad_ones_do_not_keep_the_others_from_their_turn(lab, order):
    """Bad movies come one after the other: they look like a broken program, until one at the other end succeeds."""
    lab.add(*range(1, 101))
    bad = set(range(1, 41)) if order == "oldest" else set(range(61, 101))
    lab.onCalc = lambda image_id: crash(image_id) if image_id in bad else None
    summary = run(lab, LoopOptions(wait=False, workers=2, order=order))
    assert set(lab.stored) == set(range(1, 101)) - bad
    assert summary.counts["set aside"] == len(bad)
    assert (summary.why, summary.trouble) == ("nothing is left to do", "")
    if order in ("newest", "oldest"):
        assert {"paused", "resumed"} <= set(whatHappened(lab))


def test_each_with_a_reason_of_its_own_is_blamed(lab):
    lab.add(*range(1, 11))

    def fail(image_id):
        raise ImageFailure(f"it is {'abcdefghijk'[image_id]}")

    lab.onCalc = fail
    assert run(lab).counts["set aside"] == 10


def test_what_fails_alike_while_it_is_stored_or_prepared(lab):
    lab.add(*range(1, 21))

    def fail(_):
        raise KeyError("a column nobody thought of")

    lab.onStore = fail
    summary = run(lab)
    assert summary.counts["set aside"] == 0
    assert "KeyError: 'a column nobody thought of'" in summary.trouble
    lab.onStore, lab.onParams = None, fail
    summary = run(lab)
    assert "KeyError" in summary.trouble
    assert summary.counts["set aside"] == 0
    lab.onParams = None
    assert run(lab).trouble == ""
    assert len(lab.stored) == 20


def test_a_limit_and_a_restart_change_nothing(lab):
    lab.add(*range(1, 31))
    lab.onCalc = crash
    assert "failed alike" in run(lab, LoopOptions(limit=8, workers=2)).trouble
    assert run(lab).counts["set aside"] == 0
    lab.onCalc = None
    assert run(lab).counts["done"] == 30


def test_nothing_came_of_waiting(lab):
    lab.add(1, 2)

    def missing(image_id):
        raise NotReady(f"/frames/img{image_id:05d}.mrc is not there, nor is its folder")

    lab.onReady = missing
    summary = run(lab)
    assert summary.trouble.startswith("nothing was done, 2 exposures wait for their input: /frames/img0000")
    lab.add(3)
    lab.onReady = lambda image_id: missing(image_id) if image_id < 3 else None
    assert run(lab).trouble == ""
    summary = run(lab)  # the folder went away after that
    assert "nor is its folder" in summary.trouble
    status = readStatus(lab.rundir) | {"state": "running"}
    assert "2 exposures wait for their input since" in "\n".join(findTrouble(status))
