"""A Dask scheduler and workers of other processes, as an operator or a cloud has them: certificates, restarts."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from distributed import Client, Security

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

#: What has a command see an empty folder.
BLIND = 'mount -t tmpfs none "$1" && shift && exec "$@"'

#: For tests in which a worker sees less than its host.
canBlind = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode,
    reason="it takes root to make a namespace",
)


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

    def startWorkers(self, number: int, *options: str, blind: Path | None = None, **environment: str) -> None:
        """Start workers; `blind`: a folder in which they see nothing, as on a host where it is not mounted."""
        for _ in range(number):
            command = ["sh", "-c", AGAIN, "sh", *self._command("worker"), self.address, "--nthreads", "1", "--no-nanny"]
            if blind is not None:
                command = ["unshare", "--mount", "sh", "-c", BLIND, "sh", str(blind), *command]
            self.workers.append(self._start("worker", [*command, *options], **environment))

    def killScheduler(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stopWorkers(self) -> None:
        """End the workers, and wait until the scheduler knows."""
        for process in self.workers:
            endGroup(process)
        self.workers.clear()
        while self.askWorkers():
            time.sleep(0.1)

    def stop(self) -> None:
        for process in (*self.workers, self.process):
            if process is not None:
                endGroup(process)

    def connect(self) -> Client:
        """Return a connection of a person who has the certificates."""
        names = ("ca-file", "client.cert", "client.key"), ("tls_ca_file", "tls_client_cert", "tls_client_key")
        files = {name: self.settings[f"distributed.comm.tls.{key}"] for key, name in zip(*names, strict=True)}
        return Client(self.address, security=Security(require_encryption=True, **files), set_as_default=False)

    def askWorkers(self) -> dict[str, dict]:
        """Return what the scheduler knows of its workers, by address."""
        with self.connect() as client:
            return dict(client.scheduler_info(n_workers=-1)["workers"])

    def describeLeft(self) -> list[str]:
        """Return what daemons have left on the scheduler and its workers."""
        with self.connect() as client:
            left = [str(key) for keys in (*client.processing().values(), client.who_has()) for key in keys]
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
        badges = {key for one in workers for key, number in one["resources"].items() if number and "-" in key}
        return left + sorted(badges)

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


def endGroup(process: subprocess.Popen) -> None:
    """Kill a process and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
