"""What each command looks for: the names of its program, the setting and the variables, and what does instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from appion.base.failures import ConfigurationFailure


@dataclass(frozen=True)
class Search:
    """What a command looks for.

    Attributes:
        title: what is wanted, in words. kind: of the record. family: how it is asked for its version.
        names: how its file is called, the first one preferred.
        setting: key of the setting that names it. variables: of the environment, that name it on some sites.
        major: start of the version that is preferred among those of this kind.
        substitute: the search for what does instead, with a warning. cpu: the program of this package that can.
    """

    title: str
    kind: str
    family: str
    names: tuple[str, ...]
    setting: str
    variables: tuple[str, ...] = ()
    major: str = ""
    substitute: str = ""
    cpu: str = ""


#: By what is wanted, see :func:`chooseSearch`.
SEARCHES = {
    "motioncor2": Search(
        "MotionCor2", "motioncor2", "motioncor", ("motioncor2", "MotionCor2"), "motioncorrection.executable",
        ("APPION_MOTIONCOR2_EXE",), substitute="motioncor3", cpu="motioncor-cpu",
    ),
    "motioncor3": Search(
        "MotionCor3", "motioncor3", "motioncor", ("MotionCor3", "motioncor3"), "motioncorrection.executable",
        substitute="motioncor2", cpu="motioncor-cpu",
    ),
    "ctffind4": Search(
        "CTFFIND 4", "ctffind", "ctffind", ("ctffind", "ctffind4", "ctffind5"), "ctffind.executable",
        ("APPION_CTFFIND4_PATH",), major="4.", cpu="ctffind-cpu",
    ),
    "ctffind5": Search(
        "CTFFIND 5", "ctffind", "ctffind", ("ctffind5", "ctffind", "ctffind4"), "ctffind.executable",
        major="5.", cpu="ctffind-cpu",
    ),
    "gctf": Search("Gctf", "gctf", "gctf", ("gctfCurrent", "gctf", "Gctf"), "gctf.executable"),
    "gctffind": Search(
        "GCtfFind", "gctffind", "gctffind", ("gctffind", "GCtfFind", "GCTFFind"), "gctffind.executable"
    ),
}  # fmt: skip


def chooseSearch(command: str) -> str:
    """Return what a command looks for, by its name with or without folder and ``.py``.

    Raises:
        ConfigurationFailure: it is none that runs such a program.
    """
    name = Path(command).name.removesuffix(".py").lower()
    found = re.search(r"motioncor[23]|ctffind[45]|gctffind|gctf", name)
    if not found:
        raise ConfigurationFailure(f"'{command}' runs none of {', '.join(SEARCHES)}", "give one of these")
    return found[0]
