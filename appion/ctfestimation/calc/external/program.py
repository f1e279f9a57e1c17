"""Which program estimates the CTF, and which version of it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.records import CTFProgram

log = logging.getLogger(__name__)

#: Names of the programs of a step, in the order in which they are looked for.
NAMES = {"ctffind": ("ctffind", "ctffind4", "ctffind5", "ctffind-cpu"), "gctf": ("gctfCurrent", "gctf")}

#: In the banner of CTFFIND (4.0 with dots and blanks of its own, 5 with that of its library too), and in Gctf's name
#: for itself or its file.
VERSIONS = {
    "ctffind": re.compile(r"(?<!Library )\bVersion\s*[:=]?\s*v?(\d+\.\d+[\w.]*)", re.IGNORECASE),
    "gctf": re.compile(r"\bGctf[ _-]*(?:version)?[ _:-]*v?(\d+\.\d+)", re.IGNORECASE),
}

#: Starts of the versions whose questions and files are known, for programs that are not part of this installation.
KNOWN: dict[str, tuple[str, ...]] = {"ctffind": ("4.0", "4.1", "5.0"), "gctf": ()}

FILE_VERSIONS = {"ctffind": re.compile(r"ctffind[-_]v?(\d+\.\d+[\d.]*)", re.IGNORECASE), "gctf": VERSIONS["gctf"]}


def findProgram(name: str, executable: str = "", search_path: str | None = None, timeout: float = 30.0) -> CTFProgram:
    """Return the program of a step.

    Args:
        name: ctffind or gctf.
        executable: a name or path that the site has set; empty: the first of NAMES that is there.
        search_path: where to look, as PATH is written; None: PATH. `ctffind-cpu` of this installation is always found.
        timeout: seconds that the program gets to tell its version; one that does not tell stays empty.

    Raises:
        ConfigurationFailure: there is no such program.
    """
    if executable:
        path = shutil.which(os.path.expanduser(executable), path=search_path)
        if path is None:
            raise ConfigurationFailure(
                f"program '{executable}' is not an executable file", f"correct the setting {name}.executable"
            )
        return _warn(identifyProgram(name, path, timeout))
    for candidate in NAMES[name]:
        path = shutil.which(candidate, path=search_path)
        if path is None and candidate == "ctffind-cpu":
            path = shutil.which(candidate, path=sysconfig.get_path("scripts"))
        if path is not None:
            return _warn(identifyProgram(name, path, timeout))
    raise ConfigurationFailure(
        f"none of {', '.join(NAMES[name])} is in PATH", f"install one, or name it with the setting {name}.executable"
    )


def _warn(program: CTFProgram) -> CTFProgram:
    """Return the program; log what is not known of it."""
    known = KNOWN.get(program.kind)
    if known is not None and not program.version.startswith(known):
        log.warning(
            "questions and files of %s, version %s (%s), are not known for certain (known: %s): check first results",
            program.kind, program.version or "unknown", program.path, ", ".join(known) or "none",
        )  # fmt: skip
    return program


def identifyProgram(name: str, path: str, timeout: float = 30.0) -> CTFProgram:
    """Return kind and version of the program at `path` by its own banner, else by the name of its file."""
    path = os.path.abspath(path)
    resolved = Path(os.path.realpath(path)).name
    banner = readBanner(path, timeout)
    match = VERSIONS[name].search(banner) or FILE_VERSIONS[name].search(resolved)
    own = "ctffind-cpu" in f"{banner} {Path(path).name} {resolved}".lower()
    return CTFProgram("ctffind-cpu" if own and name == "ctffind" else name, path, match[1].rstrip(".") if match else "")


def readBanner(path: str, timeout: float = 30.0) -> str:
    """Return what the program prints when it is started without arguments and input; what it prints in time.

    CTFFIND has no option for its version: it says it at its start, and ends for want of answers.
    """
    try:
        done = subprocess.run(
            [path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            start_new_session=True,
            cwd="/",
        )
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode("utf-8", "replace")
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace")
