"""With which options and program a run was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from appion.base.cli.ingest import RECORDED
from appion.base.cli.runoptions import readValues
from appion.base.failures import ConfigurationFailure
from appion.base.records.program import Program
from appion.base.retrieve.runoptions import readRunOptions, readRunPrograms, retrieveStartOptions
from appion.ctfestimation.cli import options as ctf
from appion.export.runs import Run
from appion.motioncorrection.cli.options import (
    PROGRAM,
    PROGRAM3,
    SHAPING,
    constructMotionCorrectionParser,
    constructOptions,
)
from appion.motioncorrection.records import MotionCorrectionOptions
from sinedon.models.appiondata import ApDDStackRunData

#: The names under which such a run may be recorded.
PROGRAMS = (PROGRAM, PROGRAM3, "motioncor2", "motioncor3", RECORDED)
CTF_PROGRAMS = ("ctffind4", "ctffind5", "gctf", "gctffind", RECORDED)


def readMotionOptions(run: Run) -> MotionCorrectionOptions:
    """Return the options of a run: as its folder has them, else as it was last started, else what its row says.

    Raises:
        ConfigurationFailure: they are such as this package would not take.
    """
    parser = constructMotionCorrectionParser("motioncor2.py")
    args = parser.parse_args(["--align"])
    values: dict[str, Any] | None = readRunOptions(run.rundir, PROGRAMS)
    if values is None:
        texts = retrieveStartOptions(parser.shaping, PROGRAMS, run.name, str(run.rundir.absolute()))
        values = {dest: readValues(parser, dest, texts[dest])[-1] for dest in texts} or {"bin": readBinning(run)}
    for dest, value in values.items():
        setattr(args, dest, value)
    gainfile, args.gainfile = args.gainfile, ""  # it may be gone: that is no obstacle here
    try:
        return replace(constructOptions(args, parser), gainfile=gainfile)
    except ConfigurationFailure as failure:
        raise ConfigurationFailure(f"options of the run in {run.rundir}: {failure.reason}", failure.remedy) from failure


def readBinning(run: Run) -> float:
    """Return by which factor a run has binned its sums, as its parameters' row has it: a whole number."""
    rows = ApDDStackRunData.objects.filter(def_id__in=run.ids, params__bin__gt=0).order_by("-def_id")
    return float(rows.values_list("params__bin", flat=True).first() or 1)


def readMotionProgram(rundir: Path) -> Program:
    """Return the program of a run; one of unknown version that is like MotionCor2 where nothing tells."""
    known = readRunPrograms(rundir)
    return known[-1] if known else Program("motioncor2", "motioncor2")


def readOptionTexts(rundir: Path, runname: str, kind: str) -> list[tuple[str, str]]:
    """Return the options of a run by name, with their values as text; empty if nothing tells them."""
    known = {"motion": (PROGRAMS, SHAPING), "CTF": (CTF_PROGRAMS, ctf.SHAPING)}
    programs, dests = known.get(kind, ((kind,), frozenset()))
    try:
        values = readRunOptions(rundir, programs)
    except ConfigurationFailure:
        values = None
    if values is None:
        texts = retrieveStartOptions(dests, programs, runname, str(rundir.absolute()))
        values = {dest: found[-1] for dest, found in texts.items()}
    return [(name, formatOption(value)) for name, value in sorted(values.items(), key=lambda item: item[0].lower())]


def formatOption(value: Any) -> str:
    """Return the value of an option as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)
