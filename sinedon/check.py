"""`sinedon check`: says in words what the live databases lack."""

from __future__ import annotations

from pathlib import Path

from django.db import connections

from sinedon.config import readConfig
from sinedon.errors import ConfigurationError
from sinedon.models import projectdata
from sinedon.schema import Missing, listMissing
from sinedon.setup import findAppionDatabase, openAppionDatabase, setup

CONSEQUENCES = {
    "leginondata": "what is missing reads as empty, and Leginon adds it when it first needs it",
    "projectdata": "what is missing reads as empty, and the project's web pages add it when they are updated",
    "appiondata": "run: sinedon init --appiondb {name}",
}

#: Without these a database is none of Leginon's, or none of its projects.
INDISPENSABLE = {"SessionData", "AcquisitionImageData", "CameraEMData", "ScopeEMData", "PresetData", "projects",
                 "projectexperiments", "processingdb"}  # fmt: skip

#: What only gctffind.py needs of an Appion database, which says so when it starts.
OF_GCTFFIND = ("ApGCtfFindParamsData", "REF|ApGCtfFindParamsData|gctffind_params")


def checkDatabases(projectid: int | None = None) -> tuple[list[str], bool]:
    """Return lines that say what each database lacks, and whether nothing is missing that somebody has to add.

    Looks at the Leginon and project databases and the Appion database of the project, or of every project.

    Raises:
        ConfigurationError: a setting is wrong, the project is unknown, or a database cannot be reached.
    """
    setup()
    lines, complete = [], True
    for alias in ("leginondata", "projectdata"):
        found, well = _describe(alias)
        complete &= well
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
        found, well = _describe("appiondata")
        complete &= well
        lines += found
    return lines, complete


def isIndispensable(alias: str, item: Missing) -> bool:
    """Whether what is missing has to be added before anything runs; the rest comes when it is needed."""
    if alias == "appiondata":
        names = {item.model._meta.db_table} if item.whole else {field.column for field in item.fields}
        return not names.issubset(OF_GCTFFIND)
    return item.whole and item.model._meta.db_table in INDISPENSABLE


def describeNote(alias: str) -> str:
    """Return why what is missing, and not indispensable, needs nobody."""
    return "only gctffind.py needs it" if alias == "appiondata" else CONSEQUENCES[alias]


def describeTask(alias: str) -> str:
    """Return what to do about what is missing and indispensable, with a place for the database's name."""
    if alias == "appiondata":
        return CONSEQUENCES[alias]
    return f"correct 'db' of [{alias}] in sinedon.cfg if it is another database than was meant"


def _describe(alias: str) -> tuple[list[str], bool]:
    """Return one line when the database lacks nothing, else headings and a line for each table; and whether it is well.

    What comes by itself when it is needed is a note.
    """
    name = Path(connections.settings[alias]["NAME"]).stem
    lines, missing = [], listMissing(alias)
    errors = [item for item in missing if isIndispensable(alias, item)]
    if errors:
        lines.append(f"{name} is not complete; {describeTask(alias).format(name=name)}:")
        lines += [f"  missing: {item}" for item in errors]
    notes = [item for item in missing if item not in errors]
    if notes:
        first = name if errors else f"{name}: complete for a run"
        lines += [f"{first}; note: {describeNote(alias)}:", *(f"  missing: {item}" for item in notes)]
    return lines or [f"{name}: complete"], not errors


def _listAppionDatabases() -> list[str]:
    """Return the Appion databases of all projects, each once."""
    rows = projectdata.processingdb.objects.exclude(appiondb=None).exclude(appiondb="")
    return sorted(set(rows.values_list("appiondb", flat=True)))
