"""HTCondor. Tested against recorded output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.workers.jobs.adapter import Adapter, Listed, hasGPU, readJSON
from appion.base.workers.jobs.answer import JobsError, quote

#: Values of JobStatus.
STATES = {1: "PENDING", 2: "RUNNING", 3: "CANCELLED", 4: "COMPLETED", 5: "PENDING", 6: "COMPLETING", 7: "SUSPENDED"}

#: A job that was interrupted or put on hold would start again under a name that is taken.
REMOVE = "(JobStatus == 1 || JobStatus == 5) && NumJobStarts > 0"

ATTRIBUTES = "ClusterId,ProcId,JobStatus,RemoteHost,HoldReason,AppionRun"


class HTCondor(Adapter):
    """Jobs have no names: those of a run have an attribute of their own. There is no time limit to set."""

    name = "htcondor"
    title = "HTCondor"
    programs = ("condor_submit", "condor_q", "condor_rm")
    said = re.compile(r"\bsubmitted to cluster ([1-9]\d*)", re.ASCII)
    number = re.compile(r"[1-9]\d*\.0", re.ASCII)
    release, show = "condor_release", "condor_q -better-analyze"
    look = "condor_q -constraint 'AppionRun == \"{label}\"'"
    # Commands between ` `: HTCondor itself replaces what stands behind a dollar and a bracket.
    exports = (
        """export APPION_JOB=`sed -n 's/^ClusterId = //p' "$_CONDOR_JOB_AD"`.0""",
        """export APPION_NODE=`sed -n 's/^Machine = "\\(.*\\)"/\\1/p' "$_CONDOR_MACHINE_AD"`""",
        """export OMP_NUM_THREADS=`sed -n 's/^Cpus = //p' "$_CONDOR_MACHINE_AD"`""",
    )
    walltime = 0.0
    pairs = True

    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]
    ) -> dict[str, Any]:
        given = dict(options.get("job-extra-directives") or {})
        ours: dict[str, Any] = {
            "MY.AppionRun": f'"{self.constructName(rundir)}"',
            "RequestCpus": int(options.get("cores") or 1),
            "periodic_remove": REMOVE,
        }
        if gpus and not hasGPU(list(given)):
            ours["request_gpus"] = gpus
        if excluded:
            key = next((key for key in given if key.lower() == "requirements"), "Requirements")
            wanted = [f"({given[key]})"] if key in given else []
            given[key] = " && ".join([*wanted, *(f'Machine != "{node}"' for node in excluded)])
        return {"disk": options.get("disk") or "1GB", "job_extra_directives": {**ours, **given}}

    def readNumber(self, text: str) -> str:
        return f"{super().readNumber(text)}.0"

    def constructListing(self, label: str) -> tuple[str, ...]:
        return ("condor_q", "-json", "-constraint", f'AppionRun == "{label}"', "-attributes", ATTRIBUTES)

    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        """Nothing at all where there is no job."""
        records = readJSON(text, "condor_q") if text.strip() else []
        if not isinstance(records, list):
            raise JobsError(f"condor_q printed no list of jobs: {quote(text)}")
        jobs = {}
        for record in records:
            if record.get("AppionRun") != label:
                continue
            number, status = f"{record.get('ClusterId')}.{record.get('ProcId')}", record.get("JobStatus")
            if not (self.number.fullmatch(number) and isinstance(status, int)):
                raise JobsError(f"condor_q printed {quote(f'{number}|{status}')} for number and state of job {label}")
            reason = f"held ({record.get('HoldReason') or status})" if status == 5 else ""
            node = str(record.get("RemoteHost") or "").rpartition("@")[2]
            jobs[number] = Listed(STATES.get(status, str(status)), node, reason)
        return jobs

    def constructCancel(self, label: str, numbers: Sequence[str]) -> tuple[str, ...]:
        """It looks at the run once more."""
        clusters = " || ".join(f"ClusterId == {number.partition('.')[0]}" for number in numbers)
        return ("condor_rm", "-constraint", f'AppionRun == "{label}" && ({clusters})')

    def isOver(self, error: str) -> bool:
        return re.search(r"Couldn't find/remove all jobs matching", error) is not None
