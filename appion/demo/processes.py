"""The processes of the demo: started apart from it, watched, and ended whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class DemoError(Exception):
    """The demo cannot start or did not get through; the message says why."""


@dataclass(frozen=True)
class Process:
    """A process, its name and the file with all that it says; `ends`: whether it ends by itself, with code 0."""

    name: str
    popen: subprocess.Popen
    log: Path
    ends: bool = False

    def checkRunning(self) -> None:
        """Raise DemoError if it ended and should not have."""
        code = self.popen.poll()
        if code is not None and not (self.ends and code == 0):
            raise DemoError(f"{self.name} ended with code {code}:\n{self.readTail()}")

    def checkEnd(self) -> None:
        """Raise DemoError unless it ended well."""
        if self.popen.returncode != 0:
            raise DemoError(f"{self.name} ended with code {self.popen.returncode}:\n{self.readTail()}")

    def readTail(self, lines: int = 20) -> str:
        """Return the last lines of what it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def startProcess(command: list[str], log: Path, environment: dict[str, str], ends: bool = False) -> Process:
    """Start a process in a group of its own, so that Ctrl-C reaches only the demo, which then ends it."""
    with open(log, "wb") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip
    return Process(log.stem, popen, log, ends)


def stopProcesses(processes: Sequence[Process], patience: float, grace: float = 10.0) -> None:
    """End those that still run: SIGTERM, after `patience` seconds again, after `grace` more SIGKILL for their groups.

    A daemon finishes what runs at the first signal and ends its programs at the second.
    """
    for seconds in (patience, grace):
        running = [process.popen for process in processes if process.popen.poll() is None]
        for popen in running:
            popen.terminate()
        end = time.monotonic() + seconds
        for popen in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                popen.wait(max(0.0, end - time.monotonic()))
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
