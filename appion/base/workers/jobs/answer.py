"""What the commands for jobs say, told from what a site's wrappers print around it: banners, times, modules' chatter.

A number that is misread is somebody else's job, and would be cancelled. So nothing is taken for an answer but what
cannot be anything else; the rest is an error that says what was printed.
"""

from __future__ import annotations

import re

#: Around each line of a listing that was asked for; what stands outside of them is not Slurm's.
MARK, END = "appion-job|", "|end-of-job"

#: The highest number that Slurm gives to a job.
MAXIMUM = 0x03FFFFFF

_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?: ?[AP]M)?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
_DAY = r"(?:[A-Z][a-z]{2},? +)?(?:[A-Z][a-z]{2} +\d{1,2}|\d{1,2} +[A-Z][a-z]{2})(?: +\d{4})?"
_DATE = rf"(?:\d{{4}}[-/.]\d\d[-/.]\d\d|\d\d[-/.]\d\d[-/.]\d{{4}}|{_DAY})"

#: A time at the beginning of a line, as loggers and `date` write it. A year behind it is never left over as a number.
STAMP = re.compile(
    rf"^\W?(?:(?:{_DATE}[T ]+)?{_CLOCK}|\d{{10}}\.\d+)(?: +[A-Z]{{3,5}})?+(?: +20\d\d\b)?+\W?[:|-]?\s+", re.ASCII
)
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
PARSABLE = re.compile(r"([1-9]\d*)(;[\w.-]+)?", re.ASCII)
SUBMITTED = re.compile(r"\bSubmitted batch job ([1-9]\d*)(?![\w.-]*\w)", re.ASCII)


class JobsError(RuntimeError):
    """A command of the job scheduler failed, or what it said is no answer; the text is what it printed."""


def findNumber(text: str, said: re.Pattern[str], bare: bool, program: str) -> str:
    """The number of the job that a program says to have submitted, out of all that was printed.

    Args:
        said: how it is said, with the number as first group.
        bare: whether a line that is nothing but the number says it, too, where it is not said otherwise.

    Raises:
        JobsError: there is no such number, or more than one.
    """
    lines = [COLOUR.sub("", line).strip() for line in text.splitlines()]
    found = {match[1] for line in lines for match in said.finditer(line)}
    if bare and not found:
        found = {match[1] for line in lines if (match := PARSABLE.fullmatch(STAMP.sub("", line)))}
    if len(found) != 1:
        number = "no number of a job" if not found else f"more than one number ({', '.join(sorted(found))})"
        raise JobsError(f"{program} printed {number}: {quote(text)}")
    return found.pop()


def readJobNumber(text: str) -> str:
    """The number of the job that `sbatch --parsable` has submitted, out of all that was printed.

    Where ``Submitted batch job N`` is said, it is that number; else the one of the only line that is nothing but a
    number, or number and cluster, after a time stamp at most.

    Raises:
        JobsError: there is no such number, or more than one.
    """
    lines = [COLOUR.sub("", line).strip() for line in text.splitlines()]
    matches = [match for line in lines if (match := PARSABLE.fullmatch(STAMP.sub("", line)))]
    kinds = (
        {match[1] for line in lines for match in SUBMITTED.finditer(line)},
        {match[1] for match in matches if match[2]},
        {match[1] for match in matches if not match[2] and int(match[1]) <= MAXIMUM},
    )
    found = next((kind for kind in kinds if kind), set())
    if len(found) != 1:
        number = "no number of a job" if not found else f"more than one number ({', '.join(sorted(found, key=int))})"
        raise JobsError(
            f"sbatch printed {number}: {quote(text)} (if it is a wrapper of the site, have it print what sbatch "
            "--parsable prints, and nothing else on standard output)"
        )
    return found.pop()


def constructFormat(*fields: str) -> str:
    """The format of squeue for these fields, such as ``%i``, which :func:`readListing` reads; free text comes last."""
    return f"{MARK}{'|'.join(fields)}{END}"


def readListing(text: str, fields: int) -> list[tuple[str, ...]]:
    """The rows of so many fields that squeue printed in a format of :func:`constructFormat`, without its headings.

    Raises:
        JobsError: a row is cut off, or not even the heading is there; then nothing of it is to be believed.
    """
    pattern = re.compile(re.escape(MARK) + r"([^|]*)\|" * (fields - 1) + "(.*)" + re.escape(END))
    lines = text.split("\n")
    rows = []
    for line in lines:
        if MARK in line or END in line:
            match = pattern.search(line)
            if match is None or line.count(MARK) != 1:
                raise JobsError(f"squeue printed a line that is cut off: {quote(line)} ({REMEDY})")
            rows.append(match.groups())
    if lines[-1] and MARK.startswith(lines[-1]):
        raise JobsError(f"squeue printed a list that is cut off at {quote(lines[-1])} ({REMEDY})")
    jobs = [row for row in rows if row[0] != "JOBID"]
    if len(jobs) == len(rows):  # squeue prints a heading also where there is no job
        raise JobsError(f"squeue printed no list of jobs: {quote(text)} ({REMEDY})")
    return jobs


REMEDY = "if it is a wrapper of the site, have it hand on its options and print all that squeue prints, or leave it out"


def quote(text: str) -> str:
    """What was printed, in one short line."""
    line = re.sub(r"\s*\n\s*", "; ", text.strip())
    return repr(line if len(line) <= 200 else f"{line[:140]} … {line[-50:]}") if line else "nothing"
