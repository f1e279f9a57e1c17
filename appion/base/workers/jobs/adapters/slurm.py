"""Slurm. Tested on a real one."""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.workers.jobs.adapter import Adapter, Listed
from appion.base.workers.jobs.answer import (
    SUBMITTED,
    JobsError,
    constructFormat,
    quote,
    readJobNumber,
    readListing,
)

#: What is asked of squeue about each job: id, state, nodes, name, reason.
SQUEUE_FORMAT = constructFormat("%i", "%T", "%N", "%j", "%r")

#: What scancel says of jobs that ended before it could do anything.
ENDED_MEANWHILE = re.compile(r"scancel: (?:scancel: error: .*(?:Invalid job id|already).*\n?)+ \(exit code 1\)")

WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})")


class Slurm(Adapter):
    """Slurm's own words are those of the house."""

    name = "slurm"
    title = "Slurm"
    programs = ("sbatch", "squeue", "scancel")
    submitOptions = ("--parsable",)
    said = SUBMITTED
    # It is held, asks for what there is not, or has no right to it. Waiting for one's turn (Priority) is none of them.
    stuck = re.compile(
        r"hold|held|invalid|never|notallowed|notpermitted|badconstraints|reqnodenotavail|nodedown|reservationdeleted|"
        r"userenv|^partition|^assoc|^qos|^account|^max|frontenddown|down,drained|launchfail"
    )
    release, joint = "scontrol release", ","
    show, look = "scontrol show job", "squeue --name={label}"
    end = "SLURM_JOB_END_TIME"
    example = "--qos=live"

    def parseWalltime(self, text: Any) -> float:
        """Minutes, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
        word = str(text).strip().strip("'\"")
        if text is None or word.lower() in ("", "0", "unlimited", "infinite"):
            return math.inf
        match = WALLTIME.fullmatch(word)
        if match is None:
            raise ConfigurationFailure(f"jobqueue.slurm.walltime is {text!r}", "write for example '12:00:00'")
        numbers = [int(number) for number in match["rest"].split(":")]
        if match["days"] is not None:
            hours, minutes, seconds = (*numbers, 0, 0)[:3]
            hours += 24 * int(match["days"])
        elif len(numbers) == 3:
            hours, minutes, seconds = numbers
        else:
            hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
        return 3600.0 * hours + 60.0 * minutes + seconds

    def constructOptions(
        self, rundir: Path, gpus: int, options: Mapping[str, Any], excluded: Sequence[str]
    ) -> dict[str, Any]:
        """Log, no requeue, GPUs, nodes to keep away from. A job's processors are `job-cpu`, not Dask's threads."""
        given = [str(line) for line in options.get("job-extra-directives") or []]
        log = f"{rundir}/logs/{self.constructName(rundir)}-".replace("%", "%%") + "%j.log"
        lines = ["--no-requeue", f"--output={shlex.quote(log)}"]
        if gpus and not any(re.match(r"--(gres|gpus)", line) for line in given):
            lines.append(f"--gres=gpu:{gpus}")
        exclude = re.compile(r"(?:--exclude[= ]|-x\s*)(.+)")
        nodes = [match[1].strip() for line in given if (match := exclude.fullmatch(line))]
        if nodes := [*nodes, *excluded]:
            lines.append(f"--exclude={','.join(nodes)}")
        return {
            "job_cpu": int(options.get("job-cpu") or options.get("cores") or 1),
            "job_directives_skip": ["#SBATCH -e ", "#SBATCH -o "],
            "job_extra_directives": [*(line for line in given if not exclude.fullmatch(line)), *lines],
        }

    def readNumber(self, text: str) -> str:
        return readJobNumber(text)

    def constructListing(self, label: str) -> tuple[str, ...]:
        return ("squeue", "--states=all", *selectOurs(label), f"--format={SQUEUE_FORMAT}")

    def readListing(self, text: str, label: str) -> dict[str, Listed]:
        return parseSqueue(text, label)

    def constructCancel(self, label: str, numbers: Sequence[str]) -> tuple[str, ...]:
        """It looks at their name once more."""
        return ("scancel", *selectOurs(label), *numbers)

    def isOver(self, error: str) -> bool:
        return ENDED_MEANWHILE.fullmatch(error) is not None


def selectOurs(label: str) -> tuple[str, str]:
    """What keeps Slurm's commands to the jobs of this run."""
    return f"--user={os.getuid()}", f"--name={label}"


def parseSqueue(text: str, name: str) -> dict[str, Listed]:
    """Jobs of this name by id from what squeue printed in :data:`SQUEUE_FORMAT`; other jobs are none of ours.

    Raises:
        JobsError: it is cut off or something else; then nothing of it is to be believed.
    """
    jobs = {}
    for number, state, node, job_name, reason in readListing(text, 5):
        if job_name != name:
            continue
        if not (re.fullmatch(r"[1-9][0-9]*", number) and re.fullmatch("[A-Z_]+", state)):
            raise JobsError(f"squeue printed {quote(f'{number}|{state}')} for number and state of job {name}")
        jobs[number] = Listed(state, re.sub(r"^\(.*\)$", "", node), reason)
    return jobs
