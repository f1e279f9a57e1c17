"""The real command `appion web` in a process of its own, and questions to it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT = 300


@dataclass(frozen=True)
class Answer:
    """Status, headers and content of an answer."""

    status: int
    headers: Message
    content: bytes


@dataclass(frozen=True)
class Server:
    """A server that answers at `address`, which ends in a slash."""

    address: str
    process: subprocess.Popen[str]

    def ask(self, path: str = "", data: bytes | None = None, **headers: str) -> Answer:
        """Ask; names of headers with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        question = urllib.request.Request(self.address + path.lstrip("/"), data, named)
        try:
            with urllib.request.build_opener(KeepRedirects).open(question, timeout=TIMEOUT) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def measureProcessor(self) -> float:
        """Return the seconds of a processor that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measureMemory(self) -> float:
        """Return what of the server is in memory, in megabytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024


class KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@contextmanager
def runServer(*options: str, **settings: object) -> Iterator[Server]:
    """Have a server run on any free port, with further settings of the section `web`."""
    environment = os.environ | {f"DASK_APPION__WEB__{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, ROOT / "bin" / "appion", "web", "--port", "0", *options], env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Server(readLine(process), process)
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()
            process.wait(TIMEOUT)
            assert process.stdout
            process.stdout.close()


def readLine(process: subprocess.Popen[str]) -> str:
    """Return the first line that a server prints: where it is."""
    assert process.stdout
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if select.select([process.stdout], [], [], 1)[0]:
            line = process.stdout.readline().strip()
            assert line.startswith("http://"), f"it said {line!r} and ended with {process.wait(TIMEOUT)}"
            return line
    raise AssertionError("the server did not say where it is")
