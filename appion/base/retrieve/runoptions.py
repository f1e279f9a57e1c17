"""Whether a run goes on with the options that its stored results were made with; if not, it is refused.

The run folder holds the options of the last start. Without that record (it was removed, or classic Appion made the
run) the script tables tell what the run was started with, as long as each option had one value only.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from appion.base.cli.options import Parser
from appion.base.failures import ConfigurationFailure
from appion.base.store.runoptions import runOptionsPath
from sinedon.models import appiondata

log = logging.getLogger(__name__)

REMEDY = "use the former options, or choose another --runname and --rundir"


def constructRunOptions(args: argparse.Namespace, parser: Parser) -> dict[str, Any]:
    """Return the options on which results depend, by dest."""
    return {dest: getattr(args, dest) for dest in sorted(parser.shaping)}


def checkRunOptions(args: argparse.Namespace, parser: Parser, program: str) -> None:
    """Return if the stored results of a run were made with the options that are asked for now.

    Where that cannot be known there is a warning instead. To be called for a run that has stored results.

    Raises:
        ConfigurationFailure: they were made with other options; with the old and the new value of each.
    """
    kept = readRunOptions(args.rundir, program)
    if kept is not None:
        before = {dest: [kept.get(dest, parser.get_default(dest))] for dest in parser.shaping}
    else:
        before = retrieveStartOptions(parser, program, args.runname, args.rundir)
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


def readRunOptions(rundir: Path | str, program: str) -> dict[str, Any] | None:
    """Return the options that the run folder's results of `program` are made with, by dest; None without a record.

    Raises:
        ConfigurationFailure: the file is there but is not what the daemon writes.
    """
    path = runOptionsPath(rundir)
    try:
        record = json.loads(path.read_bytes())
        return dict(record["options"]) if record["program"] == program else None
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        remedy = "move it away: the options recorded in the database count then"
        raise ConfigurationFailure(f"{path} cannot be read: {error!r}", remedy) from error


def retrieveStartOptions(parser: Parser, program: str, runname: str, rundir: str) -> dict[str, list[Any]]:
    """Return the values that each shaping option had in earlier starts of a run; empty if no start is recorded.

    Two queries. Starts without ``--commit`` have no job and do not count. An option that a start has no row for was not
    given: it had its default.
    """
    starts = set(
        appiondata.ScriptProgramRun.objects.filter(
            progname__name=program, runname=runname, rundir__path=rundir, job_id__gt=0
        ).values_list("def_id", flat=True)
    )
    rows = appiondata.ScriptParamValue.objects.filter(progrun_id__in=starts, paramname__name__in=parser.shaping)
    texts: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for dest, start, text in rows.values_list("paramname__name", "progrun_id", "value"):
        texts[dest][start].add(text)
    found: dict[str, list[Any]] = {}
    for dest in parser.shaping if texts else ():
        values = [readValue(parser, dest, text) for start in texts[dest].values() for text in sorted(start)]
        values += [parser.get_default(dest)] if starts - texts[dest].keys() else []
        found[dest] = [value for place, value in enumerate(values) if value not in values[:place]]
    return found


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
