"""Which versions of the programs that correct movies are known, good or bad, and how their output is called."""

from __future__ import annotations

import logging
from collections.abc import Callable

from appion.base.failures import ConfigurationFailure
from appion.base.records.program import Program
from appion.motioncorrection.records import MotionCorrectionOptions

log = logging.getLogger(__name__)

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


def constructLogName(filename: str, kind: str) -> str:
    """Return how the file with the output of a program of this kind is called, for an image.

    Classic Appion has one name for each of the real programs; motioncor-cpu writes MotionCor2's output. What is told of
    CryoSPARC's results is no output of a program.
    """
    return f"{filename}_st_Log.{kind if kind in ('motioncor3', 'cryosparc') else 'motioncor2'}.txt"
