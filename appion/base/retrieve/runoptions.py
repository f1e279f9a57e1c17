"""With which options and program the results of a run were made, as its folder or the script tables tell."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.encoding import decodeRecord
from appion.base.records.program import Program
from appion.base.records.runfolder import runOptionsPath
from sinedon.models import appiondata


def readRunOptions(rundir: Path | str, programs: Collection[str]) -> dict[str, Any] | None:
    """Return the options that the run folder's results of these programs are made with, by dest; None without a record.

    Raises:
        ConfigurationFailure: the file is there but is not what the daemon writes.
    """
    record = _readRecord(rundir)
    return dict(record["options"]) if record is not None and record["program"] in programs else None


def readRunPrograms(rundir: Path | str) -> tuple[Program, ...]:
    """Return the external programs that the run folder's results are made with, the latest last; empty if not known.

    Raises:
        ConfigurationFailure: as :func:`readRunOptions`.
    """
    record = _readRecord(rundir)
    return () if record is None else record["externals"]


def _readRecord(rundir: Path | str) -> dict[str, Any] | None:
    """Return what the daemon wrote, with the programs as records under `externals`; None if there is nothing."""
    path = runOptionsPath(rundir)
    try:
        record = json.loads(path.read_bytes())
        written = [*record.get("earlier", ()), *([record["external"]] if record.get("external") else ())]
        programs = tuple(decodeRecord(Program, one) for one in written)
        return {"program": record["program"], "options": dict(record["options"]), "externals": programs}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        remedy = "move it away: the options recorded in the database count then"
        raise ConfigurationFailure(f"{path} cannot be read: {error!r}", remedy) from error


def retrieveStartOptions(
    dests: Collection[str], programs: Collection[str], runname: str, rundir: str
) -> dict[str, list[str | None]]:
    """Return the texts of the values that each of these options had in earlier starts of a run.

    Two queries. Empty if no start is recorded. Starts without ``--commit`` have no job and do not count. An option that
    a start has no row for was not given: None stands for it, last.
    """
    starts = set(
        appiondata.ScriptProgramRun.objects.filter(
            progname__name__in=programs, runname=runname, rundir__path=rundir, job_id__gt=0
        ).values_list("def_id", flat=True)
    )
    rows = appiondata.ScriptParamValue.objects.filter(progrun_id__in=starts, paramname__name__in=dests)
    texts: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for dest, start, text in rows.values_list("paramname__name", "progrun_id", "value"):
        texts[dest][start].add(text)
    found: dict[str, list[str | None]] = {}
    for dest in dests if texts else ():
        found[dest] = [text for start in texts[dest].values() for text in sorted(start)]
        found[dest] += [None] if starts - texts[dest].keys() else []
    return found
