"""Whose fault it was: by how a program ended, what it printed, whether it runs at all, and the disks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from functools import partial

import pytest

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.programs.blame import classifyRun, explainFailure
from appion.base.programs.follow import followProgram
from appion.base.programs.identify import isRunnable
from appion.base.programs.output import readText
from appion.base.programs.run import Run, runProgram
from appion.base.records.program import Program
from appion.base.store.files import TRIAL, tryWriting
from tests.base.programs.disks import fillDisk, mountDisk
from tests.base.programs.test_run import makeProgram

VERSION = 'case "$1" in --version) echo MotionCor2 version 1.6.4; exit 0;; esac'


@pytest.fixture(autouse=True)
def _deafToNothing():
    """What the tests were started with may ignore signals (nohup), and programs would with it."""
    ignored = [one for one in (signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(one) is signal.SIG_IGN]
    for one in ignored:
        signal.signal(one, signal.SIG_DFL)
    yield
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)


def judge(folder, text, timeout=120.0):
    """Run a shell script as a program and return the failure."""
    path = str(makeProgram(folder, text, "motioncor2"))
    run = runProgram([path, "-InMrc", "a.mrc"], folder, folder / "output.txt", timeout, lambda _: None)
    return classifyRun(run, readText(folder / "output.txt"), timeout, "raise the limit",
                       partial(isRunnable, Program("motioncor2", path)))  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "by a wrapper"])
@pytest.mark.parametrize("name", ["SEGV", "ABRT", "FPE", "TRAP"])
def test_aMistakeOfAProgramThatRunsHere(tmp_path, name, wrapped):
    """It may be the image; whether all meet it is found out elsewhere."""
    end = f"sh -c 'kill -{name} $$'; exit $?" if wrapped else f"kill -{name} $$"
    failure = judge(tmp_path, f"{VERSION}\necho 'Error: the stack makes no sense'; {end}")
    assert isinstance(failure, ImageFailure)
    assert f"ended by signal SIG{name}" in failure.reason


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "FPE", "TRAP"])
def test_aMistakeOfAProgramThatDoesNotRunAtAll(tmp_path, name):
    failure = judge(tmp_path, f"kill -{name} $$")
    assert isinstance(failure, InfrastructureFailure)
    assert failure.reason == f"the program was ended by signal SIG{name}; it does not even tell its version here"
    assert "ldd" in failure.remedy


@pytest.mark.parametrize("wrapped", [False, True], ids=["itself", "by a wrapper"])
@pytest.mark.parametrize("name", [
    "KILL", "TERM", "INT", "HUP", "QUIT", "PIPE", "ALRM", "USR1", "USR2", "XCPU", "XFSZ", "ILL", "BUS", "SYS", "VTALRM",
])  # fmt: skip
def test_signalsFromOutside(tmp_path, name, wrapped):
    end = f"sh -c 'kill -{name} $$'; exit $?" if wrapped else f"kill -{name} $$"
    failure = judge(tmp_path, f"{VERSION}\n{end}")
    assert isinstance(failure, InfrastructureFailure)
    assert failure.reason.startswith(f"the program was ended by signal SIG{name}")
    assert failure.remedy


def test_signalWithoutAName():
    failure = classifyRun(Run(-40, False, 1.0), "", 60.0, "")
    assert isinstance(failure, InfrastructureFailure)
    assert failure.reason == "the program was ended by signal 40"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exec /nowhere/MotionCor2", "ended with exit code 127"),
        ("MotionCor2_1.6.4 -InMrc a.mrc", "ended with exit code 127"),
        ("module load motioncor2 && MotionCor2", "module: not found"),
        ("exec /etc/passwd", "ended with exit code 126"),
        ("exit 126", "ended with exit code 126"),
        ("exec env MotionCor2", "ended with exit code 127"),
        ("exec nice /nowhere/MotionCor2", "ended with exit code 127"),
        ("echo './MotionCor2: error while loading shared libraries: libcufft.so.10: cannot open shared object file: "
         "No such file or directory'; exit 127", "libcufft.so.10"),
        ("echo \"./Gctf: /lib64/libc.so.6: version \\`GLIBC_2.34' not found\"; exit 1", "GLIBC_2.34"),
        ("echo './Gctf: symbol lookup error: ./Gctf: undefined symbol: cufftPlan2d'; exit 127", "undefined symbol"),
        ("echo 'Error loading shared library libtiff.so.5: No such file or directory'; exit 1", "libtiff"),
        ("echo './MotionCor2: cannot execute binary file: Exec format error'; exit 1", "Exec format error"),
        ("echo 'wrapper: line 3: MotionCor2: command not found'; exit 1", "command not found"),
        ("echo 'MotionCor2: Command not found.'; exit 1", "Command not found"),
        ("echo 'wrapper: 3: /opt/MotionCor2: Permission denied'; exit 1", "Permission denied"),
        ("echo 'wrapper: line 3: /opt/MotionCor2: No such file or directory'; exit 2", "No such file"),
        ("echo 'wrapper: line 9: 12345 Killed                  /opt/MotionCor2 \"$@\"'; exit 1", "Killed"),
        ("echo Killed; exit 1", "Killed"),
        ("echo 'slurmstepd: error: Detected 1 oom_kill event'; exit 1", "oom_kill"),
        ("echo 'w: line 2: 77 Illegal instruction (core dumped) MotionCor2'; exit 1", "Illegal instruction"),
        ("echo 'Lmod has detected the following error: The following module(s) are unknown'; exit 1", "Lmod"),
        ("echo 'FATAL:   could not open image /apps/m.sif: no such file'; exit 255", "could not open image"),
        ("echo 'ModuleNotFoundError: No module named numpy'; exit 1", "ModuleNotFoundError"),
        ("echo 'License checkout failed: all licenses are in use'; exit 1", "License checkout failed"),
        ("echo 'Error: no valid license found.'; exit 1", "no valid license"),
        ("echo 'Your licence has expired on 2026-01-01'; exit 3", "has expired"),
        ("echo 'CUDA error: no kernel image is available for execution on the device'; exit 1", "no kernel image"),
        ("echo 'x: write error: Read-only file system'; exit 1", "Read-only"),
    ],
)  # fmt: skip
def test_whatCannotBeRunOrIsStoppedIsNotTheImage(tmp_path, text, reason):
    failure = judge(tmp_path, f"{VERSION}\n{text}")
    assert isinstance(failure, InfrastructureFailure | ConfigurationFailure), failure
    assert reason in failure.reason
    assert failure.remedy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo 'Error: Gain and frame dimensions mismatch!'; exit 1", "dimensions mismatch"),
        ("echo 'w: line 2: module: command not found'; echo 'Error: cannot read a.mrc'; exit 1", "cannot read a.mrc"),
        ("echo 'Error: movie is bad'; echo 'srun: error: n1: task 0: Exited with exit code 1'; exit 1", "movie is bad"),
        ("echo 'Distributed under the 3-clause BSD license.'; echo 'Error: empty'; exit 1", "Error: empty"),
        ("echo 'the particles were not killed'; exit 9", "exit code 9"),
        ("echo 'w: line 3: 77 Segmentation fault (core dumped) MotionCor2'; echo bye; exit 1", "Segmentation fault"),
        ("exit 255", "exit code 255"),
    ],
)
def test_whatTheImageIsToBlameFor(tmp_path, text, reason):
    failure = judge(tmp_path, f"{VERSION}\n{text}")
    assert isinstance(failure, ImageFailure)
    assert reason in failure.reason


def test_aWrapperThatHidesTheExitCode():
    said = "w: line 3: MotionCor2: command not found\n"
    assert explainFailure("there is no sum", said, ended_well=True).kind == "infrastructure"
    assert explainFailure("there is no sum", "done\n", ended_well=True).reason == "there is no sum"


def test_aHostThatKeepsAProgramWaiting(tmp_path):
    failure = judge(tmp_path, "echo 'All GPUs are in use, waiting'; exec sleep 3000", timeout=0.5)
    assert isinstance(failure, InfrastructureFailure)
    assert "did not end within 0.5 s and was killed: All GPUs are in use" in failure.reason


def test_whatIsWrittenWithoutEnd(tmp_path):
    failure = judge(tmp_path, "yes 'Error: what is this?'")
    assert isinstance(failure, ImageFailure)
    assert failure.reason == "the program printed more than 16 MB and was ended: Error: what is this?"
    failure = judge(tmp_path, "yes 'CUDA error: out of memory'")
    assert isinstance(failure, InfrastructureFailure)
    failure = judge(tmp_path, "yes > a_gctf.log")
    assert failure.reason == "the program wrote more than 16 MB into a_gctf.log and was ended"


def follow(folder, *folders, failure=None, inputs=(), meanwhile=None):
    with followProgram(Program("motioncor2", "/opt/m"), ["/opt/m", "a.mrc"], folder / "output.txt", folder / "kept.txt",
                       folders, inputs):  # fmt: skip
        (folder / "output.txt").write_text("said\n")
        if meanwhile:
            meanwhile()
        if failure:
            raise failure


def test_afterAFailureTheDiskIsTried(tmp_path):
    reason = "the program ended with exit code 1"
    full = tmp_path / "full"
    with mountDisk(full):
        good = full / "a.mrc"
        with pytest.raises(ImageFailure, match=reason) as caught:
            follow(tmp_path, tmp_path, full, failure=ImageFailure(reason, log_tail="last"))
        assert caught.value.command == "/opt/m a.mrc"
        assert os.listdir(full) == []
        for left in (0, 4096, 2**20):  # small files would still do
            fillDisk(full, left)
            good.write_bytes(b"")
            with pytest.raises(InfrastructureFailure) as told:
                follow(tmp_path, tmp_path, full, failure=ImageFailure(reason, log_tail="last"))
            assert told.value.reason == f"{full} cannot be written to: No space left on device; {reason}"
            assert (told.value.command, told.value.log_tail) == ("/opt/m a.mrc", "last")
            assert sorted(os.listdir(full)) == ["a.mrc", "filler"]
        follow(tmp_path)
    assert "said" in (tmp_path / "kept.txt").read_text()


def test_aFolderThatIsGoneOrReadOnly(tmp_path):
    gone = tmp_path / "gone"
    with pytest.raises(InfrastructureFailure, match="gone cannot be written to: No such file or directory; bad"):
        follow(tmp_path, tmp_path, gone, failure=ImageFailure("bad"))
    with mountDisk(gone, 9):
        subprocess.run(["mount", "-o", "remount,ro", gone], check=True)
        with pytest.raises(InfrastructureFailure, match="gone cannot be written to: Read-only file system; bad"):
            follow(tmp_path, gone, failure=ImageFailure("bad"))


@pytest.mark.parametrize("failure", [None, ImageFailure("bad")])
def test_aFolderThatIsAnotherAfterwards(tmp_path, failure):
    """Its mount went: what the program made is not put into what has the folder's name now."""
    results = tmp_path / "results"
    results.mkdir()

    def swap():
        results.rename(tmp_path / "before")
        results.mkdir()

    with pytest.raises(InfrastructureFailure, match="results is not the folder that it was when the program began"):
        follow(tmp_path, results, failure=failure, meanwhile=swap)
    assert not (tmp_path / "kept.txt").exists()


def test_anInputThatIsAwayAfterwards(tmp_path):
    movie = tmp_path / "movies" / "a.mrc"
    with pytest.raises(InfrastructureFailure, match=r"a\.mrc cannot be reached: .*movies: No such file .*; bad"):
        follow(tmp_path, tmp_path, failure=ImageFailure("bad"), inputs=[str(movie)])


def test_otherFailuresStayWhatTheyAre(tmp_path):
    for failure in (ConfigurationFailure("wrong"), InfrastructureFailure("busy")):
        with pytest.raises(type(failure)) as caught:
            follow(tmp_path, tmp_path / "gone", failure=failure)
        assert caught.value is failure


def test_aLogThatCannotBeKeptHidesNoFailure(tmp_path):
    (tmp_path / "kept.txt").mkdir()
    with pytest.raises(ImageFailure, match="bad"):
        follow(tmp_path, failure=ImageFailure("bad"))
    with pytest.raises(IsADirectoryError):
        follow(tmp_path)


def test_trialUnderALimitOfTheSystem(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (TRIAL - 1, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            tryWriting(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, kept)
    assert os.listdir(tmp_path) == []
    tryWriting(tmp_path)
    assert os.listdir(tmp_path) == []
