"""The rows that stand for a run as a whole: its parameters, and the run itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.retrieve.done import findCTFRun
from sinedon.models.appiondata import ApAceRunData, ApCtfData, ApCtfFind4ParamsData, ApPathData


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


def checkTables() -> None:
    """Raise ConfigurationFailure if a table or column is missing that results need, or web pages to show them."""
    remedy = "complete the Appion database: python -m sinedon init"
    for model in (ApCtfFind4ParamsData, ApAceRunData, ApCtfData):
        name = model.__name__
        if not sinedon.hasTable(model):
            raise ConfigurationFailure(f"there is no table {name}", remedy)
        fields = (field.name for field in model._meta.concrete_fields)
        missing = sorted(field for field in fields if not sinedon.hasColumn(model, field))
        if missing:
            raise ConfigurationFailure(f"table {name} has no column {', '.join(missing)}", remedy)
