"""Pure decisions about jobs: which are lost, are nobody's, or wait for a person, by what their scheduler says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appion.base.workers.jobs.adapter import Adapter, Listed, calcOrder
from appion.base.workers.jobs.adapters import SLURM

#: States in which a job runs no more; ENDED: it is not said how it ended. A state that is not known counts as alive.
ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
     "TIMEOUT", "ENDED"}
)  # fmt: skip

#: States that say something about the node.
NODE_TROUBLE = frozenset({"BOOT_FAIL", "FAILED", "NODE_FAIL"})

#: States in which a job waits for a person.
HELD = frozenset({"REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT", "STOPPED", "SUSPENDED"})


@dataclass(frozen=True)
class Facts:
    """One job as seen from here.

    Attributes:
        job_id: its number; None: its submission failed.
        registered: its worker is there now; `seen`: it was there at some time.
        age: seconds since it was submitted.
        missing: how many times in a row it was not listed.
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


def isStuck(job: Listed, adapter: Adapter = SLURM) -> bool:
    """Whether a job will not start unless a person does something."""
    if job.state in HELD:
        return True
    reason = re.sub(r"[\s_]+", "", job.reason.lower())
    return job.state == "PENDING" and adapter.stuck.search(reason) is not None


def describeStuck(listing: Mapping[str, Listed], ours: Mapping[str, bool], adapter: Adapter = SLURM) -> str:
    """Why none of our jobs can start, with their numbers and what to type; empty if one works or may yet.

    Args:
        ours: number of each job -> whether its worker is there.
    """
    there = {key: listing[key] for key in ours if key in listing and isAlive(listing[key])}
    if any(ours.values()) or not there or not all(isStuck(job, adapter) for job in there.values()):
        return ""
    groups: dict[str, list[str]] = {}
    for key, job in there.items():
        groups.setdefault(job.reason if job.reason not in ("", "None") else job.state, []).append(key)
    parts = []
    for reason, numbers in sorted(groups.items(), key=lambda group: -len(group[1])):
        keys = sorted(numbers, key=calcOrder)
        some = ", ".join(keys[:5]) + (", …" if len(keys) > 5 else "")
        held = re.search("held|jobhold|_hold", reason.lower())
        release, show = f"{adapter.release} {adapter.joint.join(keys)}", f"{adapter.show} {keys[0]}"
        remedy = f"release with: {release}" if held else f"see: {show}"
        parts.append(f"{reason} (job{'s' * (len(keys) > 1)} {some}; {remedy})")
    return "; ".join(parts)


def findLoss(facts: Facts, listed: Listed | None, patience: Patience, title: str = SLURM.title) -> Loss | None:
    """Whether a job is lost, given how it is listed (None: it is not). While its worker is there it never is."""
    if not facts.job_id:
        return Loss("it was not submitted", early=True)
    if facts.registered:
        return None
    if listed is None:
        if facts.missing >= 2 and facts.age > patience.listed:
            return Loss(f"{title} knows it no more", early=not facts.seen)
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
    """Jobs under our name that we know nothing of: left by a daemon that was killed, or by a submission that hung."""
    return sorted({key for key, job in listing.items() if isAlive(job)} - {one for one in known if one}, key=calcOrder)


def countJobs(
    listing: Mapping[str, Listed], ours: Mapping[str, bool]
) -> tuple[dict[str, int], list[tuple[str, int]]]:
    """How many jobs work, are starting, are pending or in a state not known, and why those wait, as is said.

    Args:
        ours: number of each job -> whether its worker is there.
    """
    words = {"PENDING": "pending", "CONFIGURING": "starting", "RUNNING": "starting"}
    found = {key: listing.get(key, Listed("", "", "")) for key in ours}
    states = Counter("working" if ours[key] else words.get(job.state, "unknown") for key, job in found.items())
    waiting = (job for key, job in found.items() if (job.state == "PENDING" or job.state in HELD) and not ours[key])
    reasons = Counter(job.reason if job.state == "PENDING" else job.state for job in waiting)
    return {"working": 0, "starting": 0, "pending": 0, "unknown": 0} | states, reasons.most_common()
