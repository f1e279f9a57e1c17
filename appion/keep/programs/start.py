"""Starting the programs that a person would, so that they outlive the keeper, and telling them to end."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Sequence
from importlib import resources
from typing import Any

from appion.base.cli.command import createRundir
from appion.base.failures import ConfigurationFailure
from appion.base.records.process import isAlive, readStartTime
from appion.base.store.files import createFile
from appion.base.workers.jobs.script import constructSubmitEnvironment
from appion.keep.records import PROCESS, RUNJOB, SYSTEMD, OwnRun, exitPath, jobPath, outputPath

#: Variables that a unit of systemd is given: which settings and databases, where programs are.
HANDED_ON = ("PATH", "HOME", "LANG", "SINEDON_CFG_PATH", "LD_LIBRARY_PATH", "SLURM_CONF", "LEGINON_READONLY_IMAGE_PATH")
PREFIXES = ("DASK_", "APPION_", "SGE_")

#: Seconds for systemd to take a unit, for Slurm to take a signal.
PATIENCE = 60.0

#: Processes of this keeper that are to be fetched when they have ended.
_children: list[subprocess.Popen[bytes]] = []


def startRun(run: OwnRun, words: Sequence[str]) -> None:
    """Start the daemon of a run, whose intent is written down already, and note its process in the record.

    Args:
        words: of its command line, behind the program, with everything filled in.

    Raises:
        ConfigurationFailure: the run folder cannot be written, the program or systemd is not there or refuses.
    """
    rundir = createRundir(run.rundir)
    try:
        exitPath(rundir).parent.mkdir(exist_ok=True)
        exitPath(rundir).unlink(missing_ok=True)
        {PROCESS: startProcess, SYSTEMD: startUnit, RUNJOB: startJob}[run.start](run, words)
    except OSError as error:
        raise ConfigurationFailure(f"{run.rundir}: the daemon cannot be started: {error.strerror or error}",
                                   "look at its disk and its rights") from error  # fmt: skip


def startProcess(run: OwnRun, words: Sequence[str]) -> None:
    """Start it as a process with a session of its own, which ends with nobody."""
    with open(outputPath(run), "ab") as log:
        notePid(run, spawn(constructCommand(run, findCommand(run.program), words), run, log))


def startUnit(run: OwnRun, words: Sequence[str]) -> None:
    """Start it as a transient unit of systemd, of this user unless that is root; its name is the run folder's."""
    own = [] if os.getuid() == 0 else ["--user"]
    handed = [f"--setenv={name}={value}" for name, value in constructEnvironment().items()
              if name in HANDED_ON or name.startswith(PREFIXES)]  # fmt: skip
    output = [f"--property=Standard{name}=append:{outputPath(run)}" for name in ("Output", "Error")]
    command = ["systemd-run", *own, "--quiet", "--collect", f"--unit={nameUnit(run)}", "--property=KillMode=mixed",
               "--property=TimeoutStopSec=660", f"--property=WorkingDirectory={run.rundir}", *output, *handed, "--",
               *constructCommand(run, findCommand(run.program), words)]  # fmt: skip
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                              check=False)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ConfigurationFailure("systemd-run does not answer", "look at systemd") from error
    if done.returncode:
        raise ConfigurationFailure(f"systemd-run: {done.stderr.strip() or done.returncode}",
                                   "loginctl enable-linger for this user, or set keep.start to process")  # fmt: skip


def startJob(run: OwnRun, words: Sequence[str]) -> None:
    """Start runJob.py, which submits it; what that prints is found again by whoever comes after this keeper."""
    jobPath(run.rundir).unlink(missing_ok=True)
    command = constructCommand(run, run.program, words)
    with createFile(jobPath(run.rundir)) as out, open(outputPath(run), "ab") as log:
        notePid(run, spawn([findCommand("runJob.py"), *command], run, out, log))


def constructCommand(run: OwnRun, program: str, words: Sequence[str]) -> list[str]:
    """Return all words: settings of this run, what notes the exit code, and the command line."""
    script = str(resources.files("appion.keep").joinpath("run.sh"))
    settings = [f"{name}={value}" for name, value in run.environment.items()]
    return ["/usr/bin/env", *settings, "/bin/sh", script, str(exitPath(run.rundir)), run.token, program, *words]


def spawn(command: Sequence[str], run: OwnRun, out: Any, log: Any = None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log or out, cwd=run.rundir,
                               env=constructEnvironment(), start_new_session=True)  # fmt: skip
    _children.append(process)
    return process


def notePid(run: OwnRun, process: subprocess.Popen[bytes]) -> None:
    run.pid, run.pid_started = process.pid, readStartTime(process.pid)


def fetchChildren() -> None:
    """Let processes that ended go."""
    _children[:] = [child for child in _children if child.poll() is None]


def constructEnvironment() -> dict[str, str]:
    """Return what daemons find in their environment: this one's, with the commands of this installation in the path."""
    own = {name: value for name, value in os.environ.items() if name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    return own | {"PATH": f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', '')}"}


def findCommand(name: str) -> str:
    """Return the path of a command of this installation.

    Raises:
        ConfigurationFailure: there is none.
    """
    found = shutil.which(name, path=constructEnvironment()["PATH"])
    if found is None:
        raise ConfigurationFailure(f"there is no command {name}", "install this package, or correct PATH")
    return found


def nameUnit(run: OwnRun) -> str:
    """Return the unit of a run: systemd takes no second one of a name."""
    return f"appion-keep-{hashlib.sha256(run.rundir.encode()).hexdigest()[:12]}"


def endRun(run: OwnRun, holder: dict[str, Any] | None) -> bool:
    """Tell the daemon of a run to end in good order; it finishes what runs. Returns whether somebody was told.

    Not to be repeated then: who is told twice ends at once.

    Args:
        holder: of its lock, None while nobody has it.
    """
    if run.job and (holder is None or holder.get("host") != os.uname().nodename):
        command = ["scancel", *(["--batch", "--signal=TERM"] if holder is not None else []), run.job]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(command, env=constructSubmitEnvironment(), stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=PATIENCE, check=False)  # fmt: skip
            return not done.returncode
        return False
    pid = holder.get("pid") if holder else run.pid
    known = bool(holder and isAlive(holder)) or (pid is not None and readStartTime(pid) == run.pid_started)
    if pid is not None and known:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
            return True
    return False
