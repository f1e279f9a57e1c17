"""The rows that stand for a run as a whole: its parameters, and the run itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sinedon
from sinedon.models.appiondata import ApDDStackParamsData, ApDDStackRunData, ApPathData


@dataclass(frozen=True)
class StackRun:
    """The run that results are stored for: `ApDDStackRunData.DEF_id` and what it was found by.

    `presets`: ids of the presets that its aligned images have, by what these are made of.
    """

    def_id: int
    runname: str
    session_id: int
    path_id: int
    presets: dict[Any, int] = field(default_factory=dict, compare=False)


def saveStackRun(
    session_id: int,
    runname: str,
    path_id: int,
    preset: str | None,
    align: bool,
    bin: float,
    stack_id: int | None = None,
) -> StackRun:
    """Return the run that :func:`findStackRun` finds, so that a restart goes on with it; else make one.

    The parameters' row is written first: web pages hide a run without one.

    Args:
        session_id, path_id: `SessionData` and `ApPathData` rows; rows of the same path text count as the same folder.
        stack_id: particle stack that the images are restricted to.
    """
    path = sinedon.readRows(ApPathData, [path_id])[path_id]
    run_id = findStackRun(session_id, runname, path.path, preset, align, bin)
    if run_id is None:
        params = sinedon.insertRow(
            ApDDStackParamsData, preset=preset or None, align=align, bin=int(bin), stack_id=stack_id
        )
        run_id = sinedon.insertRow(
            ApDDStackRunData, runname=runname, params_id=params.def_id, session_id=session_id, path_id=path_id
        ).def_id
    return StackRun(run_id, runname, session_id, path_id)


def findStackRun(
    session_id: int, runname: str, rundir: str, preset: str | None, align: bool, bin: float
) -> int | None:
    """Return the id of the newest run of this name, session, folder and settings, or None if there is none yet.

    Settings are the preset (None: any), whether frames are aligned, and the binning as a whole number (1.5 counts as
    1).
    """
    runs = ApDDStackRunData.objects.filter(
        runname=runname, session_id=session_id, path__path=rundir, params__align=align, params__bin=int(bin)
    )
    if preset:
        runs = runs.filter(params__preset=preset)
    return runs.order_by("-def_id").values_list("def_id", flat=True).first()
