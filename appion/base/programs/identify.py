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
from dataclasses import dataclass
from pathlib import Path

from appion.base.records.program import Program

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
    try:
        process = subprocess.Popen(
            [path, *question], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    except OSError:
        return ""
    with process:
        try:
            said = process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired as expired:
            said = expired.stdout or b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return said.decode("utf-8", "replace")


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
