"""What the script tables shall know of a start: program, options as they can be written again, user and host."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from appion.base.cli.options import Parser
from appion.base.records.script import ScriptRun
from appion.base.records.stamp import readVersion
from appion.base.retrieve.host import readHost, readShell, readUser


def constructScriptRun(args: argparse.Namespace, parser: Parser, program: str) -> ScriptRun:
    """Return what is recorded of this start.

    Args:
        args, parser: the options and the parser they come from; options that classic does not have are not recorded.
        program: the program's name without folder and ``.py``.
    """
    return ScriptRun(
        program=program, revision=readVersion(), package=str(Path(__file__).parents[2]), runname=args.runname,
        user=readUser(), shell=readShell(), host=readHost(), parameters=constructParameters(args, parser),
    )  # fmt: skip


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
