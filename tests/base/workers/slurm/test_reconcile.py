"""Which jobs are lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.workers.slurm.reconcile import (
    ENDED,
    Facts,
    Listed,
    Patience,
    countJobs,
    findLoss,
    findStrangers,
    parseSqueue,
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


def test_squeue_is_believed_whole_or_not_at_all():
    text = "3|RUNNING|n1|None\n4|PENDING||Resources\n5|PENDING|(null)|ReqNodeNotAvail, UnavailableNodes:n[1-2]\n\n"
    jobs = parseSqueue(text)
    assert jobs["3"] == Listed("RUNNING", "n1", "None")
    assert jobs["5"] == Listed("PENDING", "", "ReqNodeNotAvail, UnavailableNodes:n[1-2]")
    assert parseSqueue("") == {}
    states, reasons = countJobs(jobs, {"3": True, "4": False, "9": False, "": False})
    assert states == {"working": 1, "starting": 0, "pending": 1, "unknown": 2}
    assert reasons == [("Resources", 1)]
    assert countJobs(jobs, {"3": False})[0]["starting"] == 1
    assert findStrangers(jobs | {"9": Listed("FAILED", "n1", "")}, ["4", ""]) == ["3", "5"]
    for garbage in ("slurm_load_jobs error: Invalid job id", "3|RUNNING", text + "%%", "x|RUNNING|n1|None"):
        with pytest.raises(ValueError, match="squeue printed"):
            parseSqueue(garbage)
