"""Programs that are kept ready: copies are as good as programs that were started, whatever becomes of whom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from pathlib import Path

import pytest

from appion.base.failures import InfrastructureFailure
from appion.base.programs import ready
from appion.base.programs.environment import constructEnvironment
from appion.base.programs.run import openPipe, runProgram, startProgram
from tests.services.waiting import isRunning, waitFor

SCRIPTS = Path(sysconfig.get_path("scripts"))
PROGRAM = str(SCRIPTS / "ctffind-cpu")

#: Starts a program that hangs, and says which processes there are.
HANGING = """\
import os, sys, time
from pathlib import Path
from appion.base.failures import InfrastructureFailure
from appion.base.programs import ready
from appion.base.programs.run import startProgram
theirs, ours = os.pipe()
with startProgram([sys.argv[1]], Path("/"), theirs, os.open(os.devnull, os.O_WRONLY), lambda _: None) as process:
    print(process.pid, process._waiting.process.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def noneWaits():
    ready.endWaiting()
    yield
    ready.endWaiting()


def listIdle():
    return [waiting.process.pid for some in ready._idle.values() for waiting in some]


@contextmanager
def askingForEver():
    """Files for a program's input, where never anything comes, and for its output."""
    with openPipe() as (source, _), open(os.devnull, "wb") as sink:
        yield source.fileno(), sink.fileno()


def execute(folder, *words, program=PROGRAM):
    started = []
    run = runProgram([program, *words], folder, folder / "output.txt", 300, started.append)
    return started[0], run.returncode, (folder / "output.txt").read_text()


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["--wrong"], []])
@pytest.mark.parametrize("program", ["ctffind-cpu", "motioncor-cpu"])
def test_aCopyPrintsAndEndsAsTheProgramDoes(tmp_path, program, words):
    path = str(SCRIPTS / program)
    done = subprocess.run(
        [path, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=constructEnvironment(path), timeout=300, check=False,
    )  # fmt: skip
    found = [execute(tmp_path, *words, program=path) for _ in range(2)]
    assert len(listIdle()) == 1
    assert len({pid for pid, _, _ in found} | set(listIdle())) == 3  # each is a process of its own
    for _, code, text in found:
        assert (code, withoutTimes(text)) == (done.returncode, withoutTimes(done.stdout))


def withoutTimes(text):
    return [line for line in text.splitlines() if "time" not in line.lower()]


def test_folderAndFilesAreThoseAskedFor(tmp_path):
    execute(tmp_path, "--version")
    with (
        askingForEver() as (source, sink),
        startProgram([PROGRAM], tmp_path, source, sink, lambda _: None) as process,
    ):
        folder = Path(f"/proc/{process.pid}")
        assert os.getsid(process.pid) == process.pid
        assert (folder / "cwd").readlink() == tmp_path
        found = [str((folder / "fd" / str(number)).readlink()) for number in range(3)]
        assert found == [str(Path(f"/proc/self/fd/{source}").readlink()), os.devnull, os.devnull]


def test_oneThatHangsEndsWithTheBlockAndTheNextIsMadeOfTheSame(tmp_path):
    execute(tmp_path, "--version")
    waiting = listIdle()
    with askingForEver() as (source, sink):
        with startProgram([PROGRAM], tmp_path, source, sink, lambda _: None) as process:
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.01)
            assert listIdle() == []
        assert process.returncode == -signal.SIGTERM
        assert not isRunning(process.pid)
    assert listIdle() == waiting
    assert execute(tmp_path, "--version")[1] == 0


def test_whereTheOneThatWaitsDiesItsCopyIsEndedAndAnotherIsStarted(tmp_path):
    with askingForEver() as (source, sink):
        with startProgram([PROGRAM], tmp_path, source, sink, lambda _: None) as process:
            process._waiting.process.kill()
            waitFor(lambda: process.poll() is not None)
        assert process.returncode == -signal.SIGKILL
        assert not isRunning(process.pid)
    assert listIdle() == []
    execute(tmp_path, "--version")
    (first,) = listIdle()
    os.kill(first, signal.SIGKILL)
    assert execute(tmp_path, "--version")[1] == 0  # this once it is started as any other
    execute(tmp_path, "--version")
    assert first not in listIdle()


def test_aCopyThatDiesBeforeItIsTheProgramSpoilsNoOther(tmp_path, monkeypatch):
    execute(tmp_path, "--version")
    receive = ready.Waiting.receive

    def receiveAndKill(self, word, timeout):
        said = receive(self, word, timeout)
        if word == "copy":
            os.kill(said, signal.SIGKILL)
            waitFor(lambda: not isRunning(said))  # before it is told to go on
        return said

    with monkeypatch.context() as patch:
        patch.setattr(ready.Waiting, "receive", receiveAndKill)
        _, code, text = execute(tmp_path, "--version")
    assert (code, text) == (-signal.SIGKILL, "")
    for _ in range(3):
        assert execute(tmp_path, "--version")[1] == 0
    assert len(listIdle()) == 1


def test_nothingIsLeftOfAKilledWorker():
    worker = subprocess.Popen([sys.executable, "-c", HANGING, PROGRAM], stdout=subprocess.PIPE, text=True)
    with worker:
        pids = [int(word) for word in worker.stdout.readline().split()]
        assert all(map(isRunning, pids))
        worker.kill()
    waitFor(lambda: not any(map(isRunning, pids)))


def test_aForkOfAWorkerHasItsOwn(tmp_path):
    execute(tmp_path, "--version")
    waiting = listIdle()
    child = os.fork()
    if not child:
        try:
            assert listIdle() == []
            assert execute(tmp_path, "--version")[1] == 0
            assert listIdle() != waiting
            ready.endWaiting()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert execute(tmp_path, "--version")[1] == 0
    assert listIdle() == waiting


def test_whatIsTooLongToAskForIsStartedAsAnyOther(tmp_path):
    pid, code, _ = execute(tmp_path, *["-j", "1"] * 30_000, "--wrong")
    assert code == 255
    assert listIdle() == []
    assert pid


def test_aFolderThatIsGoneIsToldAsForAnyOther(tmp_path):
    execute(tmp_path, "--version")
    with pytest.raises(InfrastructureFailure, match="No such file or directory"):
        runProgram([PROGRAM, "--version"], tmp_path / "gone", tmp_path / "output.txt", 300, lambda _: None)
    assert execute(tmp_path, "--version")[1] == 0


@pytest.mark.parametrize("path", ["ctffind-cpu", "/usr/bin/ctffind-cpu", "{folder}/ctffind-cpu", "{folder}/other"])
def test_programsOfOthersAreStartedAsTheyAre(tmp_path, path):
    (tmp_path / "other").symlink_to(PROGRAM)
    path = path.format(folder=tmp_path)
    if path.startswith(str(tmp_path)) and not path.endswith("other"):
        Path(path).write_text("#!/bin/sh\nexit 3\n")
        Path(path).chmod(0o755)
        assert execute(tmp_path, program=path)[1] == 3
    assert ready.openCopy([path], tmp_path, subprocess.DEVNULL, subprocess.DEVNULL, None) is None
    assert listIdle() == []


def test_aLinkToOursIsOurs(tmp_path):
    (tmp_path / "ctffind-cpu").symlink_to(PROGRAM)
    assert execute(tmp_path, "--version", program=str(tmp_path / "ctffind-cpu"))[1] == 0
    assert len(listIdle()) == 1
