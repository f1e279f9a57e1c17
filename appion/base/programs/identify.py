"""What program a file is, and which version: by what it says itself, else by the name of its file.

Neither Django nor Dask is imported here: this also runs where there is neither.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appion.base.programs.environment import constructEnvironment
from appion.base.programs.output import collectOutput
from appion.base.records.program import Program

#: Bytes of its answer that are taken of a program that is asked for its version.
ANSWER = 2**20

#: Exit codes of shells and of `env`, `nice` and the like for what they could not run, and of the last signal.
UNLOADABLE, LAST_SIGNAL = range(125, 128), 128 + 64

#: How the file of a program is called, in any letter case, before what people leave on: version, CUDA, processor.
STEMS = {
    "motioncor2": "motioncor2",
    "motioncor3": "motioncor3",
    "motioncor-cpu": "motioncor-cpu",
    "ctffind": "ctffind[45]?",
    "ctffind-cpu": "ctffind-cpu",
    "gctf": "gctf(?!find)(?:current)?",
    "gctffind": "gctffind",
}
#: What is left on: ``_1.6.4_Cuda121_Mar312023``, ``-v1.06_sm_30_cu8.0_x86_64``, ``-4.1.14-linux64``, ``-cuda12``.
REST = r"(?:[-_.]?v\d|[-_.](?:\d|cuda|cu\d|sm_?\d|gpu|linux|x86|gcc|intel|icc|latest|current))[\w.+-]*"
#: Names with these ends are no programs but scripts (such as our own commands), sources, archives and papers.
NO_PROGRAM = re.compile(
    r"\.(?:py|pyc|sh|csh|pl|m|c|cc|cpp|cu|h|o|so|txt|log|md|pdf|html?|zip|gz|tgz|bz2|xz|tar|rpm|deb|json|ya?ml|bak|old)$",
    re.IGNORECASE,
)
#: The commands that run such a program.
COMMAND = re.compile(r"(?:motioncor[23]|makeddalign\w*|ctffind[45]|gctf|gctffind|runjob)\.py", re.IGNORECASE)

_VERSION = r"v?(\d+(?:\.\d+)+\w*)"


@dataclass(frozen=True)
class Family:
    """Programs that are asked in the same way.

    Attributes:
        question: what they are started with to tell their version.
        kinds: what each of them says, with its version as the first group.
    """

    question: tuple[str, ...]
    kinds: dict[str, re.Pattern[str]]


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_GCTF = _compile(r"\bgctf(?!find)[ _-]*(?:version)?[ _:-]*v?(\d+\.\d+)")
_GCTFFIND = _compile(rf"\bgctffind\s+version\s+{_VERSION}")

#: CTFFIND has no option for its version: it tells it at its start (4.0 with dots and blanks of its own, 5 that of its
#: library too) and ends for want of answers. Gctf tells it when it is started without arguments.
FAMILIES = {
    "motioncor": Family(
        ("--version",),
        {
            kind: _compile(rf"{kind}\s+(?:version\s*:?\s*)?{_VERSION}")
            for kind in ("motioncor2", "motioncor3", "motioncor-cpu")
        },
    ),
    "ctffind": Family(
        (),
        {
            "ctffind-cpu": _compile(r"ctffind-cpu[\s\S]*?\bversion\s*[:=]?\s*v?(\d+\.\d+[\w.]*)"),
            "ctffind": _compile(r"(?<!library )\bversion\s*[:=]?\s*v?(\d+\.\d+[\w.]*)"),
        },
    ),
    "gctf": Family((), {"gctf": _GCTF, "gctffind": _GCTFFIND}),
    "gctffind": Family(("--version",), {"gctffind": _GCTFFIND, "gctf": _GCTF}),
}

#: What a file is that tells nothing, neither itself nor by its name.
DEFAULT_KINDS = {"motioncor": "motioncor2", "ctffind": "ctffind", "gctf": "gctf", "gctffind": "gctffind"}


def identifyProgram(family: str, path: str, timeout: float = 30.0) -> Program:
    """Return the program at `path`, which is asked for its version at most once by this process.

    Args:
        family: motioncor, ctffind, gctf or gctffind: how it is asked.
        path: an executable file.
        timeout: seconds that it gets to answer; what it has said by then counts.
    """
    path = os.path.abspath(path)
    resolved = os.path.realpath(path)
    said = askProgram(path, FAMILIES[family].question, os.stat(path).st_mtime_ns, timeout)
    for kind, pattern in FAMILIES[family].kinds.items():
        match = pattern.search(said)
        if match:
            return Program(kind, path, match[1].rstrip("."))
    named = [kind for kind in (judgeName(Path(resolved).name), judgeName(Path(path).name)) if kind]
    kind = named[0] if named else DEFAULT_KINDS[family]
    return Program(kind, path, readNameVersion(kind, resolved) or readNameVersion(kind, path))


@functools.cache
def askProgram(path: str, question: tuple[str, ...], _changed: int, timeout: float) -> str:
    """Return what a program prints when it is started with the words of `question`; what it prints in time.

    It gets no input and is ended with all it started. A file that has changed is asked again.
    """
    return _ask(path, question, timeout)[0]


def isRunnable(program: Program, timeout: float = 30.0) -> bool:
    """Whether a program runs on this host at all: asked for its version it is neither killed nor not to be loaded."""
    family = next(one for one in FAMILIES.values() if program.kind in one.kinds)
    code = _ask(program.path, family.question, timeout)[1]
    return code is None or 0 <= code < UNLOADABLE.start or code > LAST_SIGNAL


def _ask(path: str, question: Sequence[str], timeout: float) -> tuple[str, int | None]:
    """Return what a program prints in time, and its exit code unless it had to be ended or could not be started."""
    try:
        process = subprocess.Popen(
            [path, *question], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, cwd="/", env=constructEnvironment(path),
        )  # fmt: skip
    except OSError:
        return "", None
    pieces: list[bytes] = []
    with process:
        assert process.stdout is not None
        try:
            collectOutput(process, process.stdout.fileno(), pieces.append, time.monotonic() + timeout, ANSWER)
            code = process.poll()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return b"".join(pieces).decode("utf-8", "replace"), code


def judgeName(name: str) -> str:
    """Return the kind of program that a file's name stands for, or an empty string: none of those that are known."""
    if NO_PROGRAM.search(name):
        return ""
    return next((kind for kind, stem in STEMS.items() if re.fullmatch(rf"{stem}(?:{REST})?", name, re.IGNORECASE)), "")


def readNameVersion(kind: str, path: str) -> str:
    """Return the version that stands in the name of a file or of one of its folders; empty if none does."""
    pattern = re.compile(rf"{STEMS[kind]}[-_.]?v?(\d+(?:\.\d+)+)", re.IGNORECASE)
    found = (pattern.match(part) for part in reversed(Path(path).parts))
    return next((match[1] for match in found if match), "")


def calcVersionKey(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by: their numbers; an unknown version comes before all others."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
