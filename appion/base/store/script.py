"""Which program ran with which options, where and by whom: the script tables, from which the web repeats a run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

import sinedon
from appion.base.cli.options import Parser, readVersion
from appion.base.retrieve.host import readHost, readShell, readUser
from appion.base.store.path import savePathData
from sinedon.models import appiondata


def saveScriptRun(args: argparse.Namespace, parser: Parser, job_id: int | None, path_id: int, program: str) -> int:
    """Return the id of the `ScriptProgramRun` row of this run and its options; all rows are found or inserted.

    Args:
        args, parser: the options and the parser they come from; options that classic does not have are not recorded.
        job_id: the job row, or None.
        path_id: the `ApPathData` row of the run folder.
        program: the program's name without folder and ``.py``.
    """
    progname = sinedon.insertRow(appiondata.ScriptProgramName, name=program).def_id
    run = sinedon.insertRow(
        appiondata.ScriptProgramRun, runname=args.runname, revision=readVersion(), progname=progname,
        username=sinedon.insertRow(appiondata.ScriptUserName, **readUser()).def_id,
        hostname=sinedon.insertRow(appiondata.ScriptHostName, **readHost()).def_id,
        rundir=path_id, job=job_id, appion_path=savePathData(Path(__file__).parents[2]), unixshell=readShell()).def_id
    saveParameters(constructParameters(args, parser), progname, run)
    return run


def saveParameters(parameters: dict[str, tuple[str, str]], progname: int, run: int) -> None:
    """Insert the option names and values that are not there yet; two queries when all are."""
    names = dict(appiondata.ScriptParamName.objects.filter(progname_id=progname).order_by("-def_id")
                 .values_list("name", "def_id"))
    values = set(appiondata.ScriptParamValue.objects.filter(progrun_id=run)
                 .values_list("paramname_id", "value", "usage"))
    for dest, (value, usage) in parameters.items():
        name = names.get(dest) or sinedon.insertRow(appiondata.ScriptParamName, name=dest, progname=progname).def_id
        if (name, value, usage) not in values:
            sinedon.insertRow(appiondata.ScriptParamValue, value=value, usage=usage, paramname=name, progrun=run)


def constructParameters(args: argparse.Namespace, parser: Parser) -> dict[str, tuple[str, str]]:
    """Return value and usage of each option that has a value and can be written on a command line, by dest."""
    parameters = {}
    for dest in dict.fromkeys(action.dest for action in parser.actions):
        value = getattr(args, dest, None)
        usage = None if value is None or dest in parser.extensions else constructUsage(parser, dest, value)
        if usage is not None:
            parameters[dest] = (str(value), usage)
    return parameters


def constructUsage(parser: Parser, dest: str, value: Any) -> str | None:
    """Return how an option is written to have this value, by its last name: ``--opt=value`` or the switch.

    None for a switch that cannot be written, being off without a ``--no-`` form. A value that a shell would not take as
    it is stands in quotes.
    """
    for action in parser.actions:
        if action.dest != dest:
            continue
        name = action.option_strings[-1]
        if action.nargs != 0:
            return f"{name}={shlex.quote(str(value))}" if value != "" else f"{name}="
        if getattr(action, "const", None) is value:
            return name
    return None
