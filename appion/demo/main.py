"""`appion demo`: a simulated microscope, the real daemons beside it, and at the end truth against result."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from appion.base.calc.plain import makePlainLines
from appion.base.cli.screen import show
from appion.demo.commands import constructCtfCommand, constructEnvironment, constructMotionCorCommand, findCommand
from appion.demo.options import parseOptions
from appion.demo.plan import PROJECT, Plan, constructPlan
from appion.demo.processes import DemoError, startProcess, stopProcesses
from appion.demo.recipe import Recipe, saveRecipe
from appion.demo.watch import startMicroscope, waitForSession, watch

#: A folder with this file was made by the demo and may be made again.
MARKER = "made-by-appion-demo.txt"
#: Where the pages of the demo are said to be.
PORT = 8000
#: Seconds that the daemons are given to stop.
STOP_TIMEOUT = 60.0


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0 if every exposure became what it had to, 1 if not, 2 if it cannot start."""
    args = parseOptions(argv)
    if args.config is not None:
        from appion.demo.rehearsal import rehearse

        return rehearse(args)
    return runBuiltIn(args)


def runBuiltIn(args: argparse.Namespace) -> int:
    """Run the demo on databases of its own, with this package's programs on this machine."""
    plan = constructPlan((args.dir or Path("demo")).resolve(), args.exposures, args.every)
    try:
        prepareFolder(plan.folder)
    except DemoError as error:
        show(*makePlainLines(f"error: {error}"), file=sys.stderr)
        return 2
    saveRecipe(plan.folder, Recipe(args.exposures, args.every))
    try:
        passed = runDemo(plan)
    except DemoError as error:
        show("", *makePlainLines(f"error: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    if passed and not args.keep:
        shutil.rmtree(plan.frames)
    return 0 if passed else 1


def prepareFolder(folder: Path) -> None:
    """Make `folder`, with the configuration of SQLite databases; one that an earlier demo made is emptied first.

    Raises:
        DemoError: there is something else in it.
    """
    if folder.exists() and not folder.is_dir():
        raise DemoError(f"{folder} is not a folder: choose another one with --dir")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise DemoError(f"{folder} is not empty: choose another folder with --dir, or remove it")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).write_text("This folder was made by `appion demo`, which replaces it without asking.\n")
    databases = str(folder / "databases").replace("%", "%%")
    sections = [f"[{name}]\nengine: sqlite\ndir: {databases}\n" for name in ("global", "leginondata", "projectdata")]
    (folder / "sinedon.cfg").write_text("\n".join([*sections, f"[appiondata]\nengine: sqlite\ndir: {databases}\n"]))


def runDemo(plan: Plan) -> bool:
    """Run microscope and daemons until all is done, print the table, draw the picture; return whether all is well.

    Raises:
        DemoError: one of them failed, or time ran out.
    """
    environment = constructEnvironment(plan)
    os.environ["SINEDON_CFG_PATH"] = environment["SINEDON_CFG_PATH"]
    from sinedon.create import createDatabases

    createDatabases(PROJECT)
    commands = {"motioncor2": constructMotionCorCommand(plan), "ctffind4": constructCtfCommand(plan)}
    programs = {name: findCommand(command) for name, command in commands.items()}
    print(f"{len(plan.exposures)} exposures, one every {plan.seconds_between:g} s; beside them")
    show(*(f"  {' '.join(command)}" for command in commands.values()), "")
    microscope = startMicroscope(plan, environment)
    processes = [microscope]
    try:
        waitForSession(plan, microscope)
        for name, command in programs.items():
            processes.append(startProcess(command, plan.folder / f"{name}.log", environment))
        watch(plan, processes)
        stopProcesses(processes, STOP_TIMEOUT)
        for process in processes:
            process.checkEnd()
    finally:
        stopProcesses(processes, 0.5)
    return printReport(plan)


def shortenPath(path: Path) -> Path:
    """Return a path within the current folder relative to it, another one as it is."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def printReport(plan: Plan) -> bool:
    """Print the table, save it and the picture; return whether every exposure became what it had to."""
    from appion.demo.picture import savePicture
    from appion.demo.report import readOutcomes
    from appion.demo.table import formatTable

    outcomes = readOutcomes(plan)
    table = formatTable(outcomes)
    print(table)
    (plan.folder / "demo.txt").write_text(table + "\n")
    shown = [outcome for outcome in outcomes if outcome.is_stored and outcome.focus]
    if shown:
        best = max(shown, key=lambda outcome: outcome.planned.exposure.drift_total)
        savePicture(plan.folder / "demo.png", plan, best)
        show("", f"picture       {shortenPath(plan.folder / 'demo.png')}")
    show(f"run folders   {shortenPath(plan.rundir)}", f"              {shortenPath(plan.ctf_rundir)}")
    appion = shortenPath(Path(shutil.which("appion") or Path(sysconfig.get_path("scripts")) / "appion"))
    show(f"look at them  {appion} status {shortenPath(plan.ctf_rundir)}")
    show(f"live pages    SINEDON_CFG_PATH={shlex.quote(str(shortenPath(plan.folder)))} {appion} web --port {PORT}",
         f"              then http://127.0.0.1:{PORT}/session/{plan.session}/ in a browser")  # fmt: skip
    return not any(outcome.findProblems() for outcome in outcomes)
