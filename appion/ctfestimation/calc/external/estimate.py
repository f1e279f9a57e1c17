"""What a run of a program leaves in its scratch folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appion.ctfestimation.calc.internal.convention import Fit

#: What the program printed.
OUTPUT = "output.txt"

#: What to do where it was killed for the time it took.
SLOW = "if the time limit is too short, raise the setting ctfestimation.timeout"


@dataclass(frozen=True)
class Estimate:
    """What a program found, and its files; those that need not be there may be missing.

    Attributes:
        argv: its command line.
        diagnostic: its picture of spectrum and fit (MRC), None of CryoSPARC. averages: CTFFIND's curves.
        texts: files to keep. local: STAR file of Gctf's local refinement.
        answers: each question with the answer it got.
    """

    argv: tuple[str, ...]
    fit: Fit
    diagnostic: Path | None = None
    averages: Path | None = None
    texts: tuple[Path, ...] = ()
    local: Path | None = None
    answers: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
