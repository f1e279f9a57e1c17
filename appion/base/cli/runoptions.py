"""Whether a run goes on with the options that its stored results were made with; if not, it is refused.

The run folder holds the options of the last start. Without that record (it was removed, or classic Appion made the
run) the script tables tell what the run was started with, as long as each option had one value only.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Collection, Sequence
from typing import Any

from appion.base.cli.options import Parser
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.runoptions import readRunOptions, retrieveStartOptions

log = logging.getLogger(__name__)

REMEDY = "use the former options, or choose another --runname and --rundir"


def constructRunOptions(args: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """Return the options on which results depend, by dest."""
    return {dest: getattr(args, dest) for dest in sorted(parser.shaping)}


def checkRunOptions(args: argparse.Namespace, parser: Parser, programs: Sequence[str]) -> None:
    """Return if the stored results of a run were made with the options that are asked for now.

    Where that cannot be known there is a warning instead. To be called for a run that has stored results; `programs`
    are the names under which it may have been recorded. An option that a former name does not have counts as not given.

    Raises:
        ConfigurationFailure: they were made with other options; with the old and the new value of each.
    """
    kept = readRunOptions(args.rundir, programs)
    if kept is not None:
        before = {dest: [kept.get(dest, parser.get_default(dest))] for dest in parser.shaping}
    else:
        texts = retrieveStartOptions(parser.shaping, programs, args.runname, args.rundir)
        before = {dest: readValues(parser, dest, texts[dest]) for dest in texts}
    now = constructRunOptions(args, parser)
    if not before:
        log.warning("run %s has results and no record of the options they were made with: make sure that they are the "
                    "same now", args.runname)  # fmt: skip
    different = [dest for dest in now if before and now[dest] not in before[dest]]
    if different:
        listed = "; ".join(f"{describeOption(parser, dest, before[dest])}, now {formatValue(now[dest])}"
                           for dest in different)  # fmt: skip
        raise ConfigurationFailure(f"run {args.runname} has results of other options: {listed}", REMEDY)
    for dest, values in before.items():
        if len(values) > 1:
            log.warning("run %s was started with %s: which of them its results were made with is not known",
                        args.runname, describeOption(parser, dest, values))  # fmt: skip


def readValues(parser: Parser, dest: str, texts: Sequence[str | None]) -> list[Any]:
    """Return the distinct values that texts of the script tables stand for; None stands for the default."""
    values = [parser.get_default(dest) if text is None else readValue(parser, dest, text) for text in texts]
    return [value for place, value in enumerate(values) if value not in values[:place]]


def readValue(parser: Parser, dest: str, text: str) -> Any:
    """Return the value that the script tables hold as text; the text itself where it is none of the option's."""
    action = next(action for action in parser.actions if action.dest == dest)
    if action.nargs == 0:
        return text == "True"
    try:
        return action.type(text) if callable(action.type) else text
    except ValueError:
        return text


def describeOption(parser: Parser, dest: str, values: Collection[Any]) -> str:
    name = next(action.option_strings[-1] for action in parser.actions if action.dest == dest)
    return f"{name} {' and '.join(map(formatValue, values))}"


def formatValue(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not given" if value in (None, "") else str(value)
