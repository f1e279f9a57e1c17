"""`appion demo`: a simulated microscope, the real daemons beside it, and at the end truth against result."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

from appion.base.cli.suggest import CommandParser
from appion.demo.commands import constructCtfCommand, constructEnvironment, constructMotionCorCommand, findCommand
from appion.demo.plan import PROJECT, Plan, constructPlan
from appion.demo.processes import DemoError, Process, startProcess, stopProcesses

#: A folder with this file was made by the demo and may be made again.
MARKER = "made-by-appion-demo.txt"
#: Seconds that the daemons are given to stop, and in which something has to get done.
STOP_TIMEOUT = 60.0
STALL_TIMEOUT = 120.0


def constructParser() -> argparse.ArgumentParser:
    """The options of `appion demo`."""
    parser = CommandParser(
        prog="appion demo",
        description="Takes simulated exposures, has motion correction and CTF estimation follow them, and compares what"
        " was stored with the truth.",
    )
    parser.add_argument("--dir", type=Path, default=Path("demo"), help="new or empty folder (default: %(default)s)")
    parser.add_argument(
        "--exposures", type=int, default=12, help="number of exposures, 5 or more (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds-between", type=float, default=3.0, help="from one exposure to the next (default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the movies (about 7 MB each)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the demo; 0 if every exposure became what it had to, 1 if not, 2 if it cannot start."""
    parser = constructParser()
    args = parser.parse_args(argv)
    if args.exposures < 5:
        parser.error(f"--exposures={args.exposures}: 5 or more are needed; one is broken, one late")
    if args.seconds_between < 0:
        parser.error(f"--seconds-between={args.seconds_between:g}: 0 or more")
    plan = constructPlan(args.dir.resolve(), args.exposures, args.seconds_between)
    try:
        prepareFolder(plan.folder)
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        passed = runDemo(plan)
    except DemoError as error:
        print(f"\nerror: {error}", file=sys.stderr)
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
    print("".join(f"  {' '.join(command)}\n" for command in commands.values()))
    microscope = startProcess(
        [sys.executable, "-m", "appion.demo.leginon", str(plan.folder), str(len(plan.exposures)),
         str(plan.seconds_between)],
        plan.folder / "microscope.log", environment, ends=True,
    )  # fmt: skip
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


def waitForSession(plan: Plan, microscope: Process, timeout: float = 60.0) -> None:
    """Wait until the microscope has taken its first exposure."""
    from appion.demo.report import readImageIds

    end = time.monotonic() + timeout
    while not readImageIds(plan):
        microscope.checkRunning()
        if time.monotonic() > end:
            raise DemoError(f"no exposure after {timeout:g} s:\n{microscope.readTail()}")
        time.sleep(0.2)


def watch(plan: Plan, processes: Sequence[Process]) -> None:
    """Show how far things are until the microscope is done and every exposure has its CTF or its reason is known.

    Raises:
        DemoError: a process failed, or nothing got done for two minutes.
    """
    from appion.demo.report import explainImage, readEstimated, readGivenUp, readImageIds, readStored

    start = last = time.monotonic()
    before = ""
    while True:
        ids, stored, estimated = readImageIds(plan), readStored(plan), readEstimated(plan)
        done = estimated | readGivenUp(plan)
        left = [p for p in plan.exposures if ids.get(p.filename, 0) not in done]
        now = f"taken {len(ids)} of {len(plan.exposures)}   corrected {len(stored)}   CTF {len(estimated)}"
        showProgress(f"{time.monotonic() - start:5.0f} s   {now}", news=now != before)
        for process in processes:
            process.checkRunning()
        explained = all(not p.is_good and explainImage(plan.rundir, ids.get(p.filename, 0)) for p in left)
        if processes[0].popen.poll() == 0 and explained:
            showProgress("", news=True)
            return
        if now != before:
            before, last = now, time.monotonic()
        if time.monotonic() - last > STALL_TIMEOUT + plan.seconds_between:
            tails = "\n".join(process.readTail() for process in processes)
            raise DemoError(f"nothing got done for {STALL_TIMEOUT:g} s:\n{tails}")
        time.sleep(0.5)


def showProgress(line: str, news: bool) -> None:
    """Rewrite the live line on a terminal; elsewhere print it when it has `news`."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line}", end="", flush=True)
    elif news:
        print(line, flush=True)


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
        print(f"\npicture       {shortenPath(plan.folder / 'demo.png')}")
    print(f"run folders   {shortenPath(plan.rundir)}\n              {shortenPath(plan.ctf_rundir)}")
    appion = shutil.which("appion") or Path(sysconfig.get_path("scripts")) / "appion"
    print(f"look at them  {shortenPath(Path(appion))} status {shortenPath(plan.ctf_rundir)}")
    return not any(outcome.findProblems() for outcome in outcomes)
