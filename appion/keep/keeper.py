"""The keeper while it works: its settings, what it knows of sessions, and its runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import KeptRun, NotStarted, preferredFolder
from appion.keep.calc.fairness import Limits
from appion.keep.calc.profiles import parseProfiles
from appion.keep.records import FoundRun, OwnRun, Profile, Want
from appion.keep.retrieve.sessions import Watch
from appion.keep.store.runs import listWishes, loadRuns, saveEvent, saveRun

logger = logging.getLogger(__name__)


@dataclass
class Keeper:
    """What the keeper knows.

    Attributes:
        folder: its own. gpuids: to be dealt; empty: none are. watch: sessions. runs: its own, by key.
        wants: what profiles ask for, by key. begun: keys of wants of which a movie was complete.
        aliens, skipped: what others run, and what is not started. others: what databases say of runs, when (monotonic).
        trouble: what keeps it from its work. started: when (Unix time). preferred: sessions that shall hurry.
        save: whether anything is written at all. connected: whether the databases were reached once.
        waits: of wants without a complete movie since when, until when that is believed (monotonic), and why.
    """

    folder: Path
    profiles: tuple[Profile, ...]
    limits: Limits
    gpuids: tuple[int, ...]
    watch: Watch
    runs: dict[str, OwnRun] = field(default_factory=dict)
    wants: dict[str, Want] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    aliens: dict[str, KeptRun] = field(default_factory=dict)
    skipped: dict[tuple[str, str], NotStarted] = field(default_factory=dict)
    others: Sequence[FoundRun] = ()
    others_read: float = float("-inf")
    trouble: tuple[str, ...] = ()
    started: float = field(default_factory=time.time)
    preferred: set[str] = field(default_factory=set)
    save: bool = True
    connected: bool = False
    waits: dict[str, tuple[float, float, str]] = field(default_factory=dict)


def readProfiles() -> tuple[Profile, ...]:
    """Return the profiles of the settings. Raises ConfigurationFailure, as :func:`parseProfiles`."""
    gpuids = setting("keep.gpuids")
    return parseProfiles(setting("keep.profiles"), setting("keep.start"), countGPUs(), gpuids is not None)


def countGPUs() -> int | None:
    """Return how many GPUs there are in all; None: any number.

    Raises:
        ConfigurationFailure: two settings say different things.
    """
    gpus, gpuids = setting("keep.gpus"), setting("keep.gpuids")
    if gpuids is not None and gpus not in (None, len(gpuids)):
        raise ConfigurationFailure(f"setting appion.keep.gpus is {gpus:g}, and appion.keep.gpuids lists {len(gpuids)}",
                                   "leave appion.keep.gpus out")  # fmt: skip
    return len(gpuids) if gpuids is not None else None if gpus is None else int(gpus)


def constructKeeper(folder: Path, save: bool = True) -> Keeper:
    """Return the keeper of a folder, which remembers what was started; without `save` it writes nothing.

    Raises:
        ConfigurationFailure: a profile is not possible, or the memory cannot be read.
    """
    profiles = readProfiles()
    runs = setting("keep.runs")
    own = {profile.name: profile.runs for profile in profiles}
    limits = Limits(None if runs is None else int(runs), countGPUs(), own, setting("keep.turn"))
    keeper = Keeper(folder, profiles, limits, tuple(setting("keep.gpuids") or ()), Watch(setting("keep.days")),
                    loadRuns(folder), save=save)  # fmt: skip
    keeper.preferred = listWishes(preferredFolder(folder))
    for run in keeper.runs.values():
        if run.state == "ended" and run.final and run.reason == "stopped" and run.boot != readBoot():
            run.final = False
            changeState(keeper, run, "waiting", "its host was started anew")
    return keeper


def readBoot() -> str:
    """Return a word that is another one after each start of this host; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def changeState(keeper: Keeper, run: OwnRun, state: str, reason: str = "", **more: Any) -> None:
    """Have a run be in another state from now on: written down, told in the events and in the log.

    Args:
        more: fields of the run that change with it.
    """
    for name, value in more.items():
        setattr(run, name, value)
    news = (state, reason) != (run.state, run.reason)
    if state != run.state:
        run.since = time.time()
    run.state, run.reason = state, reason
    if not keeper.save:
        return
    saveRun(keeper.folder, run)
    if news:
        level = logging.WARNING if state in ("refused", "backing off") else logging.INFO
        logger.log(level, "%s %s: %s%s", run.session, run.rundir, state, f": {reason}" if reason else "")
        saveEvent(keeper.folder, state, session=run.session, rundir=run.rundir, reason=reason, starts=run.starts)


def listKept(keeper: Keeper) -> tuple[KeptRun, ...]:
    """Return the keeper's runs that matter now, and those of others that it leaves alone."""
    shown = [run for run in keeper.runs.values() if run.key in keeper.wants or run.holds]
    own = [KeptRun(run.rundir, run.session, run.profile, run.program, run.runname, run.state, run.reason, run.since,
                   run.next_try, run.daemon if run.holds else None, run.starts) for run in shown]  # fmt: skip
    return (*own, *keeper.aliens.values())
