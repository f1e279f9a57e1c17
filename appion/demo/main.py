"""`appion demo`: a simulated microscope, the real daemon beside it, and at the end truth against result."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from appion.demo.plan import PRESET, PROJECT, SESSION, Plan, constructPlan

#: A folder with this file was made by the demo and may be made again.
MARKER = "made-by-appion-demo.txt"
#: Seconds that the daemon is given to stop.
STOP_TIMEOUT = 60.0


class DemoError(Exception):
    """The demo cannot start or did not get through; the message says why."""


def constructParser() -> argparse.ArgumentParser:
    """The options of `appion demo`."""
    parser = argparse.ArgumentParser(
        prog="appion demo",
        description="Takes simulated exposures, has the daemon correct them as they come, and compares with the truth.",
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


def constructDaemonCommand(plan: Plan) -> list[str]:
    """Return the classic command line that corrects the session, as a web page would build it."""
    return [
        "motioncor2.py", f"--runname={plan.rundir.name}", f"--rundir={plan.rundir}", f"--session={SESSION}",
        f"--projectid={PROJECT}", f"--preset={PRESET}", "--align", "--doseweight", "--bin=1", "--ddstartframe=0",
        "--alignlabel=a", "--Bft_global=500", "--Bft_local=100", "--Iter=7", "--Tol=0.5", "--nrw=1", "--FmRef=0",
        "--gpuids=0", "--commit", "--no-rejects", "--continue",
    ]  # fmt: skip


def constructEnvironment(plan: Plan) -> dict[str, str]:
    """Return the environment of both processes: databases of the demo, this program's commands, quick settings."""
    commands = sysconfig.get_path("scripts")
    return os.environ | {
        "SINEDON_CFG_PATH": str(plan.folder),
        "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}",
        "DASK_APPION__CLUSTER": "local",
        "DASK_APPION__POLL": "1",
        "DASK_APPION__STATUS_INTERVAL": "1",
        "DASK_APPION__RECHECK_MAX": "4",
        "DASK_APPION__MOTIONCORRECTION__SETTLE": "1",
        "DASK_APPION__MOTIONCORRECTION__EXECUTABLE": str(Path(commands) / "motioncor-cpu"),
    }


def runDemo(plan: Plan) -> bool:
    """Run microscope and daemon until all is done, print the table, draw the picture; return whether all is well.

    Raises:
        DemoError: one of the two failed, or time ran out.
    """
    environment = constructEnvironment(plan)
    os.environ["SINEDON_CFG_PATH"] = environment["SINEDON_CFG_PATH"]
    from sinedon.create import createDatabases

    createDatabases(PROJECT)
    command = constructDaemonCommand(plan)
    print(
        f"{len(plan.exposures)} exposures, one every {plan.seconds_between:g} s; beside them\n  {' '.join(command)}\n"
    )
    microscope = startProcess(
        [sys.executable, "-m", "appion.demo.leginon", str(plan.folder), str(len(plan.exposures)),
         str(plan.seconds_between)],
        plan.folder / "microscope.log", environment,
    )  # fmt: skip
    daemon = None
    try:
        waitForSession(plan, microscope)
        daemon = startProcess(findCommand(command), plan.folder / "daemon.log", environment)
        watch(plan, microscope, daemon)
        stopProcess(daemon, STOP_TIMEOUT)
        if daemon.returncode != 0:
            raise DemoError(f"the daemon ended with code {daemon.returncode}:\n{readTail(plan.folder / 'daemon.log')}")
    finally:
        for process in (microscope, daemon):
            if process is not None:
                stopProcess(process, 0.5)
    return printReport(plan)


def findCommand(command: list[str]) -> list[str]:
    """Return `command` with the path of the installed program in front, or as a call of its module."""
    path = shutil.which(command[0], path=sysconfig.get_path("scripts"))
    call = "import sys; from appion.motioncorrection.cli.main import main; sys.exit(main())"
    return [path, *command[1:]] if path else [sys.executable, "-c", call, *command[1:]]


def startProcess(command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen:
    """Start a process in a group of its own, so that Ctrl-C reaches only the demo, which then ends it."""
    with open(log, "wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip


def stopProcess(process: subprocess.Popen, patience: float) -> None:
    """End a process that still runs: SIGTERM, after `patience` seconds again, after ten more SIGKILL for its group.

    The daemon finishes what runs at the first signal and ends its programs at the second.
    """
    for seconds in (patience, 10.0):
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def waitForSession(plan: Plan, microscope: subprocess.Popen, timeout: float = 60.0) -> None:
    """Wait until the microscope has taken its first exposure."""
    from appion.demo.report import readImageIds

    end = time.monotonic() + timeout
    while not readImageIds(plan):
        checkRunning(plan, microscope, "microscope")
        if time.monotonic() > end:
            raise DemoError(f"no exposure after {timeout:g} s:\n{readTail(plan.folder / 'microscope.log')}")
        time.sleep(0.2)


def watch(plan: Plan, microscope: subprocess.Popen, daemon: subprocess.Popen) -> None:
    """Show how far things are until the microscope is done and every exposure is stored or its reason known.

    Raises:
        DemoError: a process failed, or nothing was stored for two minutes.
    """
    from appion.demo.report import explainImage, readImageIds, readSetAside, readStored

    start = last = time.monotonic()
    before = 0
    while True:
        ids = readImageIds(plan)
        stored, given_up = readStored(plan), readSetAside(plan.rundir)
        left = [p for p in plan.exposures if ids.get(p.filename, 0) not in stored | given_up]
        line = f"{time.monotonic() - start:5.0f} s   taken {len(ids)} of {len(plan.exposures)}   stored {len(stored)}"
        showProgress(line, news=len(stored) != before)
        checkRunning(plan, microscope, "microscope")
        checkRunning(plan, daemon, "daemon")
        explained = all(not p.is_good and explainImage(plan.rundir, ids.get(p.filename, 0)) for p in left)
        if microscope.poll() == 0 and explained:
            showProgress("", news=True)
            return
        if len(stored) != before:
            before, last = len(stored), time.monotonic()
        if time.monotonic() - last > 120 + plan.seconds_between:
            raise DemoError(f"nothing was stored for two minutes:\n{readTail(plan.folder / 'daemon.log')}")
        time.sleep(0.5)


def checkRunning(plan: Plan, process: subprocess.Popen, name: str) -> None:
    """Raise DemoError if `process` ended; the microscope may, with code 0."""
    code = process.poll()
    if code is not None and not (name == "microscope" and code == 0):
        raise DemoError(f"the {name} ended with code {code}:\n{readTail(plan.folder / f'{name}.log')}")


def showProgress(line: str, news: bool) -> None:
    """Rewrite the live line on a terminal; elsewhere print it when it has `news`."""
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line}", end="", flush=True)
    elif news:
        print(line, flush=True)


def readTail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def shortenPath(path: Path) -> Path:
    """Return a path within the current folder relative to it, another one as it is."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def printReport(plan: Plan) -> bool:
    """Print the table, save it and the picture; return whether every exposure became what it had to."""
    from appion.demo.picture import savePicture
    from appion.demo.report import explainImage, formatTable, readOutcomes

    outcomes = readOutcomes(plan, lambda image_id: explainImage(plan.rundir, image_id))
    table = formatTable(outcomes)
    print(table)
    (plan.folder / "demo.txt").write_text(table + "\n")
    stored = [outcome for outcome in outcomes if outcome.is_stored]
    if stored:
        savePicture(
            plan.folder / "demo.png", plan, max(stored, key=lambda outcome: outcome.planned.exposure.drift_total)
        )
        print(f"\npicture      {shortenPath(plan.folder / 'demo.png')}")
    appion = shutil.which("appion") or Path(sysconfig.get_path("scripts")) / "appion"
    print(f"run folder   {shortenPath(plan.rundir)}")
    print(f"look at it   {shortenPath(Path(appion))} status {shortenPath(plan.rundir)}")
    return not any(outcome.findProblems() for outcome in outcomes)
