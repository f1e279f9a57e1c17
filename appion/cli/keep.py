"""`appion keep`: the service that starts the daemons of every session, and what can be said to it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

import sinedon
from appion.base.cli.logs import closeLogging, setupLogging
from appion.base.cli.screen import show
from appion.base.config import checkSettings, setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import preferredFolder
from appion.base.retrieve.keeping import calcKeepFolder, readKeeping
from appion.keep.calc.matching import findMismatch
from appion.keep.keeper import Keeper, constructKeeper
from appion.keep.records import OwnRun, Session, againFolder
from appion.keep.service import runService
from appion.keep.store.runs import addWish, removeWishes
from appion.keep.wanting import considerWants
from sinedon.config import readConfig


def showKeep(args: argparse.Namespace) -> int:
    """Do what the options ask for; exit code 0, or 2 with what a person has to mend."""
    checkSettings()
    folder = calcKeepFolder()
    if args.prefer or args.no_prefer or args.again:
        if readKeeping(folder) is None:
            raise ConfigurationFailure(f"no keeper ever worked in {folder}", "set keep.folder in appion.yaml, so that"
                                       " everybody finds the same one")  # fmt: skip
        if args.prefer:
            addWish(preferredFolder(folder), args.prefer)
            show(f"{args.prefer} comes before all others, until: appion keep --no-prefer {shlex.quote(args.prefer)}")
        if args.no_prefer:
            removeWishes(preferredFolder(folder), [args.no_prefer])
            show(f"{args.no_prefer} is like all others")
        if args.again:
            addWish(againFolder(folder), args.again)
            show(f"runs of {args.again} that were refused, have ended or died are started again")
        return 0
    if not setting("keep.profiles"):
        raise ConfigurationFailure("appion.keep.profiles has no profile", "add one to appion.yaml, for example {name:"
                                   " all, commands: ['motioncor2.py --align --doseweight']}")  # fmt: skip
    setupLogging(None)
    try:
        readConfig()  # what is wrong there does not mend itself, but a server that is away comes back
        if args.dry_run:
            sinedon.setup()
            keeper = constructKeeper(folder, save=False)
            show(*describePlan(keeper))
            return 0
        return runService(folder, args.once)
    except sinedon.errors.SinedonError as error:
        raise ConfigurationFailure(str(error)) from error
    finally:
        sinedon.closeConnections()
        closeLogging()


def describePlan(keeper: Keeper) -> Iterator[str]:
    """Yield for each session of the last days what would be started, what runs, and why nothing is."""
    known = set(keeper.runs)
    keeper.watch.update()
    considerWants(keeper)
    if not keeper.watch.sessions:
        yield f"no session had an exposure with a movie within {keeper.watch.days:g} days"
    for session in keeper.watch.sessions.values():
        yield f"{session.name}{' (finished)' if session.finished else ''}"
        for run in keeper.runs.values():
            if run.session_id == session.def_id:
                yield f"  {describeRun(run, run.key in known)}"
        for key, alien in keeper.aliens.items():
            if keeper.wants[key].session.def_id == session.def_id:
                yield f"  left alone: {alien.rundir}: {alien.reason}"
        for (name, profile), skipped in keeper.skipped.items():
            if name == session.name:
                yield f"  not started{f' (profile {profile})' if profile else ''}: {skipped.reason}"
        yield from describePresets(keeper, session)


def describeRun(run: OwnRun, known: bool) -> str:
    """Return what becomes of a run."""
    line = shlex.join([run.program, *run.words])
    return f"{run.state}: {run.rundir}{f': {run.reason}' if run.reason else ''}" if known else f"would start: {line}"


def describePresets(keeper: Keeper, session: Session) -> Iterator[str]:
    """Yield why presets of a session are passed over, of which others are not."""
    wanted = {want.preset.name for want in keeper.wants.values() if want.session.def_id == session.def_id}
    for preset in session.presets if wanted else ():
        if preset.name not in wanted:
            reasons = [f"{profile.name}: {findMismatch(profile, session, preset)}" for profile in keeper.profiles]
            yield f"  preset {preset.name}: no profile: {'; '.join(reasons)}"
