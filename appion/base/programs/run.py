"""Running a program so that it always ends: own session, limits of time and output, no survivor of a killed worker.

Neither Django nor Dask is imported here: this runs on workers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from appion.base.calc.place import findJob
from appion.base.failures import ConfigurationFailure, Failure, InfrastructureFailure
from appion.base.programs.environment import constructEnvironment
from appion.base.programs.output import collectOutput, shortenOutput
from appion.base.programs.ready import Copy, openCopy
from appion.base.store.files import createFile, writeAll

#: Errors of a program that is not there or is none.
NOT_EXECUTABLE = (errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENOEXEC)

#: Programs that this process has started before: such a one was here and could be run.
_started: set[str] = set()

#: Seconds between asking a process group to end and killing it, and for which its end is awaited then: a machine may be
#: too busy to have even a killed one end at once.
GRACE, DEATH = 5.0, 60.0

#: Waits for the session's number, then for the word that it has ended; if the other end of the pipe closes before (this
#: process was killed), every process of the session is killed: first the program's group, then what made groups of its
#: own, three times because a process may start another one meanwhile.
GUARD = """exec 2>/dev/null
read -r session && ! read -r done || exit 0
kill -s KILL -- "-$session"
for pass in 1 2 3; do
    for stat in /proc/[0-9]*/stat; do
        read -r line < "$stat" || continue
        set -- ${line##*) }
        pid=${stat%/stat}
        [ "$4" = "$session" ] && kill -s KILL "${pid#/proc/}"
    done
done"""


@dataclass(frozen=True)
class Run:
    """How a program ended: exit code (negative: signal), whether it ran out of time, and how long it took (seconds).

    `flood`: in words what it wrote too much of, for which it was ended.
    """

    returncode: int
    timed_out: bool
    seconds: float
    flood: str = ""

    @property
    def stopped(self) -> bool:
        """Whether it was ended from here, so that its exit code says nothing."""
        return self.timed_out or bool(self.flood)


def runProgram(
    command: Sequence[str],
    cwd: Path,
    output: Path,
    timeout: float,
    noteStart: Callable[[int], object],
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a program in `cwd` with its output and errors in the file `output`, for at most `timeout` seconds.

    One that writes without end is ended, too, see :func:`appion.base.programs.output.collectOutput`. When this
    function returns or raises, no process of the program's session is left, also none that made a group of its own, as
    a shell or `timeout` may do; if this process is killed meanwhile, they are killed too. `noteStart` is told the
    process id, which is the id of the session as well; `environment` adds to the variables that
    :func:`appion.base.programs.environment.constructEnvironment` leaves.

    Raises:
        ConfigurationFailure: the program is missing or cannot be executed.
        InfrastructureFailure: the host cannot start processes or keep what they print, or one cannot be killed.
    """
    started = time.monotonic()
    with (
        blameKeeping(command, output),
        createFile(output) as file,
        openPipe() as (ours, theirs),
        startProgram(command, cwd, subprocess.DEVNULL, theirs.fileno(), noteStart, environment) as process,
    ):
        theirs.close()
        keep = partial(writeAll, file)
        in_time, flood = collectOutput(process, ours.fileno(), keep, started + timeout, folder=cwd)
    if flood:
        with blameKeeping(command, output):
            shortenOutput(output)
    return Run(process.returncode, not in_time, time.monotonic() - started, flood)


@contextlib.contextmanager
def blameKeeping(command: Sequence[str], output: Path) -> Iterator[None]:
    """Raise InfrastructureFailure instead of an OSError in a `with` block in which a program's output is kept."""
    try:
        yield
    except OSError as error:
        raise InfrastructureFailure(
            f"what the program prints cannot be kept in {output}: {error.strerror or error}", "look after that disk",
            command=" ".join(command), host=os.uname().nodename,
        ) from error  # fmt: skip


@contextlib.contextmanager
def openPipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Yield both ends of a new pipe, the one to read from first."""
    ours, theirs = os.pipe()
    with open(ours, "rb", buffering=0) as reader, open(theirs, "wb", buffering=0) as writer:
        yield reader, writer


def constructThreadVariables(threads: int) -> dict[str, str]:
    """Return the variables that tell a program how many threads to use; none where it is not said (0)."""
    return {"OMP_NUM_THREADS": str(threads)} if threads else {}


@contextlib.contextmanager
def startProgram(
    command: Sequence[str],
    cwd: Path,
    stdin: int,
    stdout: int,
    noteStart: Callable[[int], object],
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen | Copy]:
    """Start a program in a session of its own for the time of a `with` block; see :func:`runProgram`.

    Programs of this package are copies of a process that is kept ready, see :mod:`appion.base.programs.ready`.

    `stdin` and `stdout` (which takes the errors as well) are file descriptors or what subprocess has for them. At the
    end of the block the whole session is ended, by force if need be, and the exit code is known.
    """
    with _startGuard() as guard:
        process = _openProcess(command, cwd, stdin, stdout, environment)
        try:
            _tellGuard(guard, str(process.pid))
            noteStart(process.pid)
            yield process
        finally:
            _endSession(process)
            _tellGuard(guard, "done")


def awaitEnd(process: subprocess.Popen | Copy, timeout: float) -> bool:
    """Wait for a program; return whether it ended in time."""
    try:
        process.wait(max(0.0, timeout))
    except subprocess.TimeoutExpired:
        return False
    return True


@contextlib.contextmanager
def _startGuard() -> Iterator[IO[str]]:
    """Start the guard and yield the pipe on which it listens."""
    try:
        guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD], stdin=subprocess.PIPE, start_new_session=True, cwd="/", text=True
        )
    except OSError as error:
        raise InfrastructureFailure(f"cannot start a process: {error}", host=os.uname().nodename) from error
    pipe = guard.stdin
    assert pipe is not None
    try:
        yield pipe
    finally:
        with contextlib.suppress(OSError):
            pipe.close()
        guard.wait()


def _tellGuard(guard: IO[str], line: str) -> None:
    with contextlib.suppress(OSError):
        guard.write(line + "\n")
        guard.flush()


def _openProcess(
    command: Sequence[str], cwd: Path, stdin: int, stdout: int, environment: Mapping[str, str] | None
) -> subprocess.Popen | Copy:
    if (copy := openCopy(command, cwd, stdin, stdout, environment)) is not None:
        return copy
    try:
        process = subprocess.Popen(
            list(command), cwd=cwd, stdin=stdin, stdout=stdout, stderr=subprocess.STDOUT,
            env=constructEnvironment(command[0], environment), start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise explainStart(error, command) from error
    _started.add(command[0])
    return process


def explainStart(error: OSError, command: Sequence[str]) -> Failure:
    """Return why a program could not be started; it never saw an image, so no image is to blame.

    One that is not there or is none is a configuration failure, unless the evidence speaks against this host: it was
    started here before, or this is a job while the daemon, on its own host, found it.
    """
    about: dict[str, str] = {"command": " ".join(command), "host": os.uname().nodename}
    if error.errno not in NOT_EXECUTABLE or error.filename not in (command[0], None):
        return InfrastructureFailure(f"cannot start {command[0]}: {error}", "look after this host", **about)
    reason, remedy = f"cannot run {command[0]}: {error.strerror}", "install the program on every host that computes"
    if error.errno == errno.ENOENT and os.path.exists(command[0]):
        reason, remedy = f"{reason}: it is there, but not what it is run by", "look at the first line of the script"
    if command[0] in _started or findJob():
        return InfrastructureFailure(reason, f"is its disk mounted on this host? Else {remedy}", **about)
    return ConfigurationFailure(reason, remedy, **about)


def _endSession(process: subprocess.Popen | Copy) -> None:
    """End every process of the session, politely first, then by force; return when all are gone."""
    for sign, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, DEATH)):
        told: set[int] = set()
        deadline = time.monotonic() + patience
        while (groups := _listGroups(process)) and time.monotonic() < deadline:
            for group in groups - told:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, sign)
            told = groups if sign == signal.SIGTERM else set()  # who is killed may just have started another
            time.sleep(0.02)
        if not groups:
            break
    if groups:
        raise InfrastructureFailure(
            f"process group {min(groups)} does not end, not even by SIGKILL: it hangs in the system (disk or GPU?)",
            "look after the host", host=os.uname().nodename,
        )
    process.wait()


def _listGroups(process: subprocess.Popen | Copy) -> set[int]:
    """Return the groups of the session in which a process runs; one that only waits to be collected does not."""
    process.poll()
    members = [(group, state) for group, session, state in _readProcesses() if session == process.pid]
    groups = {group for group, state in members if state not in "ZX"}
    return groups if members or process.returncode is not None else {process.pid}


def _readProcesses() -> list[tuple[int, int, str]]:
    """Return (process group, session, state) of every process of this host, as far as the system tells."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):
            if entry.isdecimal():
                with contextlib.suppress(OSError, IndexError, ValueError):
                    fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                    found.append((int(fields[2]), int(fields[3]), fields[0]))
    return found
