"""How files that are written here say what made them: a line for logs, labels for the headers of MRC files."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import Any

from appion.base.records.program import Program

#: Characters of one label in an MRC header, and how many there are.
LABEL_LENGTH, LABELS = 80, 10


@functools.cache
def readVersion() -> str:
    """Return the version of the installed package, or ``unknown``."""
    for folder in sys.path:
        with contextlib.suppress(OSError):  # one that is not there, or not for everybody's eyes
            for name in os.listdir(folder or "."):
                if name.startswith("appion-") and name.endswith(".dist-info"):
                    return name.removeprefix("appion-").removesuffix(".dist-info")
    from importlib.metadata import PackageNotFoundError, version  # takes longer than all else at a program's start

    try:
        return version("appion")
    except PackageNotFoundError:  # run from a folder, not installed
        return "unknown"


def constructLogHeader(program: Program) -> str:
    """Return the line that goes before the output of a program."""
    return f"# {program}, run by appion {readVersion()}\n"


def constructLabels(program: Program | None = None) -> list[str]:
    """Return the labels of an MRC file that `program` had a part in, each as short and plain as the format asks for."""
    labels = [] if program is None else [f"made by {program.label}"]
    return [cleanLabel(label) for label in (*labels, f"written by appion {readVersion()}")]


def addLabels(mrc: Any, program: Program | None = None) -> None:
    """Add labels to an open mrcfile object, as many as there is room for."""
    for label in constructLabels(program)[: LABELS - int(mrc.header.nlabl)]:
        mrc.add_label(label)


def cleanLabel(text: str) -> str:
    """Return a text as a label can hold it: printable ASCII, cut to its length."""
    return "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in text)[:LABEL_LENGTH]
