"""The rows that stand for a run as a whole: its parameters, and the run itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.records import CTFOptions
from sinedon.models.appiondata import ApAceRunData, ApCtfData, ApCtfFind4ParamsData, ApPathData

#: Numbers that differ by no more are the same parameter.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class CTFRun:
    """The run that results are stored for: `ApAceRunData.DEF_id` and what it was found by."""

    def_id: int
    runname: str
    session_id: int
    path_id: int


def saveCTFRun(session_id: int, runname: str, path_id: int, params: Mapping[str, Any]) -> CTFRun:
    """Return the run of this name, session and folder; it is made if there is none yet.

    Args:
        path_id: `ApPathData` row of the run folder.
        params: fields of its `ApCtfFind4ParamsData` row.

    Raises:
        ConfigurationFailure: there is such a run with other parameters.
    """
    path = sinedon.readRows(ApPathData, [path_id])[path_id].path
    run_id = findCTFRun(session_id, runname, path, params)
    if run_id is None:
        run_id = sinedon.insertRow(
            ApAceRunData, name=runname, session_id=session_id, path_id=path_id, hidden=False,
            ctffind4_params_id=sinedon.insertRow(ApCtfFind4ParamsData, **params).def_id,
        ).def_id  # fmt: skip
    return CTFRun(run_id, runname, session_id, path_id)


def constructRunParams(options: CTFOptions, cs: float, is_gctf: bool) -> dict[str, Any]:
    """Return the fields of a run's `ApCtfFind4ParamsData` row: Cs in mm, step in µm, phase shifts in degrees."""
    phase = options.phase
    return {
        "ampcontrast": options.ampcontrast,
        "fieldsize": options.fieldsize,
        "cs": cs,
        "bestdb": options.bestdb,
        "resmin": options.resmin,
        "defstep": round(options.defstep / 1e4, 8),
        "shift_phase": phase is not None,
        "min_phase_shift": phase.minimum if phase else None,
        "max_phase_shift": phase.maximum if phase else None,
        "phase_search_step": phase.step if phase else None,
        "local_refine": options.local is not None if is_gctf else None,
    }


def findCTFRun(session_id: int, runname: str, rundir: str, params: Mapping[str, Any]) -> int | None:
    """Return the id of the newest run of this name, session and folder, or None if there is none yet.

    Two queries. `params` are the fields that its parameters' row has to have.

    Raises:
        ConfigurationFailure: the run's parameters are others, or runs of this name are in other folders only; listing
            what differs.
    """
    found = ApAceRunData.objects.filter(name=runname, session_id=session_id).order_by("-def_id")
    runs = list(found.values_list("def_id", "path__path", "ctffind4_params_id"))
    if not runs:
        return None
    here = [run for run in runs if run[1] is not None and os.path.abspath(run[1]) == os.path.abspath(rundir)]
    if not here:
        raise ConfigurationFailure(
            f"run {runname} of this session is in {runs[0][1] or 'no folder'}, not in {rundir}",
            "choose another --runname and --rundir, or go on in that folder",
        )
    run_id, _, params_id = here[0]
    row = ApCtfFind4ParamsData.objects.filter(def_id=params_id or 0).first()
    if row is None:
        raise ConfigurationFailure(f"run {runname} of this session was made by another program",
                                   "choose another --runname and --rundir")
    differences = [
        f"{name} {formatValue(getattr(row, name))}, now {formatValue(value)}"
        for name, value in params.items() if not isSame(getattr(row, name), value)
    ]  # fmt: skip
    if differences:
        raise ConfigurationFailure(
            f"all parameters of a run must be identical; run {runname} has {'; '.join(differences)}",
            "use the former values, or choose another --runname and --rundir",
        )
    return run_id


def isSame(stored: Any, value: Any) -> bool:
    """Return whether a stored parameter is the given one."""
    if stored is None or value is None:
        return stored is value
    return round(abs(float(stored) - float(value)), 9) <= TOLERANCE


def formatValue(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def checkTables() -> None:
    """Raise ConfigurationFailure if a table or column is missing that results need, or web pages to show them."""
    remedy = "complete the Appion database: sinedon init"
    for model in (ApCtfFind4ParamsData, ApAceRunData, ApCtfData):
        name = model.__name__
        if not sinedon.hasTable(model):
            raise ConfigurationFailure(f"there is no table {name}", remedy)
        fields = (field.name for field in model._meta.concrete_fields)
        missing = sorted(field for field in fields if not sinedon.hasColumn(model, field))
        if missing:
            raise ConfigurationFailure(f"table {name} has no column {', '.join(missing)}", remedy)
