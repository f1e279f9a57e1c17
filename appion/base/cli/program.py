"""The external program of a command: found as the settings say, and the same for all results of one run."""

from __future__ import annotations

import logging
from pathlib import Path

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.programs.find import Found, searchProgram
from appion.base.programs.searches import SEARCHES, chooseSearch
from appion.base.records.program import Program, isSameVersion
from appion.base.retrieve.runoptions import readRunPrograms

log = logging.getLogger(__name__)


def findByCommand(command: str, timeout: float = 30.0) -> Found:
    """Return the program that a command runs, by the name that the user called it and by the settings.

    Raises:
        ConfigurationFailure: there is none, and what would help.
    """
    wanted = chooseSearch(command)
    executable = setting(SEARCHES[wanted].setting) or ""
    return searchProgram(wanted, executable, timeout=timeout, cpu_fallback=setting("cpu_fallback"))


def checkRunProgram(rundir: Path | str, runname: str, program: Program) -> str:
    """Return if stored results of a run may stand beside those of `program`; with a warning, or empty.

    To be called for a run that has stored results. Another version is a warning unless the setting `strict_versions`
    refuses it; where nothing is recorded a line says so.

    Raises:
        ConfigurationFailure: they were made with another program; both are named.
    """
    before = readRunPrograms(rundir)
    if not before:
        log.info("nothing says which program made the results of run %s: it goes on with %s", runname, program)
        return ""
    last = before[-1]
    if last.kind != program.kind:
        raise ConfigurationFailure(
            f"run {runname} has results of {last}, and the program now is {program}",
            "load the module or set the executable of the former, or choose another --runname and --rundir",
        )
    if isSameVersion(last, program):
        return ""
    if setting("strict_versions"):
        raise ConfigurationFailure(
            f"run {runname} has results of {last}, the version now is another: {program}",
            "use the former version, choose another --runname and --rundir, or set strict_versions to false",
        )
    return f"run {runname} has results of {last} and goes on with another version: {program}"


def listEarlier(rundir: Path | str, program: Program) -> list[Program]:
    """Return the programs that the run had before this one, each version once."""
    earlier: list[Program] = []
    for one in readRunPrograms(rundir):
        if not any(isSameVersion(one, other) for other in (*earlier, program)):
            earlier.append(one)
    return earlier
