"""IBM Spectrum LSF. Tested against recorded output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.workers.jobs.adapter import Adapter, Listed, findUser, hasGPU, readJSON
from appion.base.workers.jobs.answer import JobsError, quote

STATES = {
    "PEND": "PENDING", "WAIT": "PENDING", "PROV": "CONFIGURING", "RUN": "RUNNING", "PSUSP": "PENDING",
    "USUSP": "SUSPENDED", "SSUSP": "SUSPENDED", "DONE": "COMPLETED", "EXIT": "FAILED",
}  # fmt: skip


class LSF(Adapter):
    """What it says is JSON, with reasons; ended jobs are listed for an hour."""

    name = "lsf"
    title = "LSF"
    programs = ("bsub", "bjobs", "bkill")
    said = re.compile(r"\bJob <([1-9]\d*)> is submitted to\b", re.ASCII)
    stdin = True
    release, show, look = "bresume", "bjobs -l", "bjobs -a -J {label}"
    exports = (
        'export APPION_JOB="$LSB_JOBID" APPION_NODE="${LSB_HOSTS%% *}"',
        'export OMP_NUM_THREADS="${LSB_DJOB_NUMPROC:-1}"',
    )
    walltime = 60.0  # hours and minutes

    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]  # noqa: ARG002
    ) -> dict[str, Any]:
        """No mail with the output: the script writes its own log. GPUs are the job's alone."""
        given = [str(line) for line in options.get("job-extra-directives") or []]
        lines = ["-rn", "-o /dev/null"]
        if gpus and not hasGPU(given):
            lines.append(f'-gpu "num={gpus}:j_exclusive=yes"')
        if excluded:
            wanted = " && ".join(f"hname!='{node}'" for node in excluded)
            lines.append(f'-R "select[{wanted}]"')
        return {
            "ncpus": int(options.get("ncpus") or options.get("cores") or 1),
            "job_directives_skip": ["#BSUB -e ", "#BSUB -o "],
            "job_extra_directives": [*given, *lines],
        }

    def constructListing(self, label: str) -> tuple[str, ...]:
        fields = "jobid stat exec_host job_name pend_reason exit_reason"
        return ("bjobs", "-a", "-u", findUser(), "-J", label, "-json", "-o", fields)

    def isEmpty(self, error: str) -> bool:
        return re.match(r"bjobs: (Job <[^>]*> is not found|No (\w+ )?job found)\b", error) is not None

    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        tree = readJSON(text, "bjobs")
        records = tree.get("RECORDS") if isinstance(tree, dict) else None
        if not isinstance(records, list) or str(tree.get("JOBS")) != str(len(records)):
            raise JobsError(f"bjobs printed no list of jobs: {quote(text)}")
        jobs = {}
        for record in records:
            words = {key: str(record.get(key) or "") for key in
                     ("JOBID", "STAT", "EXEC_HOST", "JOB_NAME", "PEND_REASON", "EXIT_REASON")}  # fmt: skip
            if words["JOB_NAME"] != label:
                continue
            number, state = words["JOBID"], words["STAT"]
            if not (self.number.fullmatch(number) and re.fullmatch("[A-Z]+", state)):
                raise JobsError(f"bjobs printed {quote(f'{number}|{state}')} for number and state of job {label}")
            reason = words["PEND_REASON"] or words["EXIT_REASON"]
            if state == "PSUSP":
                reason = f"held ({reason or state})"
            cancelled = state == "EXIT" and re.search("TERM_OWNER|TERM_ADMIN|TERM_FORCE", reason)
            node = words["EXEC_HOST"].partition(":")[0].rpartition("*")[2]
            jobs[number] = Listed("CANCELLED" if cancelled else STATES.get(state, state), node, reason)
        return jobs

    def isOver(self, error: str) -> bool:
        lines = re.sub(r"^bkill: | \(exit code \d+\)$", "", error).splitlines()
        over = r"Job <\d+>:? (?:Job has already finished|No matching job found|is being terminated)"
        return all(re.match(over, line) for line in lines)
