"""Which program corrects the movies, and which version of it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.motioncorrection.records import MotionCorrectionOptions, Program

log = logging.getLogger(__name__)

#: Programs in the order in which they are looked for.
KINDS = ("motioncor2", "motioncor3", "motioncor-cpu")

VERSION = re.compile(r"(motioncor(?:2|3|-cpu))\s+(?:version\s*:?\s*)?v?(\d+(?:\.\d+)+\w*)", re.IGNORECASE)
#: How the program's own files are called, e.g. MotionCor2_1.6.4_Cuda121.
FILE_VERSION = re.compile(r"(motioncor[23])[-_ ]v?(\d+(?:\.\d+)+)", re.IGNORECASE)

#: Versions whose command line, log and output are known: the start of the version number.
KNOWN = {"motioncor2": ("1.4", "1.5", "1.6"), "motioncor3": ("1.0", "1.1", "1.2"), "motioncor-cpu": ("",)}

#: Versions that make something wrong: kind, versions, what, and when it matters.
BAD: tuple[tuple[str, tuple[str, ...], str, Callable[[MotionCorrectionOptions], bool]], ...] = (
    (
        "motioncor3",
        ("1.2.1", "1.2.2", "1.2.3"),
        "writes wrong dose-weighted images",
        lambda options: options.doseweight,
    ),
)


def findProgram(executable: str = "", search_path: str | None = None, timeout: float = 30.0) -> Program:
    """Return the program to use: `executable` if given, else motioncor2, motioncor3 or motioncor-cpu, the first found.

    The first two are looked for in `search_path` (default: PATH), motioncor-cpu beside this installation's own commands
    as well. What it is and its version are taken from what it says itself, else from the name of its file; an unknown
    version stays empty.

    Raises:
        ConfigurationFailure: there is no such program.
    """
    if executable:
        path = shutil.which(os.path.expanduser(executable), path=search_path)
        if path is None:
            raise ConfigurationFailure(
                f"program '{executable}' is not an executable file", "correct the setting motioncorrection.executable"
            )
        return identifyProgram(path, timeout)
    for kind in KINDS:
        path = shutil.which(kind, path=search_path)
        if path is None and kind == "motioncor-cpu":
            path = shutil.which(kind, path=sysconfig.get_path("scripts"))
        if path is not None:
            return identifyProgram(path, timeout)
    raise ConfigurationFailure(
        f"none of {', '.join(KINDS)} is in PATH", "install one, or name it with the setting motioncorrection.executable"
    )


def identifyProgram(path: str, timeout: float = 30.0) -> Program:
    """Return kind and version of the program at `path` by its own output, else by the name of its file."""
    path = os.path.abspath(path)
    resolved = Path(os.path.realpath(path)).name
    match = VERSION.search(readVersionOutput(path, timeout)) or FILE_VERSION.search(resolved)
    if match:
        return Program(match[1].lower(), path, match[2])
    names = f"{Path(path).name} {resolved}".lower()
    kind = next((kind for kind in ("motioncor3", "motioncor-cpu") if kind in names), "motioncor2")
    return Program(kind, path)


def readVersionOutput(path: str, timeout: float = 30.0) -> str:
    """Return what the program says to --version; an empty string if it says nothing in time."""
    try:
        process = subprocess.Popen(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError:
        return ""
    with process:
        try:
            return process.communicate(timeout=timeout)[0].decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            return ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def checkProgram(program: Program, options: MotionCorrectionOptions) -> None:
    """Refuse a program that is known to make wrong images with these options; warn of a version nobody has tried.

    Raises:
        ConfigurationFailure: a version known to be bad.
    """
    for kind, versions, what, matters in BAD:
        if program.kind == kind and program.version in versions and matters(options):
            raise ConfigurationFailure(
                f"{program.kind} {program.version} ({program.path}) {what}",
                "use another version, motioncor2 or motioncor-cpu, or do without --doseweight",
            )
    if not program.version:
        log.warning("the version of %s (%s) is unknown: check its first results", program.kind, program.path)
    elif not program.version.startswith(KNOWN[program.kind]):
        log.warning(
            "%s %s (%s) has not been tried with this command line and log format (tried: %s): check its first results",
            program.kind,
            program.version,
            program.path,
            ", ".join(KNOWN[program.kind]),
        )
