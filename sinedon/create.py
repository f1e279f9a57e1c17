"""`sinedon init`: creates what is missing."""

from __future__ import annotations

import re
from pathlib import Path

from django.db import connections

from sinedon.config import Section, readConfig
from sinedon.connection import addDatabase, constructDatabase, registerDatabases
from sinedon.errors import ConfigurationError
from sinedon.models import projectdata
from sinedon.rows import insertRow
from sinedon.schema import createMissing
from sinedon.setup import findAppionDatabase, openAppionDatabase, setup


def createDatabases(projectid: int | None = None, appiondb: str | None = None) -> list[str]:
    """Create what is missing; return lines that say what was done.

    On SQLite: the three databases, a project (number 1 unless given or the named database has one) and its Appion
    database (``ap<project>`` unless named). On MySQL: missing tables and columns of one Appion database, and that
    database itself if it is not there; where both are named and the project has none on record, that record. Nothing
    else in the Leginon and project databases, nothing altered or dropped.

    Raises:
        ConfigurationError: it cannot be told which Appion database is meant.
    """
    sections = readConfig()
    if sections["appiondata"].engine == "sqlite":
        return _createSQLite(sections, projectid, appiondb)
    return _createMySQL(sections, projectid, appiondb)


def _createSQLite(sections: dict[str, Section], projectid: int | None, appiondb: str | None) -> list[str]:
    """Create the three SQLite databases of a project."""
    names = ("leginondata", "projectdata")
    for section in sections.values():
        assert section.folder is not None
        section.folder.mkdir(parents=True, exist_ok=True)
    registerDatabases({name: constructDatabase(sections[name], sections[name].db) for name in names})
    lines = [line for alias in names for line in _create(alias)]
    if projectid is None:
        owner = projectdata.processingdb.objects.filter(appiondb=appiondb).order_by("-def_id").first()
        projectid = owner.project_id if owner else 1
    if not projectdata.projects.objects.filter(pk=projectid).exists():
        insertRow(projectdata.projects, def_id=projectid, name=f"project {projectid}", hidden=False)
        lines.append(f"project {projectid} added")
    recorded = projectdata.processingdb.objects.filter(project_id=projectid).order_by("-def_id").first()
    name = _checkName(appiondb or (recorded.appiondb if recorded else f"ap{projectid}"))
    if recorded is None or recorded.appiondb != name:
        insertRow(projectdata.processingdb, project=projectid, appiondb=name)
        lines.append(f"Appion database of project {projectid} is {name}")
    addDatabase("appiondata", constructDatabase(sections["appiondata"], name))
    lines += _create("appiondata")
    setup(projectid)
    return lines


def _createMySQL(sections: dict[str, Section], projectid: int | None, appiondb: str | None) -> list[str]:
    """Create missing tables and columns of one Appion database on a MySQL server."""
    if projectid is None and appiondb is None:
        raise ConfigurationError("which Appion database? Give --project N or --appiondb NAME")
    setup()
    recorded, lines = None, []
    if projectid is not None:
        try:
            recorded = findAppionDatabase(projectid)
        except ConfigurationError:
            if appiondb is None:
                raise
            insertRow(projectdata.processingdb, project=projectid, appiondb=_checkName(appiondb))
            lines.append(f"Appion database of project {projectid} is {appiondb}")
    if recorded and appiondb and recorded != appiondb:
        raise ConfigurationError(f"--appiondb {appiondb}: the Appion database of project {projectid} is {recorded}")
    name = _checkName(recorded or appiondb or "")
    _createDatabase(name, sections["appiondata"])
    openAppionDatabase(name, sections["appiondata"])
    return lines + _create("appiondata", sections["appiondata"].table_engine)


def _createDatabase(name: str, section: Section) -> None:
    """Create the Appion database itself if its server has none of that name."""
    addDatabase("appiondata", constructDatabase(section, ""))
    connection = connections["appiondata"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")


def _create(alias: str, table_engine: str = "MyISAM") -> list[str]:
    """Create what a registered database lacks and say what it was."""
    name = Path(connections.settings[alias]["NAME"]).stem
    return [f"{name}: created {item}" for item in createMissing(alias, table_engine)]


def _checkName(name: str) -> str:
    """Return the name of a database if it can be one."""
    if not re.fullmatch(r"[\w$-]{1,64}", name, re.ASCII):
        raise ConfigurationError(f"'{name}' is no name of a database: letters, digits, _, $ and -, at most 64")
    return name
