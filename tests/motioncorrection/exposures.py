"""Real exposures of production sessions, loaded into whichever databases are set up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sinedon
from sinedon.models import leginondata, projectdata
from sinedon.schema import createMissing

DATA = Path(__file__).parent / "data"


def readExposures() -> list[dict[str, Any]]:
    """Return the recorded exposures: `image_id`, `appion_options`, `classic_motioncor2_flags`, `rows`."""
    return json.loads((DATA / "exposures.json").read_text())["exposures"]


def loadExposures(projectid: int = 1) -> None:
    """Insert the rows of all exposures with the ids they had; their sessions belong to the project.

    Tables and columns that an old database lacks are made first, as Leginon would make them.
    """
    createMissing("leginondata")
    for number, exposure in enumerate(readExposures()):
        for table, row in exposure["rows"]:
            # calibrations are numbered anew in each exposure of the file
            shift = 1000 * number if table == "PixelSizeCalibrationData" else 0
            insertRow(getattr(leginondata, table), {**row, "DEF_id": row["DEF_id"] + shift})
        session = next(row["DEF_id"] for table, row in exposure["rows"] if table == "SessionData")
        sinedon.insertRow(projectdata.projectexperiments, session=session, project=projectid)


def insertRow(model: Any, row: dict[str, Any]) -> None:
    """Insert a row by its classic column names, unless its id is there."""
    if model.objects.filter(pk=row["DEF_id"]).exists():
        return
    fields = {field.column: field for field in model._meta.concrete_fields}
    values = {}
    for column, value in row.items():
        if column not in fields or value is None:
            continue
        values[fields[column].attname] = value
    model(**values).save(force_insert=True)


def constructArguments(exposure: dict[str, Any], projectid: int, rundir: Path) -> list[str]:
    """Return the options the exposure was made with, in a run folder of ours and for one project."""
    options = {**exposure["appion_options"], "projectid": str(projectid), "rundir": str(rundir)}
    return [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]
