"""What becomes of a command whose reader has seen enough."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from appion.base.cli.command import runCommand

SCRIPTS = Path(sysconfig.get_path("scripts"))


def runWithoutReader(*words, **changes):
    """Run a command whose standard output is a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [str(word) for word in words], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=600, **changes
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "words",
    [
        ("motioncor2.py", "--help"), ("ctffind4.py", "--help"), ("appion", "--help"), ("runJob.py", "--help"),
        ("ctffind5.py", "--session=a", "--print-config"), ("motioncor-cpu", "--version"),
    ],
)  # fmt: skip
def test_commandsAreQuiet(words, tmp_path):
    done = runWithoutReader(SCRIPTS / words[0], *words[1:], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_inTheMiddleOfMuchOutput():
    """As a dry run of thousands of images, line by line."""
    code = (
        "from appion.base.cli.command import runCommand\n"
        "def body():\n    for _ in range(10): print('x' * 9000, flush=True)\n"
        "raise SystemExit(runCommand(body))"
    )
    done = runWithoutReader(sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_anotherBrokenPipeIsAnError(capsys):
    def body():
        raise BrokenPipeError(32, "Broken pipe", "of a database")

    assert runCommand(body) == 1
    assert "of a database" in capsys.readouterr().err
