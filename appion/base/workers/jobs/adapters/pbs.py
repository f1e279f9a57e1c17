"""PBS: OpenPBS, PBS Professional, Torque. Tested against recorded output."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dask.utils import parse_bytes

from appion.base.workers.jobs.adapter import Adapter, Listed, calcMark, findUser, hasGPU
from appion.base.workers.jobs.answer import JobsError, quote

#: What the listing ends with once it is whole, with the exit code of qstat and the numbers of all jobs: both commands
#: print nothing at all where there is no job.
END = "appion-end-of-jobs"

#: Exit codes of qstat that say that a job has ended since qselect named it.
MEANWHILE = ("35", "153")

#: Of our jobs alone, since a list of all takes long on a large site.
LISTING = f"""ids=$(qselect -u "$1" -N "$2") || exit
[ -z "$ids" ] || qstat -f $ids
code=$?
case $code in 0|{'|'.join(MEANWHILE)}) echo; echo {END} $code $ids;; *) exit 1;; esac"""

STATES = {
    "Q": "PENDING", "W": "PENDING", "T": "PENDING", "M": "PENDING", "H": "PENDING", "R": "RUNNING", "B": "RUNNING",
    "E": "COMPLETING", "S": "SUSPENDED", "U": "SUSPENDED", "C": "ENDED", "F": "ENDED", "X": "ENDED",
}  # fmt: skip


class PBS(Adapter):
    """Jobs cannot be kept away from a node, and most sites forget a job the moment it ends."""

    name = "pbs"
    title = "PBS"
    programs = ("qsub", "qstat", "qdel")
    said = re.compile(r"^([1-9]\d*\.[\w.-]+)$", re.ASCII)
    number = re.compile(r"[1-9]\d*(?:\.[\w.-]+)?", re.ASCII)
    stuck = re.compile(r"^held|neverrun")
    release, show, look = "qrls", "qstat -f", "qselect -u $USER -N {label}"
    exports = (
        'export APPION_JOB="$PBS_JOBID" APPION_NODE="$(hostname -s)"',
        'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${NCPUS:-1}}"',
    )
    excludes = False

    def constructName(self, rundir: Path) -> str:
        """Fifteen letters, as older ones take no more."""
        return f"appion-{calcMark(rundir)}"

    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]  # noqa: ARG002
    ) -> dict[str, Any]:
        """The script writes its own log: PBS's is copied when the job has ended. GPUs are `ngpus` of the selection."""
        given = [str(line) for line in options.get("job-extra-directives") or []]
        spec = options.get("resource-spec")
        if not spec:
            memory = math.ceil(parse_bytes(options.get("memory") or "1GB") / 2**20)
            spec = f"select=1:ncpus={int(options.get('cores') or 1)}:mem={memory}mb"
            spec += f":ngpus={gpus}" if gpus and not hasGPU(given) else ""
        lines = ["-r n", "-j oe", "-o /dev/null"]
        if not any(re.match(r"-S\b", line) for line in given):
            lines.append("-S /bin/bash")
        return {"resource_spec": spec, "job_directives_skip": ["#PBS -e ", "#PBS -o "],
                "job_extra_directives": [*given, *lines]}  # fmt: skip

    def constructListing(self, label: str) -> tuple[str, ...]:
        return ("sh", "-c", LISTING, "sh", findUser(), label)

    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        """From paragraphs ``Job Id: …`` with lines ``key = value``, which go on after a tab; one for each job."""
        end = re.search(rf"^{END} (\d+)((?: \S+)*)\s*\Z", text, re.MULTILINE)
        if end is None:
            raise JobsError(f"qstat printed a list of jobs that is cut off: {quote(text)}")
        jobs = {}
        for paragraph in re.split(r"^Job Id:\s*", text.replace("\n\t", ""), flags=re.MULTILINE)[1:]:
            number = paragraph.split("\n", 1)[0].strip()
            words = dict(re.findall(r"^\s+(\w+) = (.*)$", paragraph, re.MULTILINE))
            if words.get("Job_Name", "").strip() != label:
                continue
            letter, comment = words.get("job_state", "").strip(), words.get("comment", "").strip()
            if not (self.number.fullmatch(number) and re.fullmatch("[A-Z]", letter)):
                raise JobsError(f"qstat printed {quote(f'{number}|{letter}')} for number and state of job {label}")
            reason = f"held ({comment or letter})" if letter == "H" else comment or letter
            node = words.get("exec_host", "").strip().partition("/")[0]
            jobs[number] = Listed(STATES.get(letter, letter), node, reason)
        if end[1] not in MEANWHILE and (missing := set(end[2].split()) - set(jobs)):
            raise JobsError(f"qstat printed a list of jobs without {', '.join(sorted(missing))}: {quote(text)}")
        return jobs

    def isOver(self, error: str) -> bool:
        lines = re.sub(r" \(exit code \d+\)$", "", error).splitlines()
        return all(re.search(r"Unknown Job Id|Job has finished|invalid state for job", line) for line in lines)
