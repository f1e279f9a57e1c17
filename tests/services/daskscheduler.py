"""A Dask scheduler and workers of other processes, as an operator or a cloud has them: certificates, restarts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import dask.config

from appion.base.workers.doors import constructCertificate

ROOT = Path(__file__).parents[2]

#: The scheduler has Dask alone.
PRELOAD = 'import sys\nsys.modules["appion"] = None\n'

#: What starts a worker again when it has ended, as a pod is started again.
AGAIN = 'while :; do "$@"; sleep 0.2; done'


def saveCertificate(folder: Path) -> dict[str, str]:
    """Make a certificate that signs itself, and its key, in a folder; returns Dask's settings for all that know it."""
    folder.mkdir()
    certificate, key = constructCertificate()
    (folder / "cert.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)
    names = {"ca-file": "cert.pem", "client.cert": "cert.pem", "client.key": "key.pem"}
    return {f"distributed.comm.tls.{name}": str(folder / file) for name, file in names.items()}


def asVariables(settings: dict[str, str]) -> dict[str, str]:
    """The variables that set Dask's settings for another process."""
    return {f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": value for name, value in settings.items()}


class DaskScheduler:
    """A scheduler, and workers with one thread each, all started anew when they end, but not the scheduler."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.settings = saveCertificate(folder / "tls")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tls://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None
        self.workers: list[subprocess.Popen] = []
        (folder / "preload.py").write_text(PRELOAD)

    def startScheduler(self) -> None:
        self.process = self._start("scheduler", [*self._command("scheduler"), "--port", str(self.port),
                                                 "--preload", str(self.folder / "preload.py")])  # fmt: skip

    def startWorkers(self, number: int, *options: str, **environment: str) -> None:
        for _ in range(number):
            command = [*self._command("worker"), self.address, "--nthreads", "1", "--no-nanny", *options]
            self.workers.append(self._start("worker", ["sh", "-c", AGAIN, "sh", *command], **environment))

    def killScheduler(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        for process in (*self.workers, self.process):
            if process is not None:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _command(self, what: str) -> list[str]:
        files = {"ca-file": "cert.pem", "cert": "cert.pem", "key": "key.pem"}
        tls = [word for name, file in files.items() for word in (f"--tls-{name}", str(self.folder / "tls" / file))]
        return [sys.executable, "-m", f"distributed.cli.dask_{what}", "--protocol", "tls", *tls, "--no-dashboard",
                "--host", "127.0.0.1"]  # fmt: skip

    def _start(self, what: str, command: list[str], **environment: str) -> subprocess.Popen:
        with open(self.folder / f"{what}.log", "ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder)} | environment,
            )  # fmt: skip


def useScheduler(service: DaskScheduler, **settings: object) -> dask.config.set:
    """Settings of this process with which its daemon finds a scheduler."""
    return dask.config.set({"appion.cluster": service.address, **service.settings, **settings})


def awaitPort(service: DaskScheduler, timeout: float = 600) -> None:
    """Wait until the scheduler listens."""
    deadline = time.monotonic() + timeout
    while True:
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", service.port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)
