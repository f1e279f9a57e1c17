"""`python -m sinedon check`: says in words what the live databases lack."""

from __future__ import annotations

from django.db import connections

from sinedon.config import readConfig
from sinedon.errors import ConfigurationError
from sinedon.models import projectdata
from sinedon.schema import listMissing
from sinedon.setup import findAppionDatabase, openAppionDatabase, setup

CONSEQUENCES = {
    "leginondata": "reads as empty; Leginon adds it when it is updated and first needs it",
    "projectdata": "reads as empty; the project's web pages add it when they are updated",
    "appiondata": "create it with: python -m sinedon init",
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
        lines.append("no project has an Appion database; create one with: python -m sinedon init")
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
    name = connections.settings[alias]["NAME"]
    missing = listMissing(alias)
    if not missing:
        return [f"{name}: complete"]
    return [f"{name} ({CONSEQUENCES[alias]}):", *(f"  missing {item}" for item in missing)]


def _listAppionDatabases() -> list[str]:
    """Return the Appion databases of all projects, each once."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).exclude(appiondb="")
    return sorted(set(rows.values_list("appiondb", flat=True)))
