"""Pure decisions about jobs: what Slurm says of them, and which are lost."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appion.base.workers.slurm.answer import SlurmError, constructFormat, quote, readListing

#: States in which a job runs no more. A state that is not known counts as alive.
ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
     "TIMEOUT"}
)  # fmt: skip

#: States that say something about the node.
NODE_TROUBLE = frozenset({"BOOT_FAIL", "FAILED", "NODE_FAIL"})

#: What is asked of squeue about each job: id, state, nodes, name, reason.
SQUEUE_FORMAT = constructFormat("%i", "%T", "%N", "%j", "%r")

#: States in which a job waits for a person.
HELD = frozenset({"REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "STOPPED", "SUSPENDED"})

#: Reasons of Slurm's for which a job waits until a person does something, as far as can be told from here: it is held,
#: asks for what there is not, or has no right to it. Waiting for one's turn (Priority, Resources) is none of them.
STUCK = re.compile(
    r"hold|held|invalid|never|notallowed|notpermitted|badconstraints|reqnodenotavail|nodedown|reservationdeleted|"
    r"userenv|^partition|^assoc|^qos|^account|^max|frontenddown|down,drained|launchfail"
)


@dataclass(frozen=True)
class Listed:
    """One job as squeue shows it; `node` is empty before it runs."""

    state: str
    node: str
    reason: str


@dataclass(frozen=True)
class Facts:
    """One job as seen from here.

    Attributes:
        job_id: Slurm's number; None: its submission failed.
        registered: its worker is there now; `seen`: it was there at some time.
        age: seconds since it was submitted.
        missing: how many times in a row squeue did not list it.
        silent: seconds since it runs, or since its worker was lost, without a worker; None: it does not run.
    """

    job_id: str | None = None
    registered: bool = False
    seen: bool = False
    age: float = 0.0
    missing: int = 0
    silent: float | None = None


@dataclass(frozen=True)
class Patience:
    """Seconds: for a submitted job to be listed, for a running job to have a worker, for a lost worker to come back."""

    listed: float = 15.0
    start: float = 300.0
    back: float = 15.0


@dataclass(frozen=True)
class Loss:
    """A job to be given up: why, whether that was before it had ever had a worker, and whether to blame its node."""

    why: str
    early: bool
    node: str = ""
    blamed: bool = False


def parseSqueue(text: str, name: str) -> dict[str, Listed]:
    """Jobs of this name by id from what squeue printed in :data:`SQUEUE_FORMAT`; other jobs are none of ours.

    Raises:
        SlurmError: it is cut off or something else; then nothing of it is to be believed.
    """
    jobs = {}
    for number, state, node, job_name, reason in readListing(text, 5):
        if job_name != name:
            continue
        if not (re.fullmatch(r"[1-9][0-9]*", number) and re.fullmatch("[A-Z_]+", state)):
            raise SlurmError(f"squeue printed {quote(f'{number}|{state}')} for number and state of job {name}")
        jobs[number] = Listed(state, re.sub(r"^\(.*\)$", "", node), reason)
    return jobs


def isStuck(job: Listed) -> bool:
    """Whether a job will not start unless a person does something."""
    if job.state in HELD:
        return True
    return job.state == "PENDING" and STUCK.search(re.sub(r"[\s_]+", "", job.reason.lower())) is not None


def describeStuck(listing: Mapping[str, Listed], ours: Mapping[str, bool]) -> str:
    """Why none of our jobs can start, with their numbers and what to type; empty if one works or may yet.

    Args:
        ours: number of each job -> whether its worker is there.
    """
    there = {key: listing[key] for key in ours if key in listing and isAlive(listing[key])}
    if any(ours.values()) or not there or not all(isStuck(job) for job in there.values()):
        return ""
    groups: dict[str, list[str]] = {}
    for key, job in there.items():
        groups.setdefault(job.reason if job.reason not in ("", "None") else job.state, []).append(key)
    parts = []
    for reason, numbers in sorted(groups.items(), key=lambda group: -len(group[1])):
        keys = sorted(numbers, key=int)
        some = ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "")
        held = re.search("held|jobhold|_hold", reason.lower())
        remedy = f"release with: scontrol release {','.join(keys)}" if held else f"see: scontrol show job {keys[0]}"
        parts.append(f"{reason} (job{'s' * (len(keys) > 1)} {some}; {remedy})")
    return "; ".join(parts)


def findLoss(facts: Facts, listed: Listed | None, patience: Patience) -> Loss | None:
    """Whether a job is lost, given how squeue lists it (None: it does not). While its worker is there it never is."""
    if not facts.job_id:
        return Loss("it was not submitted", early=True)
    if facts.registered:
        return None
    if listed is None:
        if facts.missing >= 2 and facts.age > patience.listed:
            return Loss("Slurm knows it no more", early=not facts.seen)
        return None
    if listed.state in ENDED:
        reason = f" ({listed.reason})" if listed.reason not in ("", "None") else ""
        word = "" if facts.seen else " before its worker was there"
        blamed = listed.state in NODE_TROUBLE or (not facts.seen and listed.state != "CANCELLED")
        return Loss(f"{listed.state}{reason}{word}", not facts.seen, listed.node, blamed)
    if facts.silent is not None:
        limit = patience.back if facts.seen else patience.start
        if facts.silent > limit:
            why = "its worker is gone" if facts.seen else f"no worker after {facts.silent:.0f} s"
            return Loss(why, early=not facts.seen, node=listed.node, blamed=not facts.seen)
    return None


def isAlive(job: Listed) -> bool:
    """Whether a job may still do something: it has not ended and is not about to."""
    return job.state not in ENDED and job.state != "COMPLETING"


def findStrangers(listing: Mapping[str, Listed], known: Iterable[str | None]) -> list[str]:
    """Jobs under our name that we know nothing of: left by a daemon that was killed, or by an sbatch that hung."""
    return sorted({key for key, job in listing.items() if isAlive(job)} - set(known), key=int)


def countJobs(
    listing: Mapping[str, Listed], ours: Mapping[str, bool]
) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """How many jobs work, are starting, are pending or in a state not known, and why those wait, as Slurm says.

    Args:
        ours: number of each job -> whether its worker is there.
    """
    words = {"PENDING": "pending", "CONFIGURING": "starting", "RUNNING": "starting"}
    found = {key: listing.get(key, Listed("", "", "")) for key in ours}
    states = Counter("working" if ours[key] else words.get(job.state, "unknown") for key, job in found.items())
    waiting = (job for key, job in found.items() if (job.state == "PENDING" or job.state in HELD) and not ours[key])
    reasons = Counter(job.reason if job.state == "PENDING" else job.state for job in waiting)
    return {"working": 0, "starting": 0, "pending": 0, "unknown": 0} | states, reasons.most_common()
