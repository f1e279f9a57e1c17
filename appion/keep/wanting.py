"""What profiles ask for that is not there yet: a new run of the keeper's, one that others began, or why neither."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Sequence

from appion.base.cli.command import constructRundir
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.records.keeping import KeptRun, NotStarted
from appion.base.retrieve.paths import expandVariables
from appion.keep.calc.matching import chooseProject, explainNone, findOther, listWants
from appion.keep.calc.words import chooseRunName, fillWords, readOption
from appion.keep.keeper import Keeper, changeState
from appion.keep.records import PROGRAMS, FoundRun, OwnRun, Want
from appion.keep.retrieve.movie import explainIncomplete
from appion.keep.retrieve.others import readRuns
from appion.keep.retrieve.sessions import readNames

logger = logging.getLogger(__name__)

#: Seconds for which it is believed what databases said of the runs of others; before a first start they are asked.
BELIEVED = 60.0


class NotYet(Exception):
    """Why a run is not begun, in words."""


def considerWants(keeper: Keeper) -> None:
    """Make a record of each run that is to be begun, and note why others are not."""
    before = keeper.skipped
    keeper.wants, keeper.skipped = {}, {}
    for session in keeper.watch.sessions.values():
        wants = listWants(keeper.profiles, session)
        keeper.wants |= {want.key: want for want in wants}
        if not wants:
            profile, reason = explainNone(keeper.profiles, session)
            skip(keeper, before, session.name, profile, reason)
    keeper.aliens = {key: alien for key, alien in keeper.aliens.items() if key in keeper.wants}
    names = readFirstNames(keeper)
    for key, want in keeper.wants.items():
        if key in keeper.runs:
            renewRun(keeper, keeper.runs[key], want)
            continue
        try:
            considerWant(keeper, want, names)
        except NotYet as reason:
            skip(keeper, before, want.session.name, want.profile.name, str(reason))


def skip(keeper: Keeper, before: dict[tuple[str, str], NotStarted], session: str, profile: str, reason: str) -> None:
    """Note that nothing is started, since when for this reason."""
    last = before.get((session, profile))
    since = last.since if last and last.reason == reason else time.time()
    keeper.skipped[session, profile] = NotStarted(session, profile, reason, since)


def renewRun(keeper: Keeper, run: OwnRun, want: Want) -> None:
    """Have a run that ended well wait for its place again if exposures came after its end."""
    run.priority = want.profile.priority
    if run.state == "ended" and not run.final and want.preset.last > run.newest:
        changeState(keeper, run, "waiting", "new exposures came after it had ended")


def readFirstNames(keeper: Keeper) -> dict[int, str]:
    """Return the names of the first and the last exposure of each want that nothing is known of: one query, or none."""
    unknown = [want for key, want in keeper.wants.items() if key not in keeper.runs and key not in keeper.begun]
    ids = {one for want in unknown for one in (want.preset.first, want.preset.last)}
    return readNames(ids) if ids else {}


def considerWant(keeper: Keeper, want: Want, names: dict[int, str]) -> None:
    """Make the record of a new run, or note whose it is.

    Raises:
        NotYet: neither.
    """
    if want.key not in keeper.begun:
        if reason := explainWait(keeper, want, names):
            raise NotYet(f"no movie of preset {want.preset.name} is complete yet: {reason}")
        keeper.begun.add(want.key)
    run = constructRun(want, readOthers(keeper), keeper.runs.values())
    if isinstance(run, FoundRun):
        noteAlien(keeper, want, run)
        return
    keeper.aliens.pop(want.key, None)
    keeper.runs[want.key] = run
    changeState(keeper, run, "waiting", "it is about to be started")


def explainWait(keeper: Keeper, want: Want, names: dict[int, str]) -> str:
    """Return why there is no complete movie yet, as of now or a moment ago: ever more rarely where none comes."""
    now = time.monotonic()
    since, until, reason = keeper.waits.get(want.key, (now, now, ""))
    if now < until:
        return reason
    first = [names[one] for one in dict.fromkeys((want.preset.first, want.preset.last)) if names.get(one)]
    reason = explainIncomplete(want, first)
    keeper.waits[want.key] = since, now + min(BELIEVED, (now - since) / 10), reason
    if not reason:
        del keeper.waits[want.key]
    return reason


def noteAlien(keeper: Keeper, want: Want, other: FoundRun) -> None:
    """Note a run that a person has begun: it is left alone."""
    before = keeper.aliens.get(want.key)
    since = before.since if before and before.rundir == other.rundir else time.time()
    preset = f"preset {want.preset.name}" if other.preset else "no preset that is known"
    keeper.aliens[want.key] = KeptRun(other.rundir, want.session.name, want.profile.name, want.command.program,
                                      other.runname, "alien", f"somebody has begun it, of {preset}", since)  # fmt: skip


def readOthers(keeper: Keeper, now: bool = False) -> Sequence[FoundRun]:
    """Return the runs of all sessions that the databases tell of; `now`: not what they said a while ago."""
    if now or time.monotonic() - keeper.others_read > BELIEVED:
        keeper.others, keeper.others_read = readRuns(keeper.watch.sessions.values()), time.monotonic()
    return keeper.others


def constructRun(want: Want, others: Sequence[FoundRun], own: Iterable[OwnRun]) -> OwnRun | FoundRun:
    """Return the run that a want asks for, under the next free name, or one that somebody else has begun.

    Raises:
        NotYet: it cannot be said what to run.
    """
    session, runs = want.session, list(own)
    project = chooseProject(want.profile, session)
    if project is None:
        several = " and ".join(map(str, session.projects)) or "no project"
        raise NotYet(f"the session belongs to {several}: say in the profile with `project` which one it is for")
    program = PROGRAMS[want.command.program]
    values = {"session": session.name, "project": str(project), "preset": want.preset.name}
    try:
        preset = readOption(fillWords(want.command.words, values), "preset") or want.preset.name
        if other := findOther(others, want, preset, (run.rundir for run in runs)):
            return other
        place = os.path.dirname(constructRundir(expandVariables(session.image_path), program.folder, "x"))
        values["runname"] = chooseRunName(program.base, listNames(place, want, others, runs))
        values["rundir"] = os.path.join(place, values["runname"])
        words = fillWords(want.command.words, values)
    except ConfigurationFailure as failure:
        raise NotYet(str(failure)) from failure
    rundir = os.path.abspath(readOption(words, "rundir") or values["rundir"])
    return OwnRun(
        key=want.key, session_id=session.def_id, session=session.name, project=project, profile=want.profile.name,
        preset=preset, program=want.command.program, rundir=rundir, runname=values["runname"], words=words,
        start=want.profile.start, priority=want.profile.priority, gpus=want.command.gpus,
        environment=constructSettings(want), since=time.time(),
    )  # fmt: skip


def listNames(place: str, want: Want, others: Sequence[FoundRun], own: Sequence[OwnRun]) -> set[str]:
    """Return the run names that are taken: in the databases, by the keeper, and as folders."""
    names = {run.runname for run in others if run.session_id == want.session.def_id}
    names |= {run.runname for run in own if run.session_id == want.session.def_id}
    with contextlib.suppress(OSError):  # nothing ran there yet
        names |= set(os.listdir(place))
    return names


def constructSettings(want: Want) -> dict[str, str]:
    """Return what the daemon finds in its environment: when it ends, and how many jobs it may have at a time."""
    profile, settings = want.profile, {}
    if profile.idle is not None:
        settings["DASK_APPION__QUIT_AFTER_IDLE"] = f"{profile.idle:g}"
    if profile.finished is not None:
        settings["DASK_APPION__QUIT_AFTER_SESSION"] = f"{profile.finished:g}"
    if want.command.gpus and setting("cluster") != "local":
        settings["DASK_APPION__JOBS__MAXIMUM"] = f"{max(1, want.command.gpus // max(1, int(setting('jobs.gpus'))))}"
    return settings


def tryConsider(keeper: Keeper) -> None:
    """Consider what is wanted; a disk that does not answer keeps nothing else from being done."""
    try:
        considerWants(keeper)
    except (Failure, OSError) as error:
        logger.warning("%s", error)
        keeper.trouble = (*keeper.trouble, str(error))
