"""Another user of the same machine, for tests of what it cannot do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: A user who owns nothing.
STRANGER = 65534

asRoot = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

#: What turns a Python process into one of the stranger.
BECOME = f"import os; os.setgroups([]); os.setgid({STRANGER}); os.setuid({STRANGER})"


def runAsStranger(script: str, *words: object) -> subprocess.CompletedProcess:
    """Run a shell script as the stranger, with `words` as $1, $2, …; what it prints is kept."""
    return subprocess.run(
        ["/bin/sh", "-c", script, "sh", *map(str, words)], user=STRANGER, group=STRANGER, extra_groups=[],
        cwd="/", capture_output=True, text=True,
    )  # fmt: skip


def runPythonAsStranger(imports: str, body: str, *words: object) -> subprocess.CompletedProcess:
    """Run Python as the stranger, with `words` as sys.argv[1:]; `imports` are done before, as this user."""
    program = f"{imports}\nimport sys\n{BECOME}\n{body}"
    return subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True)


@contextmanager
def startStranger(script: str, *words: object) -> Iterator[subprocess.Popen]:
    """Have the stranger run a shell script for the time of a `with` block, from its first line of output on."""
    command = ["/bin/sh", "-c", script, "sh", *map(str, words)]
    with subprocess.Popen(
        command, user=STRANGER, group=STRANGER, extra_groups=[], cwd="/", stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def makeShared() -> Iterator[Path]:
    """A folder like /tmp: everybody may write there, and remove what is theirs."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o1777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
