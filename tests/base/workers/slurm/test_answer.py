"""The number of the job out of all that a site's sbatch prints, and never another number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appion.base.workers.jobs.answer import END, MARK, JobsError, readJobNumber, readListing

BANNER = """
-----------------------------------------------------------------
           Welcome to the Lonestar 5 Supercomputer
-----------------------------------------------------------------

No reservation for this job
--> Verifying valid submit host (login1)...OK
--> Verifying that quota for filesystem /home1/01882/me is at 3.80% allocated...OK
"""


@pytest.mark.parametrize(
    "text",
    [
        "1234\n",
        "1234;cluster\n",
        "1234;cluster-2.site\r\n",
        "Submitted batch job 1234\n",
        "Submitted batch job 1234 on cluster lab5\n",
        f"{BANNER}Submitted batch job 1234\n",
        f"{BANNER}1234\n",
        f"1234;ls5\n{BANNER}",
        "5\nSubmitted batch job 1234\n7",
        "5\n1234;cluster\n",
        "Loading cuda/12.1\n  Loading requirement: gcc/9.3.0\n1234\n",
        "2026-11-26 12:00:05 Submitted batch job 1234",
        "2026-11-26 12:00:05 1234",
        "2026-11-26T12:00:05.123Z 1234",
        "2026-11-26T12:00:05+01:00 1234;lab",
        "[2026-11-26 12:00:05] 1234",
        "[12:00:05] 1234",
        "12:00:05: 1234",
        "Nov 26 12:00:05 1234",
        "Thu Nov 26 16:22:22 UTC 2026 1234",
        "Thu Nov 26 16:22:22 UTC 2026\n1234",
        "Thu 26 Nov 2026 04:22:22 PM UTC 1234",
        "Thu, 26 Nov 2026 16:22:22 +0100 1234",
        "1790000000.25 1234",
        "1790000000\n1234",
        "\x1b[32m1234\x1b[0m\n",
        "sbatch: Submitted batch job 1234.",
        "1234\nSubmitted batch job 1234\n",
    ],
)
def test_the_number_is_found(text):
    assert readJobNumber(text) == "1234"


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", BANNER, "Submitted", "5\n6\n", "Submitted batch job 5\nSubmitted batch job 6\n", "job 5 is yours",
        "5;a\n6;a", "Submitted batch job 12.5", "0", "-5", "007", "5 6", "\u0665", "Submitted batch job 5x", "12:00:05",
        "2026-11-26", "1790000000", "5%", "Balance: 5", "1,234", "Thu Nov 26 16:22:22 UTC 2026", "2026-11-26 12:00:05",
    ],
)  # fmt: skip
def test_what_is_not_certain_is_an_error_that_says_what_was_printed(text):
    with pytest.raises(JobsError, match=r"sbatch printed (no number|more than one number).*--parsable") as error:
        readJobNumber(text)
    words = text.split()
    assert not words or (words[0] in str(error.value) or "\\u" in repr(words[0]))


@given(st.text(st.characters(codec="ascii", exclude_characters=";"), max_size=60))
def test_a_banner_never_makes_another_number(banner):
    """Whatever stands around it, the number said is the number read, or none is."""
    text = f"{banner}\nSubmitted batch job 1234\n{banner}"
    if "Submitted batch job" not in banner:
        assert readJobNumber(text) == "1234"
    try:
        assert readJobNumber(f"{banner}\n1234\n") == "1234"
    except JobsError:
        return


ROWS = st.lists(st.tuples(st.from_regex("[0-9]{1,5}", fullmatch=True), st.text("abc |()", max_size=9)), max_size=5)


@given(ROWS, st.data())
def test_a_listing_that_is_cut_off_is_refused_or_ends_with_a_whole_line(rows, data):
    text = "".join(f"{MARK}{number}|{reason}{END}\n" for number, reason in [("JOBID", "REASON"), *rows])
    assert readListing(text, 2) == rows
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    if cut.endswith((END, "\n")) and cut:
        assert readListing(cut, 2) == rows[: cut.count(END) - 1]
    else:
        with pytest.raises(JobsError, match="squeue printed"):
            readListing(cut, 2)
