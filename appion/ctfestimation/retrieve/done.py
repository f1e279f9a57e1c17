"""Which run a command line means, and which images it has stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.records import CTFOptions
from sinedon.models import appiondata

#: Numbers that differ by no more are the same parameter.
TOLERANCE = 1e-5


def constructRunParams(options: CTFOptions, cs: float, is_gctf: bool) -> dict[str, Any]:
    """Return the fields of a run's `ApCtfFind4ParamsData` row: Cs in mm, step in µm, phase shifts in degrees."""
    phase = options.phase
    return {
        "ampcontrast": options.ampcontrast,
        "fieldsize": options.fieldsize,
        "cs": cs,
        "bestdb": options.bestdb,
        "resmin": options.resmin,
        "defstep": options.defstep,
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
    found = appiondata.ApAceRunData.objects.filter(name=runname, session_id=session_id).order_by("-def_id")
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
    row = appiondata.ApCtfFind4ParamsData.objects.filter(def_id=params_id or 0).first()
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


def hasResults(runname: str, rundir: str) -> bool:
    """Return whether anything is stored of runs of this name in this folder."""
    return appiondata.ApCtfData.objects.filter(acerun__name=runname, acerun__path__path=rundir).exists()


def isSame(stored: Any, value: Any) -> bool:
    """Return whether a stored parameter is the given one."""
    if stored is None or value is None:
        return stored is value
    return round(abs(float(stored) - float(value)), 9) <= TOLERANCE


def formatValue(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def retrieveDone(run_id: int | None) -> set[int]:
    """Return the ids of the images that have a row of this run; one query, whatever their number."""
    if run_id is None:
        return set()
    return set(appiondata.ApCtfData.objects.filter(acerun_id=run_id).values_list("image_id", flat=True))
