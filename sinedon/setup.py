"""Registers the databases of a project."""

from __future__ import annotations

import threading
from pathlib import Path

from django.db import connections
from django.db.utils import Error as DjangoDatabaseError
from django.db.utils import NotSupportedError

from sinedon.config import Section, listConfigPaths, readConfig
from sinedon.connection import addDatabase, constructDatabase, registerDatabases
from sinedon.errors import ConfigurationError, ConnectionFailure
from sinedon.live import readLiveTables
from sinedon.models import projectdata
from sinedon.refusal import findRefusal

UNKNOWN_DATABASE = 1049
ACCESS_DENIED = (1045, 1698)

#: Threads register one database at a time.
_adding = threading.Lock()


def setup(projectid: int | None = None) -> None:
    """Register the Leginon and project databases and, with a project, its Appion database.

    May be called again with another project or after the configuration has changed.

    Raises:
        ConfigurationError: `sinedon.cfg` is missing or wrong, or the project has no Appion database (the message lists
            the projects that have one).
        ConnectionFailure: a database cannot be reached.
    """
    sections = readConfig()
    databases = {name: constructDatabase(sections[name], sections[name].db) for name in ("leginondata", "projectdata")}
    registerDatabases(databases)
    for alias in databases:
        openDatabase(alias, sections[alias])
    if projectid is not None:
        name = findAppionDatabase(projectid)
        openAppionDatabase(name, sections["appiondata"])


def findAppionDatabase(projectid: int) -> str:
    """Return the name of the project's Appion database: its newest row in `processingdb`.

    Raises:
        ConfigurationError: the project has none; the message lists those that have.
    """
    rows = projectdata.processingdb.objects.exclude(appiondb=None).exclude(appiondb="")
    name = rows.filter(project_id=projectid).order_by("-def_id").values_list("appiondb", flat=True).first()
    if name:
        return str(name)
    known = dict(rows.order_by("def_id").values_list("project_id", "appiondb"))
    existing = ", ".join(f"{project} ({db})" for project, db in sorted(known.items(), key=lambda item: item[0] or 0))
    raise ConfigurationError(
        f"project {projectid} has no Appion database; projects that have one: {existing or 'none'}. "
        "Correct --projectid, or create the project's processing database on the project's web page"
    )


def addAppionDatabase(name: str, keep: float | None = None) -> str:
    """Register an Appion database beside any others, unless it is, and return its alias, for `.using(alias)`.

    For those who look at several projects at a time; it is not the one that is used where none is named.

    Args:
        keep: seconds for which Django keeps a connection of a request open; None: for good.

    Raises:
        ConnectionFailure: it cannot be reached or does not exist.
    """
    alias = f"appiondata/{name}"
    with _adding:
        if alias not in connections.settings:
            section = readConfig()["appiondata"]
            addDatabase(alias, constructDatabase(section, name) | {"CONN_MAX_AGE": keep})
            try:
                openDatabase(alias, section)
            except ConnectionFailure:
                connections[alias].close()
                del connections[alias], connections.settings[alias]
                raise
    return alias


def openAppionDatabase(name: str, section: Section) -> None:
    """Register the Appion database `name` in place of any other and connect to it.

    Raises:
        ConnectionFailure: it cannot be reached or does not exist.
    """
    if "appiondata" in connections.settings:
        connections["appiondata"].close()
        del connections["appiondata"]
    addDatabase("appiondata", constructDatabase(section, name))
    openDatabase("appiondata", section)


def openDatabase(alias: str, section: Section) -> None:
    """Connect to a registered database and read which tables and columns it has.

    Raises:
        ConnectionFailure: it cannot be reached, does not exist or its server is too old.
    """
    database = connections.settings[alias]
    name = database["NAME"]
    if section.engine == "sqlite" and not Path(name).exists():
        option = f" --appiondb {Path(name).stem}" if alias.startswith("appiondata") else ""
        remedy = f"create it with: sinedon init{option}"
        raise ConnectionFailure(f"[{alias}] database {name} does not exist; {remedy}")
    try:
        readLiveTables(alias)
    except DjangoDatabaseError as error:
        mysql = section.engine == "mysql"
        server = f"{database['HOST'] or 'localhost'}:{database['PORT'] or 3306}" if mysql else "SQLite"
        raise ConnectionFailure(
            f"[{alias}] cannot open database '{name}' on {server} as user '{database['USER']}': {error}. "
            f"{_describeRemedy(alias, name, error)}"
        ) from error


def _describeRemedy(alias: str, name: str, error: DjangoDatabaseError) -> str:
    """Return what to do about a database that cannot be opened."""
    read = ", ".join(str(path) for path in listConfigPaths() if path.exists())
    number = error.args[0] if error.args else None
    if number == UNKNOWN_DATABASE:
        if alias.startswith("appiondata"):
            return f"Create it with: sinedon init --appiondb {name}"
        return f"Correct 'db' of [{alias}] in {read}"
    if isinstance(error, NotSupportedError):
        return "Update the server"
    if number in ACCESS_DENIED:
        return f"Correct user and passwd of [{alias}] in {read}, or grant the user access"
    refusal = findRefusal(error)
    if refusal is not None:
        return refusal.remedy[:1].upper() + refusal.remedy[1:]
    return f"Start the server, or correct {read}"
