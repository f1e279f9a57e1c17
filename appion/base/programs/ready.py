"""Programs of this package that are kept ready: a process that has loaded all they need makes copies of itself.

Starting Python and loading numpy takes longer than the transfer function of a small micrograph. So a worker has each of
our programs wait in a process of its own, once it was needed, and a copy of that process becomes the program: with a
session, a memory and an end of its own, as if it had been started. Who waits ends when its worker does.

Neither Django nor Dask is imported here: this runs on workers.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from appion.base.programs.environment import OWN, constructEnvironment
from appion.base.records.ready import STAY

#: Seconds in which a process that waits loads what it needs, and makes a copy.
PATIENCE = 60.0


class Waiting:
    """A process that waits to become copies of a program, one at a time."""

    def __init__(self, program: str):
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            nothing = subprocess.DEVNULL
            self.process = subprocess.Popen(
                [program, STAY, str(theirs.fileno())], stdin=nothing, stdout=nothing, stderr=nothing, cwd="/",
                env=constructEnvironment(program), pass_fds=[theirs.fileno()], start_new_session=True,
            )  # fmt: skip

    def receive(self, word: str, timeout: float | None) -> int | None:
        """Return the number that it says after this word within so many seconds, if any.

        Raises EOFError if it is there no more or says another word: a copy that ended before it was one.
        """
        if not select.select([self.socket], [], [], timeout and max(0.0, timeout))[0]:
            return None
        try:
            said = self.socket.recv(64).decode().split()
        except ConnectionError:
            said = []
        if len(said) != 2 or said[0] != word:
            raise EOFError
        return int(said[1])

    def end(self) -> None:
        self.socket.close()
        self.process.kill()
        self.process.wait()


class Copy:
    """A program that such a process has become; as `subprocess.Popen`, as far as it goes."""

    #: As there, None while it runs.
    returncode: Any

    def __init__(self, waiting: Waiting, command: Sequence[str], cwd: Path, stdin: int, stdout: int,
                 environment: Mapping[str, str]):  # fmt: skip
        """Raises OSError, EOFError: none could be made."""
        self.args, self._waiting = list(command), waiting
        self.returncode = None
        request = json.dumps({"argv": self.args[1:], "cwd": str(cwd), "environment": dict(environment)})
        with contextlib.ExitStack() as stack:
            if stdin == subprocess.DEVNULL:
                stdin = stack.enter_context(open(os.devnull, "rb")).fileno()
            socket.send_fds(waiting.socket, [request.encode()], [stdin, stdout])
        pid = waiting.receive("copy", PATIENCE)
        if pid is None:
            raise TimeoutError(f"{command[0]} was not copied within {PATIENCE:g} s")
        self.pid = pid
        waiting.socket.send(b"go")

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code; raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            try:
                self.returncode = self._waiting.receive("end", timeout)
            except EOFError:  # whoever tells is gone: so is this one, by the end of its session
                self.returncode = -9
                self._waiting.end()
            else:
                if self.returncode is None:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
                _keep(self.args[0], self._waiting)
        return self.returncode


_lock = threading.Lock()
_idle: dict[str, list[Waiting]] = {}


def isOurs(program: str) -> bool:
    """Whether a program is one of those that were installed with this package."""
    if os.path.basename(program) not in OWN or not os.path.isabs(program):
        return False
    return os.path.samefile(os.path.dirname(os.path.realpath(program)), sysconfig.get_path("scripts"))


def openCopy(
    command: Sequence[str], cwd: Path, stdin: int, stdout: int, environment: Mapping[str, str] | None
) -> Copy | None:
    """Start one of our programs from a process that waits for that; None if this is none, or it cannot be done."""
    variables, waiting = constructEnvironment(command[0], environment), None
    try:
        if not isOurs(command[0]):
            return None
        with _lock:
            waiting = _idle[command[0]].pop() if _idle.get(command[0]) else None
        waiting = waiting or Waiting(command[0])
        return Copy(waiting, command, cwd, stdin, stdout, variables)
    except (OSError, EOFError):
        if waiting is not None:
            waiting.end()
        return None


def _keep(program: str, waiting: Waiting) -> None:
    with _lock:
        _idle.setdefault(program, []).append(waiting)


def endWaiting() -> None:
    """End the processes that wait."""
    with _lock:
        found = [waiting for some in _idle.values() for waiting in some]
        _idle.clear()
    for waiting in found:
        waiting.end()


def _forget() -> None:
    """Leave those that wait to the process that started them, of which this is a copy."""
    global _lock
    _lock = threading.Lock()
    for waiting in (waiting for some in _idle.values() for waiting in some):
        waiting.socket.close()
        waiting.process.returncode = 0  # it is no child of this one
    _idle.clear()


atexit.register(endWaiting)
os.register_at_fork(after_in_child=_forget)
