"""`python -m sinedon init`: creates what is missing."""

from __future__ import annotations

from django.db import connections

from sinedon.config import Section, readConfig
from sinedon.connection import constructDatabase, registerDatabases
from sinedon.errors import ConfigurationError
from sinedon.models import projectdata
from sinedon.rows import insertRow
from sinedon.schema import createMissing
from sinedon.setup import findAppionDatabase, openDatabase, setup


def createDatabases(projectid: int | None = None, appiondb: str | None = None) -> tuple[list[str], bool]:
    """Create what is missing; return lines that say what was done, and whether nothing is left to do.

    On SQLite: the three databases, a project (number 1 unless given) and its Appion database (``ap<project>`` unless
    named). On MySQL: missing tables and columns of one Appion database, and that database itself if it is named and
    does not exist; nothing in the Leginon and project databases, nothing altered or dropped.

    Raises:
        ConfigurationError: it cannot be told which Appion database is meant.
    """
    sections = readConfig()
    if sections["appiondata"].engine == "sqlite":
        return _createSQLite(sections, projectid or 1, appiondb), True
    return _createMySQL(sections, projectid, appiondb)


def _createSQLite(sections: dict[str, Section], projectid: int, appiondb: str | None) -> list[str]:
    """Create the three SQLite databases of a project."""
    names = {name: sections[name].db for name in ("leginondata", "projectdata")}
    _register(sections, names)
    lines = []
    for alias, section in sections.items():
        assert section.folder is not None
        section.folder.mkdir(parents=True, exist_ok=True)
        if alias in names:
            lines += _create(alias, section)
    recorded = projectdata.processingdb.objects.filter(project_id=projectid).order_by("-def_id").first()
    name = appiondb or (recorded.appiondb if recorded else f"ap{projectid}")
    if not projectdata.projects.objects.filter(pk=projectid).exists():
        insertRow(projectdata.projects, def_id=projectid, name=f"project {projectid}", hidden=False)
        lines.append(f"project {projectid} added")
    if recorded is None or recorded.appiondb != name:
        insertRow(projectdata.processingdb, project=projectid, appiondb=name)
        lines.append(f"Appion database of project {projectid} is {name}")
    _register(sections, {**names, "appiondata": name})
    lines += _create("appiondata", sections["appiondata"])
    setup(projectid)
    return lines


def _createMySQL(
    sections: dict[str, Section], projectid: int | None, appiondb: str | None
) -> tuple[list[str], bool]:
    """Create missing tables and columns of one Appion database on a MySQL server."""
    if projectid is None and appiondb is None:
        raise ConfigurationError("which Appion database? Give --project N or --appiondb NAME")
    setup()
    recorded = None
    lines = []
    if projectid is not None:
        try:
            recorded = findAppionDatabase(projectid)
        except ConfigurationError:
            if appiondb is None:
                raise
            lines.append(
                f"project {projectid} has no Appion database yet and the project database is left alone. To record it: "
                f"INSERT INTO `{sections['projectdata'].db}`.processingdb (`REF|projects|project`, appiondb) "
                f"VALUES ({projectid}, '{appiondb}');"
            )
        if recorded and appiondb and recorded != appiondb:
            raise ConfigurationError(f"--appiondb {appiondb}: the Appion database of project {projectid} is {recorded}")
    name = recorded or appiondb or ""
    _createDatabase(name)
    _register(sections, {**{alias: sections[alias].db for alias in ("leginondata", "projectdata")}, "appiondata": name})
    openDatabase("appiondata", sections["appiondata"])
    return _create("appiondata", sections["appiondata"]) + lines, not lines


def _createDatabase(name: str) -> None:
    """Create the Appion database itself if the server has none of that name."""
    connection = connections["projectdata"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [name])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE DATABASE {connection.ops.quote_name(name)}")


def _register(sections: dict[str, Section], names: dict[str, str]) -> None:
    registerDatabases({alias: constructDatabase(sections[alias], name) for alias, name in names.items()})


def _create(alias: str, section: Section) -> list[str]:
    """Create what a registered database lacks."""
    from sinedon.live import readLiveTables

    for name in connections.settings:
        if name != "default":
            readLiveTables(name)
    database = connections.settings[alias]["NAME"]
    return [f"{database}: {item} created" for item in createMissing(alias, section.table_engine)]
