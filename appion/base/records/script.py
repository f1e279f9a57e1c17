"""What the script tables record of one start of a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ScriptRun:
    """One start of a program.

    Attributes:
        program: its name without folder and ``.py``. revision: its version. package: folder of the package.
        runname: of the run.
        user: name, uid, gid and fullname as far as known. shell: the user's login shell, or None.
        host: name, ip, system, distro, arch, nproc, memory (kB), cpu_vendor and gpu_vendor as far as known.
        parameters: value and usage (as written on a command line) of each option, by dest.
    """

    program: str
    revision: str
    package: str
    runname: str
    user: Mapping[str, Any]
    shell: str | None
    host: Mapping[str, Any]
    parameters: Mapping[str, tuple[str, str]]
