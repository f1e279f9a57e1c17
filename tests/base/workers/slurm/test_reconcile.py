"""Which jobs are lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.workers.jobs.adapter import Listed
from appion.base.workers.jobs.adapters.slurm import parseSqueue
from appion.base.workers.jobs.answer import END, MARK, JobsError
from appion.base.workers.jobs.reconcile import (
    ENDED,
    Facts,
    Patience,
    countJobs,
    describeStuck,
    findLoss,
    findStrangers,
    isStuck,
)

PATIENCE = Patience(listed=15, start=300, back=15)
STATES = [*ENDED, "PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "SOMETHING_NEW"]
LISTED = st.none() | st.builds(Listed, st.sampled_from(STATES), st.sampled_from(["", "n1"]), st.just("None"))
FACTS = st.builds(
    Facts, st.sampled_from([None, "7"]), st.booleans(), st.booleans(), st.floats(0, 1e6), st.integers(0, 9),
    st.none() | st.floats(0, 1e6),
)  # fmt: skip


@given(FACTS, LISTED)
def test_a_job_is_given_up_only_for_certain(facts, listed):
    loss = findLoss(facts, listed, PATIENCE)
    if facts.job_id is None:
        assert loss
        return
    if facts.registered:
        assert loss is None
    if listed is None and (facts.missing < 2 or facts.age <= PATIENCE.listed):
        assert loss is None
    if listed and listed.state not in ENDED and facts.silent is None:
        assert loss is None
    if listed and listed.state in ENDED and not facts.registered:
        assert loss
    if loss:
        assert loss.early == (not facts.seen)


def test_each_way_to_lose_a_job_is_told():
    def tell(facts, listed=None):
        loss = findLoss(facts, listed, PATIENCE)
        return loss and (loss.why, loss.early, loss.node, loss.blamed)

    seen = Facts("7", seen=True)
    assert tell(Facts("")) == ("it was not submitted", True, "", False)
    assert tell(Facts("7", age=20, missing=2)) == ("Slurm knows it no more", True, "", False)
    failed = Listed("FAILED", "n1", "NonZeroExitCode")
    assert tell(Facts("7"), failed) == ("FAILED (NonZeroExitCode) before its worker was there", True, "n1", True)
    assert tell(seen, failed) == ("FAILED (NonZeroExitCode)", False, "n1", True)
    assert tell(seen, Listed("CANCELLED", "n1", "None")) == ("CANCELLED", False, "n1", False)
    assert tell(seen, Listed("TIMEOUT", "n1", "TimeLimit")) == ("TIMEOUT (TimeLimit)", False, "n1", False)
    running = Listed("RUNNING", "n1", "None")
    assert tell(Facts("7", silent=301), running) == ("no worker after 301 s", True, "n1", True)
    assert tell(Facts("7", seen=True, silent=16), running) == ("its worker is gone", False, "n1", False)
    assert tell(Facts("7", seen=True, silent=14), running) is None


def write(*rows):
    """What squeue prints in our format."""
    titles = ("JOBID", "STATE", "NODELIST", "NAME", "REASON")
    return "".join(f"{MARK}{'|'.join(row)}{END}\n" for row in (titles, *rows))


def test_squeue_is_believed_whole_or_not_at_all():
    reason = "ReqNodeNotAvail, UnavailableNodes:n[1-2]"
    text = write(("3", "RUNNING", "n1", "run", "None"), ("4", "PENDING", "", "run", "Resources"),
                 ("5", "PENDING", "(null)", "run", reason), ("6", "RUNNING", "n1", "run2", "None"))  # fmt: skip
    jobs = parseSqueue(text, "run")
    assert set(jobs) == {"3", "4", "5"}, "a job of another name is none of ours"
    assert jobs["3"] == Listed("RUNNING", "n1", "None")
    assert jobs["5"] == Listed("PENDING", "", reason)
    assert parseSqueue(write(), "run") == {}
    states, reasons = countJobs(jobs, {"3": True, "4": False, "9": False, "": False})
    assert states == {"working": 1, "starting": 0, "pending": 1, "unknown": 2}
    assert reasons == [("Resources", 1)]
    assert countJobs(jobs, {"3": False})[0]["starting"] == 1
    assert findStrangers(jobs | {"9": Listed("FAILED", "n1", "")}, ["4", ""]) == ["3", "5"]
    foreign = "Welcome to Lonestar 5\nCLUSTER: lab\n" + text.replace("\n", " \r\n\n7|RUNNING|n1|run|None\n") + "bye"
    assert parseSqueue(foreign, "run") == jobs
    stamped = "".join(f"2026-11-26 12:00:00 {line}\n" for line in text.splitlines())
    assert parseSqueue(stamped, "run") == jobs
    for garbage in ("", "slurm_load_jobs error: Invalid job id", "3|RUNNING|n1|run|None", text[:-5], text[:-60],
                    text[: -len(END) - 1], text + MARK[:5], text.replace(write(), ""),
                    write(("x", "Y", "", "run", ""))):  # fmt: skip
        with pytest.raises(JobsError, match=r"squeue printed"):
            parseSqueue(garbage, "run")
    with pytest.raises(JobsError, match="wrapper of the site"):
        parseSqueue("hello", "run")


@pytest.mark.parametrize(
    ("reason", "stuck"),
    [
        *((word, True) for word in (
            "JobHeldUser", "JobHeldAdmin", "PartitionDown", "PartitionInactive", "PartitionTimeLimit", "BadConstraints",
            "ReqNodeNotAvail", "ReqNodeNotAvail, UnavailableNodes:n1", "AssocGrpGRES", "AssocGrpCPUMinutesLimit",
            "AssocMaxJobsLimit", "QOSMaxJobsPerUserLimit", "QOSNotAllowed", "InvalidAccount", "InvalidQOS",
            "launch failed requeued held", "launch_failed_requeued_held", "DependencyNeverSatisfied",
            "JobHoldMaxRequeue", "user env retrieval failed requeued held", "AccountNotAllowed", "ReservationDeleted",
            "MaxMemPerLimit")),
        *((word, False) for word in (
            "None", "", "Priority", "Resources", "BeginTime", "Licenses", "Dependency", "Reservation", "Prolog",
            "Cleaning", "SchedDefer")),
    ],
)  # fmt: skip
def test_reasons_that_only_a_person_can_change(reason, stuck):
    assert isStuck(Listed("PENDING", "", reason)) == stuck
    assert not isStuck(Listed("RUNNING", "n1", reason))


def test_all_jobs_are_stuck_or_none_is():
    held, bad = Listed("PENDING", "", "JobHeldUser"), Listed("PENDING", "", "BadConstraints")
    listing = {"3": held, "4": held, "5": bad, "6": Listed("RUNNING", "n1", "None"), "7": Listed("FAILED", "n1", "")}
    assert describeStuck(listing, {"3": False, "4": False, "5": False, "7": False, "9": False}) == (
        "JobHeldUser (jobs 3, 4; release with: scontrol release 3,4); BadConstraints (job 5; see: scontrol show job 5)"
    )
    assert "SPECIAL_EXIT (job 8" in describeStuck({"8": Listed("SPECIAL_EXIT", "", "None")}, {"8": False})
    assert describeStuck(listing, {"3": False, "6": False}) == ""
    assert describeStuck(listing, {"3": False, "9": True}) == ""
    assert describeStuck(listing, {"9": False}) == describeStuck({}, {}) == ""
