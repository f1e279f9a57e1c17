"""`sinedon check`: says in words what the live databases lack."""

from __future__ import annotations

from pathlib import Path

from django.db import connections

from sinedon.config import readConfig
from sinedon.errors import ConfigurationError
from sinedon.models import projectdata
from sinedon.schema import listMissing
from sinedon.setup import findAppionDatabase, openAppionDatabase, setup

CONSEQUENCES = {
    "leginondata": "what is missing reads as empty, and Leginon adds it when it first needs it",
    "projectdata": "what is missing reads as empty, and the project's web pages add it when they are updated",
    "appiondata": "run: sinedon init --appiondb {name}",
}


def checkDatabases(projectid: int | None = None) -> tuple[list[str], bool]:
    """Return lines that say what each database lacks, and whether nothing is missing.

    Looks at the Leginon and project databases and the Appion database of the project, or of every project.

    Raises:
        ConfigurationError: a setting is wrong, the project is unknown, or a database cannot be reached.
    """
    setup()
    lines, complete = [], True
    for alias in ("leginondata", "projectdata"):
        found = _describe(alias)
        complete &= len(found) == 1
        lines += found
    names = [findAppionDatabase(projectid)] if projectid is not None else _listAppionDatabases()
    if not names:
        lines.append("no project has an Appion database; run: sinedon init --project N --appiondb NAME")
        complete = False
    section = readConfig()["appiondata"]
    for name in names:
        try:
            openAppionDatabase(name, section)
        except ConfigurationError as error:
            if projectid is not None:
                raise
            lines.append(str(error))
            complete = False
            continue
        found = _describe("appiondata")
        complete &= len(found) == 1
        lines += found
    return lines, complete


def _describe(alias: str) -> list[str]:
    """Return one line when the database lacks nothing, else a heading and a line for each table."""
    name = Path(connections.settings[alias]["NAME"]).stem
    missing = listMissing(alias)
    if not missing:
        return [f"{name}: complete"]
    heading = f"{name} is not complete; {CONSEQUENCES[alias].format(name=name)}:"
    return [heading, *(f"  missing: {item}" for item in missing)]


def _listAppionDatabases() -> list[str]:
    """Return the Appion databases of all projects, each once."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).exclude(appiondb="")
    return sorted(set(rows.values_list("appiondb", flat=True)))
