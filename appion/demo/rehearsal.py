"""`appion demo --config`: microscope and daemons on a site's own databases, programs, cluster and file systems."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dask.config
from django.db.utils import Error as DjangoDatabaseError

from appion.base.calc.plain import makePlainLines
from appion.base.cli.screen import show
from appion.base.config import checkSettings
from appion.base.failures import Failure
from appion.base.store.lock import acquireLock
from appion.demo.clean import cleanUp
from appion.demo.commands import (
    constructCtfCommand,
    constructMotionCorCommand,
    constructSiteEnvironment,
    findCommand,
    splitOptions,
)
from appion.demo.ground import checkDatabases, checkFolder, checkSpace, prepareGround
from appion.demo.plan import Plan
from appion.demo.processes import DemoError, Process, startProcess, stopProcesses
from appion.demo.recipe import Recipe
from appion.demo.verdict import printVerdict
from appion.demo.watch import startMicroscope, waitForSession, watch
from appion.doctor.finding import TODO, Finding, runCheck
from appion.doctor.program import checkPrograms
from appion.doctor.slurm import checkSlurm, nameScheduler
from sinedon.errors import SinedonError

#: Seconds in which daemons that are told to stop finish what runs, and then end their workers.
STOP_TIMEOUT, GRACE = 120.0, 30.0
#: Seconds in which the microscope has to say something of its first exposure.
START_TIMEOUT = 120.0
#: Seconds between two looks at the databases.
INTERVAL = 2.0


def rehearse(args: argparse.Namespace) -> int:
    """Rehearse, or clean up with --clean; 0 all is well, 1 it is not, 2 it cannot start, 130 ended by Ctrl-C."""
    try:
        environment = useSite(args.config)
        if args.clean:
            return cleanUp(args.session, args.dir.absolute() if args.dir else None, args.yes)
        folder = args.dir.absolute()
        commands = {
            "motion": splitOptions(args.motion_options or "", "--motion-options"),
            "ctf": splitOptions(args.ctf_options or "", "--ctf-options"),
        }
        programs = args.motion or "motioncor2.py", args.ctf or "ctffind4.py"
        for program in programs:
            findCommand([program])
        checkFolder(folder)
        appiondb = checkDatabases(args.appiondb)
        recipe = Recipe(args.exposures, args.every, args.movie or "small", args.frames)
        checkSpace(folder, recipe.constructPlan(folder))
        checkSite()
        home, recipe = prepareGround(folder, recipe, appiondb)
    except (DemoError, Failure, SinedonError, DjangoDatabaseError, OSError) as error:
        show(*makePlainLines(f"appion demo: {error}"), file=sys.stderr)
        return 2
    plan = recipe.constructPlan(home)
    lines = {
        "motion": constructMotionCorCommand(plan, programs[0], args.gpuids or "0", commands["motion"]),
        "ctf": constructCtfCommand(plan, programs[1], commands["ctf"]),
    }
    show(f"session {plan.session} of project {plan.projectid}, Appion database {appiondb}, in {home}")
    print(f"{len(plan.exposures)} exposures ({plan.movie.name}, {plan.movie.nframes} frames), one every "
          f"{plan.seconds_between:g} s; beside them{', to be started by hand' if args.by_hand else ''}")  # fmt: skip
    show(*(f"  {' '.join(line)}" for line in lines.values()), "", file=sys.stdout)
    with acquireLock(home), heedSignals():
        try:
            code = perform(plan, {} if args.by_hand else lines, environment, args.patience)
        except KeyboardInterrupt:
            code = 130
    show(f"remove it     appion demo --config={args.config} --clean --session={plan.session}")
    return code


def useSite(config: Path) -> dict[str, str]:
    """Let the settings of a site count in this process; return the environment in which they do in others.

    Raises:
        DemoError: there is no such folder.
    """
    if not config.is_dir():
        raise DemoError(f"--config={config} is not a folder: give the one that sinedon.cfg is in")
    environment = constructSiteEnvironment(config)
    for name in ("SINEDON_CFG_PATH", "DASK_CONFIG", "PATH"):
        if name in environment:
            os.environ[name] = environment[name]
    dask.config.paths.append(str(config.absolute()))
    dask.config.refresh()
    return environment


def checkSite() -> None:
    """Print what `appion doctor` finds amiss with settings, programs and Slurm, before anything is written.

    Raises:
        DemoError: settings are wrong, or Slurm would take no job. A program may be one that is not going to be used.
    """
    grave = False
    for subject, check in (("settings", checkValues), ("program", checkPrograms), (nameScheduler(), checkSlurm)):
        for finding in runCheck(subject, check):
            if finding.level == TODO:
                print(finding, flush=True)
                grave = grave or subject != "program"
    if grave:
        raise DemoError("that has to be done first; `appion doctor --config` says when it is")


def checkValues() -> Iterator[Finding]:
    """Check the settings. Raises ConfigurationFailure for one that does not exist or has no such value."""
    checkSettings()
    yield from ()


def perform(plan: Plan, lines: dict[str, list[str]], environment: dict[str, str], patience: float) -> int:
    """Run microscope and daemons until all is done or they are told to end, and print what came of it."""
    processes: list[Process] = []
    code = 0
    try:
        run(plan, lines, environment, patience, processes)
    except DemoError as error:
        show("", *makePlainLines(f"error: {error}"), file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("\nended before its time: what there is", file=sys.stderr)
        code = 130
    finally:
        stopAll(processes)
    try:
        well = printVerdict(plan)
    except (OSError, ValueError, DjangoDatabaseError) as error:
        show(f"appion demo: what became of it cannot be read: {error}", file=sys.stderr)
        well = False
    return code or int(not well)


def run(
    plan: Plan, lines: dict[str, list[str]], environment: dict[str, str], patience: float, processes: list[Process]
) -> None:
    """Start everything, noting it in `processes`, and wait until all is done; the daemons have then ended well.

    Raises:
        DemoError: something failed, or nothing got done for `patience` seconds.
    """
    processes.append(startMicroscope(plan, environment))
    waitForSession(plan, processes[0], max(patience, START_TIMEOUT))
    for name, line in lines.items():
        processes.append(startProcess(findCommand(line), plan.folder / f"{name}.log", environment))
    watch(plan, processes, patience, INTERVAL)
    stopProcesses(processes, STOP_TIMEOUT, GRACE)
    for process in processes:
        process.checkEnd()


def stopAll(processes: Sequence[Process]) -> None:
    """End what still runs: daemons finish what they have begun; another Ctrl-C ends that, too."""
    running = [process for process in processes if process.popen.poll() is None]
    try:
        if running:
            print("daemons finish what runs (at most two minutes; Ctrl-C again: at once)", file=sys.stderr)
            stopProcesses(running, STOP_TIMEOUT, GRACE)
    except KeyboardInterrupt:
        stopProcesses(running, 0.0, GRACE)
    finally:
        stopProcesses(processes, 0.5)


@contextmanager
def heedSignals() -> Iterator[None]:
    """Let SIGINT (Ctrl-C) and SIGTERM interrupt; a module that is imported for Slurm has put something else there."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
