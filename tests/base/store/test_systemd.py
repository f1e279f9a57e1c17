"""What systemd is told: over a real socket, by the real daemon and the real pages, and by nobody whom they start."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appion.base.programs.environment import constructEnvironment
from appion.base.store import systemd

ROOT = Path(__file__).resolve().parent.parent.parent.parent
DAEMON = ROOT / "tests" / "faults" / "daemon.py"
TIMEOUT = 600.0


class Service:
    """A socket as systemd has one, and what came there."""

    def __init__(self, address: str):
        self.address = address
        self.words: list[str] = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self.socket.settimeout(TIMEOUT)

    def constructVariables(self, watchdog: float = 0.0) -> dict[str, str]:
        return {**os.environ, "NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": f"{watchdog * 1e6:.0f}"}

    def waitFor(self, word: str, number: int = 1) -> None:
        """Wait until a word has come so often from now on."""
        while number:
            self.words += (new := self.socket.recv(4096).decode().split("\n"))
            number -= new.count(word)

    def end(self, process: subprocess.Popen[str]) -> int:
        """Let a process end as systemd does, reading what it tells; returns its exit code."""
        process.terminate()
        deadline = time.monotonic() + TIMEOUT
        try:
            while process.poll() is None:
                assert time.monotonic() < deadline, "it does not end"
                self.readRest()
                time.sleep(0.01)
        finally:
            process.kill()
            process.communicate()
        return process.returncode

    def readRest(self) -> list[str]:
        """All words; whoever sent some has ended."""
        self.socket.setblocking(False)
        try:
            while True:
                self.words += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return self.words


@pytest.fixture(params=["a path", "an abstract socket"])
def service(request, tmp_path) -> Iterator[Service]:
    found = Service(str(tmp_path / "notify") if request.param == "a path" else f"@appion-test-{os.getpid()}")
    with found.socket:
        yield found


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(systemd, "_manager", None)


def start(command: list[object], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(list(map(str, command)), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            text=True, cwd=ROOT)  # fmt: skip


def openWhenRead(fifo: Path) -> int:
    """Open a FIFO for writing as soon as somebody reads it."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            assert time.monotonic() < deadline, "nobody reads it"
            time.sleep(0.01)


def readChildren(pid: int) -> list[bytes]:
    """The variables of a process's children, once there are some."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        found = []
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):  # a thread or a child that has just ended
                found += [Path(f"/proc/{child}/environ").read_bytes() for child in path.read_text().split()]
        if any(found):
            return found
        assert time.monotonic() < deadline, "it has no children"
        time.sleep(0.01)


def test_a_daemon_is_ready_alive_and_ends_and_is_silent_while_it_stands_still(service, tmp_path):
    environment = service.constructVariables(watchdog=1) | {"PYTHONPATH": str(ROOT)}
    process = start([sys.executable, DAEMON, tmp_path, 3, 0.01, "wait=1"], environment)
    try:
        service.waitFor("READY=1")
        service.waitFor("WATCHDOG=1", 3)
        assert all(b"NOTIFY_SOCKET" not in variables for variables in readChildren(process.pid))
        os.mkfifo(tmp_path / "number")  # the loop stands still where it reads this, as on a file server that is away
        hang = openWhenRead(tmp_path / "number")
        before = len(service.readRest())
        time.sleep(1)
        assert len(service.readRest()) == before
        os.unlink(tmp_path / "number")
        os.write(hang, b"3")
        os.close(hang)
        service.socket.settimeout(TIMEOUT)
        service.waitFor("WATCHDOG=1")
    finally:
        assert service.end(process) == 0
    words = service.readRest()
    assert words[0] == "READY=1"
    assert words.count("READY=1") == words.count("STOPPING=1") == 1
    assert not set(words[words.index("STOPPING=1") + 1 :]) - {"WATCHDOG=1"}  # it may take a while to end


@pytest.mark.parametrize("words", [["web", "--port=0"], ["keep"]], ids=lambda words: words[0])
def test_pages_and_keeper_are_ready_alive_and_end(service, tmp_path, monkeypatch, words):
    folder = tmp_path / "site"
    folder.mkdir()
    parts = [f"[{name}]\nengine: sqlite\ndir: {folder}\n" for name in ("leginondata", "projectdata", "appiondata")]
    (folder / "sinedon.cfg").write_text("\n".join(parts))
    monkeypatch.setenv("SINEDON_CFG_PATH", str(folder))
    subprocess.run([sys.executable, ROOT / "bin/sinedon", "init"], check=True, capture_output=True, timeout=TIMEOUT)
    for key, value in (("POLL", "0.1"), ("KEEP__FOLDER", tmp_path / "keep"),
                       ("KEEP__PROFILES", "[{'name': 'all', 'commands': ['motioncor2.py --align']}]")):  # fmt: skip
        monkeypatch.setenv(f"DASK_APPION__{key}", str(value))
    process = start([sys.executable, ROOT / "bin/appion", *words], service.constructVariables(watchdog=1))
    try:
        service.waitFor("READY=1")
        service.waitFor("WATCHDOG=1", 3)
    finally:
        assert service.end(process) == 0
    words = service.readRest()
    assert not set(words[words.index("STOPPING=1") + 1 :]) - {"WATCHDOG=1"}


def test_nobody_else_speaks_for_the_service(service, monkeypatch):
    for name, value in service.constructVariables(watchdog=60).items():
        monkeypatch.setenv(name, value)
    assert not set(systemd.VARIABLES) & constructEnvironment("motioncor2").keys()
    systemd.takeSystemd()
    assert not set(systemd.VARIABLES) & os.environ.keys()
    assert systemd.tellSystemd("READY=1", "STATUS=well")
    assert not subprocess.run([sys.executable, "-c", "import os; print(os.environ.get('NOTIFY_SOCKET', ''), end='')"],
                              capture_output=True, timeout=TIMEOUT, check=True).stdout  # fmt: skip
    child = os.fork()
    if not child:
        os._exit(systemd.tellSystemd("STOPPING=1"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    systemd.tellAlive()
    systemd.tellAlive()  # not due yet
    assert service.readRest() == ["READY=1", "STATUS=well", "WATCHDOG=1"]


@pytest.mark.parametrize("address", ["", "/", "vsock:2:9999", "/nobody/listens/here", "@nobody-listens-here"])
def test_without_a_socket_nothing_is_told_and_nothing_breaks(address, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "nonsense")
    systemd.takeSystemd()
    assert not systemd.tellSystemd("READY=1")
    systemd.tellAlive()
    assert systemd.calcLongestPause() == float("inf")


def test_signs_of_life_for_another_process_are_not_given(monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    systemd.takeSystemd()
    assert systemd.calcLongestPause() == float("inf")
