"""When the loop ends, and when it does not begin: limits, idling, what is wrong with every exposure."""

from __future__ import annotations

import os
import time
from collections import Counter

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure, NotReady
from appion.base.loop import LoopOptions
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.lock import readLockHolder
from appion.base.retrieve.status import findTrouble, readStatus
from appion.base.store.lock import acquireLock
from tests.base.running import run, stopWhen

pytestmark = pytest.mark.usefixtures("fast", "inline")


def test_configuration_failures_of_all_stop_and_of_one_are_shown(lab):
    lab.add(1, 2, 3)
    failure = ConfigurationFailure("no calibration at 5000", "calibrate")
    lab.onParams = lambda _: failure
    with pytest.raises(ConfigurationFailure, match="no calibration"):
        run(lab)
    lab.onParams = lambda image_id: failure if image_id < 2 else None
    summary = run(lab)
    assert set(lab.stored) == {2, 3}
    assert summary.counts["set aside"] == 1
    assert readAttempts(lab.rundir)[1].remedy == "calibrate"
    lab.onParams = None
    run(lab)  # a restart after mending it
    assert set(lab.stored) == {1, 2, 3}


def test_the_first_exposures_of_a_run_may_be_odd_ones(lab):
    """Those that are looked at first do not speak for all: a run is stopped only if no exposure in sight is right."""
    lab.add(*range(1, 30))
    kilovolts = ConfigurationFailure("high tension=300 is not possible", "write 300000 there")
    lab.onParams = {29: kilovolts, 28: kilovolts, 1: kilovolts}.get
    summary = run(lab, LoopOptions(wait=False, workers=1, order="newest"))
    assert set(lab.stored) == set(range(2, 28))
    assert (summary.counts["done"], summary.counts["set aside"]) == (26, 3)


def test_what_is_wrong_alike_stops_the_run_though_one_is_wrong_otherwise(lab):
    lab.add(*range(1, 30))
    kilovolts = ConfigurationFailure("high tension=300 is not possible", "write 300000 there")
    lab.onParams = lambda image_id: ImageFailure("no camera") if image_id == 29 else kilovolts
    with pytest.raises(ConfigurationFailure, match="high tension=300"):
        run(lab)
    assert lab.computed == []


@pytest.mark.parametrize("late", [False, True])
def test_what_keeps_every_exposure_from_the_workers_stops_the_run(lab, late):
    """A gain reference of the wrong size, say: as nothing is known to work, it is not held against each exposure."""
    lab.add(*range(1, 30))
    looks = Counter()

    def unfit(image_id):
        looks[image_id] += 1
        if late and looks[image_id] == 1:
            raise NotReady("the movie is not there")
        raise ConfigurationFailure("the gain reference does not fit", "give another")

    lab.onReady = unfit
    with pytest.raises(ConfigurationFailure, match="does not fit"):
        run(lab)
    assert lab.computed == []
    assert sum(attempt.next_try is None for attempt in readAttempts(lab.rundir).values()) <= (64 if late else 4)
    assert "stopped: the gain reference does not fit" in readStatus(lab.rundir)["ended"]
    lab.onReady = None
    run(lab)  # a restart after mending it
    assert set(lab.stored) == set(range(1, 30))


def test_one_exposure_that_does_not_fit_stops_nothing(lab):
    """Whether it is the first to be looked at, or all that is left of a run that worked before."""
    lab.add(1, 2, 3)
    odd = {3}

    def unfit(image_id):
        if image_id in odd:
            raise ConfigurationFailure("the gain reference does not fit", "give another")

    lab.onReady = unfit
    for _ in range(2):
        summary = run(lab)
        assert set(lab.stored) == {1, 2}
        assert summary.counts["set aside"] == 1
    lab.add(4, 5)
    odd.update((4, 5))
    assert run(lab).counts["set aside"] == 3


def test_a_missing_program_stops_the_run(lab):
    lab.add(*range(1, 30))

    def missing(_):
        raise ConfigurationFailure("motioncor2 is not there", "install it")

    lab.onCalc = missing
    with pytest.raises(ConfigurationFailure, match="install it"):
        run(lab)
    assert len(lab.computed) <= 4
    assert readStatus(lab.rundir)["state"] == "ended"
    assert readLockHolder(lab.rundir) is None


def test_limit_counts_exposures_and_includes_their_retries(lab):
    lab.add(*range(1, 21))
    tries = Counter()

    def once(image_id):
        tries[image_id] += 1
        if tries[image_id] == 1:
            raise ValueError("try again")

    def unready(image_id):
        if image_id == 20:
            raise NotReady("missing")

    lab.onCalc, lab.onReady = once, unready
    run(lab, LoopOptions(limit=3, order="newest", workers=1))
    assert set(lab.stored) == {19, 18, 17}


def test_quits_after_idling(lab):
    lab.add(1)
    with dask.config.set({"appion.quit_after_idle": 0.2}):
        assert run(lab, LoopOptions(workers=1)).why == "nothing to do for 0.2 s"


def test_quits_when_the_session_is_finished_and_nothing_is_left(lab):
    lab.add(1)

    def poll():
        if lab.stored and not lab.over:
            lab.over = True
            lab.add(2)  # the last one comes with the word that it is the last

    lab.onPoll = poll
    with dask.config.set({"appion.quit_after_session": 0.2}):
        summary = run(lab, LoopOptions(workers=1))
    assert summary.why == "the session is finished and there was nothing to do for 0.2 s"
    assert set(lab.stored) == {1, 2}


def test_second_daemon_is_refused_by_name(lab):
    with acquireLock(lab.rundir), pytest.raises(ConfigurationFailure, match=f"process {os.getpid()} on host"):
        run(lab)


def test_wrong_settings_are_errors_before_anything_is_written(lab):
    for wrong in ({"appion.cluster": "slurmy"}, {"appion.workers": 0}):
        with dask.config.set(wrong), pytest.raises(ConfigurationFailure):
            run(lab, LoopOptions())
    with pytest.raises(ConfigurationFailure, match="unknown order"):
        run(lab, LoopOptions(order="random"))
    assert list(lab.rundir.iterdir()) == []


def holdJobs(inline, monkeypatch, **facts):
    """Nothing that is handed out comes back, and no worker is there."""
    monkeypatch.setattr(inline, "submit", lambda self, image_id, *_: self.flights.update({image_id: None}))
    monkeypatch.setattr(inline, "describe", lambda _: {"planned": 1, "in_sight": 0, "cluster": "slurm", **facts})


@pytest.mark.parametrize(("what", "reason", "told"), [
    ("stuck", "jobs 7: JobHeldUser (scontrol release 7)", "no job can start before somebody does something: jobs 7"),
    ("refused", "sbatch: error: Invalid account or account/partition combination", "Slurm does not take jobs: sbatch"),
])  # fmt: skip
def test_a_run_that_does_not_wait_ends_when_no_job_can_start(lab, inline, monkeypatch, what, reason, told):
    lab.add(1, 2)
    holdJobs(inline, monkeypatch, **{what: {"since": time.time(), "reason": reason, "next_try": 1.0}})
    summary = run(lab)
    assert summary.trouble.startswith(told)
    assert summary.why == summary.trouble
    assert summary.counts["queued"] == 2
    assert told in readStatus(lab.rundir)["ended"]


@pytest.mark.parametrize("wait", [False, True])
def test_nothing_stored_for_long_while_exposures_queue_is_trouble(lab, inline, monkeypatch, wait):
    """With the reason why there are no workers it is the end of a run that does not wait."""
    lab.add(1, 2, 3)
    holdJobs(inline, monkeypatch, trouble=["jobs end before they work since 12:00:00: its log is empty"])

    def readTrouble():
        try:
            return "\n".join(findTrouble(readStatus(lab.rundir)))
        except ConfigurationFailure:
            return ""

    seen = []
    if wait:
        stopWhen(lambda: "nothing was stored since" in readTrouble() and not seen.append(readTrouble()))
    with dask.config.set({"appion.stalled_after": 0.3, "appion.stop_timeout": 0}):
        summary = run(lab, LoopOptions(wait=wait, workers=1))
    if wait:
        assert "1 exposures are in line, 2 are handed out" in seen[0]
    else:
        assert summary.trouble == "jobs end before they work since 12:00:00: its log is empty"


def test_a_run_that_does_not_wait_ends_when_only_workers_are_to_blame_for_long(lab):
    """A program that can be loaded on no host, say: no image is set aside, each is computed when that is mended."""
    lab.add(*range(1, 11))

    def fail(_):
        raise InfrastructureFailure("libcufft.so.11: cannot open shared object file")

    lab.onCalc = fail
    with dask.config.set({"appion.stalled_after": 0.3}):
        summary = run(lab, LoopOptions(wait=False, workers=1))
    assert "not the images': libcufft.so.11: cannot open" in summary.trouble
    assert summary.counts["set aside"] == 0
    lab.onCalc = None
    assert run(lab, LoopOptions(wait=False, workers=1)).trouble == ""
    assert set(lab.stored) == set(range(1, 11))


def test_a_job_that_was_ended_on_the_web_pages_ends_the_run_in_good_order(lab, caplog):
    lab.add(1, 2)
    lab.onPoll = lambda: setattr(lab, "aborted", len(lab.stored) == 2)
    summary = run(lab, LoopOptions(workers=1))
    assert summary.why == "stopped, as its job was ended on the web pages"
    assert summary.trouble == ""
    assert "the job was ended on the web pages: stopping" in caplog.text
