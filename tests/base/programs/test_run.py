"""Running programs: what variables they get, how much they may write, and why one could not be started."""

from __future__ import annotations

import os
import re
import stat
import sys
from io import FileIO
from pathlib import Path

import pytest

from appion.base.failures import ConfigurationFailure, InfrastructureFailure
from appion.base.programs import run as running
from appion.base.programs.environment import constructEnvironment
from appion.base.programs.identify import identifyProgram
from appion.base.programs.output import ENDS, LIMIT, readText
from appion.base.programs.run import Run, runProgram

#: What the daemon may have been started with.
FOREIGN = {
    "LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "fr_FR", "LANG": "de_DE.UTF-8", "LANGUAGE": "de:fr",
    "DASK_CONFIG": "/etc/dask", "DASK_APPION__POLL": "10", "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",
    "MALLOC_TRIM_THRESHOLD_": "65536", "PYTHONPATH": "/opt/appion", "PYTHONHOME": "/usr", "PYTHONUNBUFFERED": "1",
    "VIRTUAL_ENV": "/opt/venv", "VIRTUAL_ENV_PROMPT": "venv",
}  # fmt: skip

#: What sites need.
THEIRS = {
    "CUDA_VISIBLE_DEVICES": "3", "LD_LIBRARY_PATH": "/usr/local/cuda/lib64", "OMP_NUM_THREADS": "4", "HOME": "/root",
    "PATH": "/opt/bin:/usr/bin:/bin", "SLURM_JOB_ID": "12", "TMPDIR": "/scratch", "LOADEDMODULES": "cuda/12",
    "LC": "1", "LANGUAGES": "2", "MYPYTHON": "python2",
}  # fmt: skip


def makeProgram(folder, text, name="program"):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def execute(folder, text, timeout=120.0, **more):
    output = folder / "output.txt"
    return runProgram([str(makeProgram(folder, text))], folder, output, timeout, lambda _: None, **more), output


def test_programsGetTheVariablesOfTheSiteAndNoOthers():
    assert constructEnvironment("/opt/motioncor2", {"OMP_NUM_THREADS": "2"}, {**FOREIGN, **THEIRS}) == {
        **THEIRS, "OMP_NUM_THREADS": "2", "LC_ALL": "C",
    }  # fmt: skip
    own = constructEnvironment("/opt/bin/ctffind-cpu", None, {**FOREIGN, **THEIRS})
    kept = {"PYTHONPATH", "PYTHONHOME", "PYTHONUNBUFFERED", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT"}
    assert own == {**THEIRS, **{name: FOREIGN[name] for name in kept}, "LC_ALL": "C"}


def test_variablesOfAProgramThatRunsAndOfOneThatIsAsked(tmp_path, monkeypatch):
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    _, output = execute(tmp_path, "env", environment={"OMP_NUM_THREADS": "2"})
    lines = output.read_text().splitlines()
    assert {"LC_ALL=C", "CUDA_VISIBLE_DEVICES=3", "OMP_NUM_THREADS=2"} <= set(lines)
    names = {line.partition("=")[0] for line in lines}
    assert names & set(FOREIGN) == {"LC_ALL"}
    script = makeProgram(tmp_path, f"env > {tmp_path}/asked; echo MotionCor2 version 1.6.4", "motioncor2")
    assert identifyProgram("motioncor", str(script)).version == "1.6.4"
    names = {line.partition("=")[0] for line in (tmp_path / "asked").read_text().splitlines()}
    assert names & set(FOREIGN) == {"LC_ALL"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("yes", "printed more than 16 MB"),
        ("trap '' TERM; yes >&2 & yes; wait", "printed more than 16 MB"),
        ("tr '\\0' '\\377' < /dev/zero", "printed more than 16 MB"),
        ("echo begun; exec yes > motion.log", "wrote more than 16 MB into motion.log"),
        ("exec > /dev/null 2>&1; yes > run.TXT", "wrote more than 16 MB into run.TXT"),
        ("head -c 20000000 /dev/zero > all.log", "wrote more than 16 MB into all.log"),
    ],
)
def test_aProgramThatWritesWithoutEndIsEnded(tmp_path, text, words):
    run, output = execute(tmp_path, text, timeout=600)
    assert run.flood == words
    assert run.stopped
    assert not run.timed_out
    assert output.stat().st_size < 4 * ENDS
    texts = [path for path in tmp_path.iterdir() if path.suffix.lower() in (".log", ".txt")]
    assert max(len(readText(path)) for path in texts) < 4 * ENDS


def test_ofAFloodTheBeginningAndTheEndStay(tmp_path):
    run, output = execute(tmp_path, "echo It began so; seq 1 9999999")
    text = output.read_text()
    assert text.startswith("It began so\n1\n2\n")
    left_out = int(re.search(r"\n\[(\d+) bytes are left out here\]\n", text)[1])
    assert left_out == LIMIT - 2 * ENDS
    assert int(text.splitlines()[-2]) > 1000000
    assert run.flood


def test_muchIsWhole(tmp_path):
    """Just what is allowed is no flood, and all of it is there."""
    run, output = execute(tmp_path, f"yes | head -c {LIMIT}; exit 3")
    assert run == Run(3, False, run.seconds)
    assert output.stat().st_size == LIMIT
    assert len(readText(output)) == LIMIT


def test_whoeverHoldsTheOutputKeepsNobodyWaiting(tmp_path):
    run, output = execute(tmp_path, "sleep 3000 & (sleep 3000) & echo done; exit 4", timeout=60)
    assert (run.returncode, output.read_text()) == (4, "done\n")
    run, output = execute(tmp_path, "echo first; exec > /dev/null 2>&1; sleep 0.1; echo last; exit 5", timeout=60)
    assert (run.returncode, output.read_text()) == (5, "first\n")
    run, output = execute(tmp_path, "exec > /dev/null 2>&1; exec sleep 3000", timeout=0.5)
    assert run.timed_out


def test_anAnswerWithoutEnd(tmp_path):
    """Who is asked for the version and does not stop talking costs neither memory nor much time."""
    script = makeProgram(tmp_path, "echo MotionCor2 version 1.6.4; yes", "motioncor2")
    assert identifyProgram("motioncor", str(script), timeout=600).version == "1.6.4"


def test_outputThatCannotBeKept(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "createFile", lambda _: FileIO("/dev/full", "wb"))
    with pytest.raises(InfrastructureFailure, match=r"what the program prints cannot be kept in .*: No space left"):
        execute(tmp_path, "echo hello; exec sleep 3000", timeout=60)


def test_outputDoesNotGoThroughALink(tmp_path):
    """Whoever could put a link into the folder would choose which of this user's files is written over."""
    (tmp_path / "mine").write_text("keep")
    (tmp_path / "output.txt").symlink_to("mine")
    with pytest.raises(InfrastructureFailure, match="cannot be kept"):
        execute(tmp_path, "echo hello", timeout=60)
    assert (tmp_path / "mine").read_text() == "keep"


def start(path):
    with running.startProgram([str(path), "word"], path.parent, -3, -3, lambda _: None) as process:
        process.wait()


def test_aProgramThatWasThereBefore(tmp_path):
    """Never seen: a setting. Seen before, or not on this node: its disk. In no case the image."""
    path = tmp_path / "motioncor2"
    with pytest.raises(ConfigurationFailure, match=f"cannot run {path}: No such file") as caught:
        start(path)
    assert caught.value.command == f"{path} word"
    start(makeProgram(tmp_path, "exit 0", "motioncor2"))
    path.unlink()
    with pytest.raises(InfrastructureFailure, match=f"cannot run {path}: No such file .*mounted"):
        start(path)


def test_aProgramThatANodeHasNot(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(InfrastructureFailure, match=r"cannot run .*: No such file .*mounted"):
        start(tmp_path / "motioncor2")


def test_aProgramThatCannotBeStarted(tmp_path):
    path = tmp_path / "script"
    path.write_text("#!/nowhere/python2\n")
    path.chmod(0o755)
    with pytest.raises(ConfigurationFailure, match="it is there, but not what it is run by"):
        start(path)
    path.write_bytes(b"\x7fELF\2\1\1\0 made for another processor")
    with pytest.raises(ConfigurationFailure, match="Exec format error"):
        start(path)
    path.chmod(stat.S_IRUSR)
    with pytest.raises(ConfigurationFailure, match="Permission denied"):
        start(path)
    busy = tmp_path / "busy"
    busy.write_bytes(Path(os.path.realpath(sys.executable)).read_bytes())
    busy.chmod(0o755)
    with open(busy, "ab"), pytest.raises(InfrastructureFailure, match="Text file busy"):
        start(busy)
