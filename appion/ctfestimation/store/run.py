"""The rows that stand for a run as a whole: its parameters, and the run itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.records import CTFOptions
from sinedon.models.appiondata import (
    ApAceRunData,
    ApCtfData,
    ApCtfFind4ParamsData,
    ApGCtfFindParamsData,
    ApPathData,
)

#: Kinds of programs.
CTFFIND, GCTF, GCTFFIND, CRYOSPARC = "ctffind", "gctf", "gctffind", "cryosparc"

#: Tables of parameters by the fields of `ApAceRunData` that refer to them, and who fills them.
REFERENCES = {"ctffind4_params": ApCtfFind4ParamsData, "gctffind_params": ApGCtfFindParamsData}
MAKERS = {CTFFIND: "ctffind4.py or ctffind5.py", GCTF: "gctf.py", GCTFFIND: "gctffind.py",
          CRYOSPARC: "appion ingest"}  # fmt: skip

#: Tables that the rows of a run and of its results are added to, beside that of its parameters.
WRITTEN = (ApAceRunData, ApCtfData)

#: Columns that databases of former ages lack, without which everything else goes on.
TILT_COLUMNS = ("tilt_angle", "tilt_axis_angle")
OPTIONAL = {"gctffind_params", *TILT_COLUMNS}

#: Numbers that differ by no more are the same parameter.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class RunParams:
    """The row of a run's parameters.

    Attributes:
        model: its table. reference: field of `ApAceRunData` that refers to it. fields: of the row.
        maker: the commands that write such rows, in words.
        noted: fields that are written with a new row, and say nothing of whether a run is the same.
    """

    model: Any
    reference: str
    fields: Mapping[str, Any]
    maker: str
    noted: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CTFRun:
    """The run that results are stored for: `ApAceRunData.DEF_id` and what it was found by."""

    def_id: int
    runname: str
    session_id: int
    path_id: int


def saveCTFRun(session_id: int, runname: str, path_id: int, params: RunParams) -> CTFRun:
    """Return the run of this name, session and folder; it is made if there is none yet.

    Args:
        path_id: `ApPathData` row of the run folder.
        params: the row of its parameters.

    Raises:
        ConfigurationFailure: there is such a run with other parameters, or of another program.
    """
    path = sinedon.readRows(ApPathData, [path_id])[path_id].path
    run_id = findCTFRun(session_id, runname, path, params)
    if run_id is None:
        row = sinedon.insertRow(params.model, **params.fields, **params.noted)
        run_id = sinedon.insertRow(
            ApAceRunData, name=runname, session_id=session_id, path_id=path_id, hidden=False,
            **{params.reference: row},
        ).def_id  # fmt: skip
    return CTFRun(run_id, runname, session_id, path_id)


def constructRunParams(options: CTFOptions, cs: float, kind: str, own_table: bool = True) -> RunParams:
    """Return the row of a run's parameters: Cs in mm, step in µm, phase shifts in degrees, astigmatism as a fraction.

    Args:
        kind: of the program: ctffind, gctf or gctffind; the first two share a table.
        own_table: whether those of gctffind go into a table of its own; else into that of the others, as far as they
            have a column there.
    """
    phase = options.phase
    fields: dict[str, Any] = {"ampcontrast": options.ampcontrast, "fieldsize": options.fieldsize, "cs": cs}
    if kind != GCTFFIND:
        fields |= {"bestdb": options.bestdb, "resmin": options.resmin, "defstep": round(options.defstep / 1e4, 8)}
    fields |= {
        "shift_phase": phase is not None,
        "min_phase_shift": phase.minimum if phase else None,
        "max_phase_shift": phase.maximum if phase else None,
    }
    if kind == GCTFFIND and own_table:
        fields["astig"] = options.astig
        return RunParams(ApGCtfFindParamsData, "gctffind_params", fields, MAKERS[kind])
    if kind != GCTFFIND:
        fields["phase_search_step"] = phase.step if phase else None
    if kind == GCTF:
        fields["local_refine"] = options.local is not None
    return RunParams(ApCtfFind4ParamsData, "ctffind4_params", fields, MAKERS[kind])


def constructIngestParams(cs: float, noted: Mapping[str, Any]) -> RunParams:
    """Return the row of a run that takes CryoSPARC's fits; of its search the row says what is known when it begins."""
    fields = {"cs": cs, "bestdb": False}
    return RunParams(ApCtfFind4ParamsData, "ctffind4_params", fields, MAKERS[CRYOSPARC], noted)


def findCTFRun(session_id: int, runname: str, rundir: str, params: RunParams) -> int | None:
    """Return the id of the newest run of this name, session and folder, or None if there is none yet.

    Two queries. `params` is the row that its parameters have to have.

    Raises:
        ConfigurationFailure: the run was made by another program, its parameters are others, or runs of this name are
            in other folders only; listing what differs.
    """
    runs = list(ApAceRunData.objects.filter(name=runname, session_id=session_id).order_by("-def_id")
                .values_list("def_id", "path__path", *(f"{name}_id" for name in REFERENCES)))  # fmt: skip
    if not runs:
        return None
    here = [run for run in runs if run[1] is not None and os.path.abspath(run[1]) == os.path.abspath(rundir)]
    if not here:
        raise ConfigurationFailure(
            f"run {runname} of this session is in {runs[0][1] or 'no folder'}, not in {rundir}",
            "choose another --runname and --rundir, or go on in that folder",
        )
    run_id, _, *ids = here[0]
    row, maker = readParams(dict(zip(REFERENCES, ids, strict=True)))
    if row is None or maker != params.maker:
        raise ConfigurationFailure(
            f"run {runname} of this session was made by {maker}, not by {params.maker}",
            "choose another --runname and --rundir",
        )
    differences = [
        f"{name} {formatValue(getattr(row, name))}, now {formatValue(value)}"
        for name, value in params.fields.items() if not isSame(getattr(row, name), value)
    ]  # fmt: skip
    if differences:
        raise ConfigurationFailure(
            f"all parameters of a run must be identical; run {runname} has {'; '.join(differences)}",
            "use the former values, or choose another --runname and --rundir",
        )
    return run_id


def readParams(ids: Mapping[str, int | None]) -> tuple[Any, str]:
    """Return the row of a run's parameters, or None, and by which commands it was made, in words.

    `ids` are the references of the run's row. In the table that CTFFIND, Gctf, CryoSPARC's fits and, where it has none
    of its own, GCtfFind share, Gctf alone says whether it refines locally. GCtfFind and CryoSPARC tell no limit of
    their fits, and GCtfFind says nothing of `bestdb` either.
    """
    for name, model in REFERENCES.items():
        row = model.objects.filter(def_id=ids[name]).first() if ids[name] else None
        if row is None:
            continue
        if model is ApGCtfFindParamsData:
            return row, MAKERS[GCTFFIND]
        if row.resmin is None and row.defstep is None:
            return row, MAKERS[GCTFFIND if row.bestdb is None else CRYOSPARC]
        return row, MAKERS[CTFFIND if row.local_refine is None else GCTF]
    return None, "another program"


def isSame(stored: Any, value: Any) -> bool:
    """Return whether a stored parameter is the given one."""
    if stored is None or value is None:
        return stored is value
    return round(abs(float(stored) - float(value)), 9) <= TOLERANCE


def formatValue(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def checkTables(params: RunParams, tilt: bool = False) -> list[str]:
    """Return what of the results has no column in this database, in words.

    Args:
        params: of the run. tilt: whether results tell the tilt of the sample.

    Raises:
        ConfigurationFailure: a table or column is missing that results need, or web pages to show them.
    """
    remedy = "complete the Appion database: sinedon init"
    if params.model is ApGCtfFindParamsData:
        remedy += "; or, where nothing may be added to it, set gctffind.own_table to false"
    for model in (params.model, ApAceRunData, ApCtfData):
        name = model.__name__
        if not sinedon.hasTable(model):
            raise ConfigurationFailure(f"there is no table {name}", remedy)
        fields = {field.name for field in model._meta.concrete_fields} - (OPTIONAL - {params.reference})
        missing = sorted(field for field in fields if not sinedon.hasColumn(model, field))
        if missing:
            raise ConfigurationFailure(f"table {name} has no column {', '.join(missing)}", remedy)
    lacking = [name for name in TILT_COLUMNS if tilt and not sinedon.hasColumn(ApCtfData, name)]
    return [f"ApCtfData.{name}" for name in lacking]
