"""OAR. Tested against recorded output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.workers.jobs.adapter import Adapter, Listed, findUser, hasGPU, readJSON
from appion.base.workers.jobs.answer import JobsError, quote

STATES = {
    "Waiting": "PENDING", "Hold": "PENDING", "toAckReservation": "PENDING", "toLaunch": "CONFIGURING",
    "Launching": "CONFIGURING", "Running": "RUNNING", "Resuming": "SUSPENDED", "Suspended": "SUSPENDED",
    "Finishing": "COMPLETING", "Terminated": "ENDED", "Error": "FAILED", "toError": "FAILED",
}  # fmt: skip


class OAR(Adapter):
    """Jobs cannot be kept away from a node, as there is one line of properties, which is the site's."""

    name = "oar"
    title = "OAR"
    programs = ("oarsub", "oarstat", "oardel")
    said = re.compile(r"\bOAR_JOB_ID=([1-9]\d*)", re.ASCII)
    release, show, look = "oarresume", "oarstat -f -j", "oarstat -u $USER"
    exports = (
        'export APPION_JOB="$OAR_JOB_ID" APPION_NODE="$(head -n 1 "$OAR_NODEFILE")"',
        'export OMP_NUM_THREADS="$(wc -l < "$OAR_NODEFILE")"',
    )
    excludes = False
    memory = False

    def parseWalltime(self, text: Any) -> float:
        """H, H:M or H:M:S."""
        word = str(text).strip().strip("'\"")
        if text is None or not word:
            return 7200.0  # what OAR gives to a job that does not say
        if not re.fullmatch(r"\d+(?::\d+){0,2}", word):
            raise ConfigurationFailure(f"jobqueue.oar.walltime is {text!r}", "write for example '12:00:00'")
        return sum(int(part) * 3600.0 / 60**i for i, part in enumerate(word.split(":")))

    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]  # noqa: ARG002
    ) -> dict[str, Any]:
        given = [str(line) for line in options.get("job-extra-directives") or []]
        spec = options.get("resource-spec")
        if not spec:
            ask = gpus and not hasGPU(given)
            spec = f"/nodes=1/gpu={gpus}" if ask else f"/nodes=1/core={int(options.get('cores') or 1)}"
        return {
            "resource_spec": spec,
            "memory_per_core_property_name": options.get("memory-per-core-property-name") or "not_applicable",
            "job_extra_directives": [*given, "--stdout=/dev/null", "--stderr=/dev/null"],
        }

    def constructListing(self, label: str) -> tuple[str, ...]:  # noqa: ARG002
        return ("oarstat", "-J", "-u", findUser())

    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        records = readJSON(text, "oarstat")
        if not isinstance(records, dict):
            raise JobsError(f"oarstat printed no list of jobs: {quote(text)}")
        jobs = {}
        for number, record in records.items():
            if not isinstance(record, dict) or record.get("name") != label:
                continue
            state = str(record.get("state") or "")
            if not (self.number.fullmatch(number) and re.fullmatch("[A-Za-z]+", state)):
                raise JobsError(f"oarstat printed {quote(f'{number}|{state}')} for number and state of job {label}")
            message = str(record.get("message") or "")
            reason = f"held ({message or state})" if state == "Hold" else message or state
            node = next(iter(record.get("assigned_network_address") or []), "")
            jobs[number] = Listed(STATES.get(state, state.upper()), str(node), reason)
        return jobs

    def isOver(self, error: str) -> bool:
        return re.search(r"already (?:terminated|been killed|killed)|does not exist", error) is not None
