"""Grid Engine (SGE, Son of Grid Engine, Open Grid Scheduler; Univa's and Altair's). Tested on a real one."""

from __future__ import annotations

import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.workers.jobs.adapter import Adapter, Listed, findUser, hasGPU
from appion.base.workers.jobs.answer import JobsError, quote

#: What qdel says of jobs that had ended, and of those that it did cancel.
SAID = re.compile(
    r'denied: job "\d+" does not exist|\S+ has (?:registered the job|deleted job) .*|job \d+ is already in deletion'
)


class GridEngine(Adapter):
    """A job that has ended is listed as zombie for a while, without saying how it ended."""

    name = "sge"
    title = "Grid Engine"
    programs = ("qsub", "qstat", "qdel")
    submitOptions = ("-terse",)
    said = re.compile(r"\bYour job ([1-9]\d*) \(", re.ASCII)
    bare = True
    release, show, look = "qrls", "qstat -j", "qstat -r -u $USER"
    exports = (
        'export APPION_JOB="$JOB_ID" APPION_NODE="$HOSTNAME"',
        'export OMP_NUM_THREADS="${NSLOTS:-1}"',
    )
    memory = False

    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]
    ) -> dict[str, Any]:
        """Bash, whatever the queue's shell is; the script writes its own log; GPUs are the complex `gpu`."""
        given = [str(line) for line in options.get("job-extra-directives") or []]
        lines = ["-r n", "-o /dev/null", f"-wd {shlex.quote(str(rundir))}"]
        if not any(re.match(r"-S\b", line) for line in given):
            lines.append("-S /bin/bash")
        if gpus and not hasGPU([*given, options.get("resource-spec")]):
            lines.append(f"-l gpu={gpus}")
        if excluded:
            lines.append(f"-l h=!({'|'.join(excluded)})")
        skip = ["#$ -cwd", "#$ -e ", "#$ -o "]
        return {"job_directives_skip": skip, "job_extra_directives": [*given, *lines]}

    def constructListing(self, label: str) -> tuple[str, ...]:  # noqa: ARG002
        return ("qstat", "-xml", "-u", findUser(), "-s", "prsz")

    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        """From the elements `job_list`; a document that is cut off is none."""
        try:
            root = ElementTree.fromstring(text[text.index("<?xml") :].strip())
        except (ValueError, ElementTree.ParseError):
            raise JobsError(f"qstat printed no list of jobs: {quote(text)}") from None
        jobs: dict[str, Listed] = {}
        for job in root.iter("job_list"):
            keys = ("JB_job_number", "JB_name", "state", "queue_name")
            number, name, letters, queue = ((job.findtext(key) or "").strip() for key in keys)
            if name != label:
                continue
            if not self.number.fullmatch(number):
                raise JobsError(f"qstat printed {quote(number)} for the number of job {label}")
            state, reason = translate(letters)
            jobs[number] = Listed(state, queue.rpartition("@")[2], reason)
        return jobs

    def isOver(self, error: str) -> bool:
        lines = re.sub(r"^qdel: | \(exit code 1\)$", "", error).splitlines()
        return all(SAID.fullmatch(line.strip()) for line in lines)


def translate(letters: str) -> tuple[str, str]:
    """State and reason for letters such as ``qw``, ``hqw``, ``Eqw``, ``t``, ``r``, ``dr``, ``z``."""
    if "z" in letters:
        return "ENDED", ""
    if "d" in letters:
        return "COMPLETING", ""
    if "E" in letters:
        return "PENDING", f"error ({letters})"
    if "h" in letters:
        return "PENDING", f"held ({letters})"
    if re.search("[sST]", letters):
        return "SUSPENDED", letters
    words = {"r": "RUNNING", "t": "CONFIGURING", "w": "PENDING"}
    return next((word for letter, word in words.items() if letter in letters), letters.upper()), letters
