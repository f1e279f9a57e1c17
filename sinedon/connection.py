"""Connections: how they are opened, counted, closed after an error, and which errors mean that a database is away."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.conf import settings
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.utils import Error as DjangoDatabaseError
from django.db.utils import InterfaceError

from sinedon.config import Section
from sinedon.live import forgetLiveTables

logger = logging.getLogger(__name__)

#: MySQL's numbers for: too many connections, shutdown, network trouble, lock waits, disk full, server gone, read-only.
#: Then: files of tables that cannot be opened, read or written, tables that are full or have to be repaired.
AWAY_NUMBERS = frozenset(
    {1021, 1040, 1053, 1077, 1152, 1153, 1158, 1159, 1160, 1161, 1184, 1203, 1205, 1213, 1226, 1290, 1317, 1836, 1927,
     2002, 2003, 2005, 2006, 2012, 2013, 2014, 2055, 3024, 4031,
     1016, 1017, 1023, 1024, 1026, 1030, 1034, 1035, 1036, 1037, 1038, 1041, 1114, 1135, 1194, 1195}
)  # fmt: skip
#: Numbers from 1 up to this one are the server's own trouble with files and indexes, never with a statement.
LAST_FILE_NUMBER = 999
AWAY_WORDS = ("database is locked", "database table is locked", "unable to open database file", "disk i/o error",
              "database or disk is full", "closed database", "connection already closed",
              "database disk image is malformed", "file is not a database")

#: An idle daemon keeps its connections for a week, a dead server is noticed after two minutes.
MYSQL_OPTIONS = {
    "init_command": "SET SESSION wait_timeout = 604800",
    "connect_timeout": 10,
    "read_timeout": 120,
    "write_timeout": 120,
}
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def constructDatabase(section: Section, name: str) -> dict[str, Any]:
    """Return Django's settings of the database `name` on the server or in the folder of `section`."""
    common: dict[str, Any] = {"CONN_MAX_AGE": None, "TEST": {"DEPENDENCIES": []}}
    if section.engine == "sqlite":
        assert section.folder is not None
        path = str(section.folder / f"{name}.sqlite3")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": dict(SQLITE_OPTIONS), **common}
    keywords = _useDriver()
    options = dict(section.options)
    database = {
        "ENGINE": "django.db.backends.mysql",
        "NAME": name,
        "HOST": options.pop("host", ""),
        "PORT": options.pop("port", ""),
        "USER": options.pop("user", ""),
        "PASSWORD": str(options.pop("passwd", options.pop("password", "")) or ""),
        **common,
    }
    unknown = sorted(set(options) - keywords) if keywords else []
    for key in unknown:
        shown = key if key.isidentifier() else f"{key.split()[0]} ..."  # behind a blank may be a password
        logger.warning("[%s] in sinedon.cfg: '%s' is no keyword of the driver and has no effect", section.name, shown)
        del options[key]
    return {**database, "OPTIONS": {**MYSQL_OPTIONS, **options}}


def _useDriver() -> set[str]:
    """Make Django find a MySQL driver: mysqlclient where it is installed, else PyMySQL. Return the known keywords."""
    try:
        MySQLdb = importlib.import_module("MySQLdb")

        if "pymysql" not in MySQLdb.__name__:
            return set()
    except ImportError:
        pass
    import pymysql

    pymysql.install_as_MySQLdb()
    return set(inspect.signature(pymysql.connections.Connection.__init__).parameters)


def _matchCharacters(connection: Any, **_: Any) -> None:
    """Have the server take texts in the database's own character set.

    Classic databases hold Latin-1 only. Greek letters would be refused there, even where they are only looked for; so
    they become question marks.
    """
    if connection.vendor == "mysql":
        with connection.connection.cursor() as cursor:
            cursor.execute(
                "SET character_set_connection = @@character_set_database, collation_connection = @@collation_database"
            )


connection_created.connect(_matchCharacters)


def registerDatabases(databases: dict[str, dict[str, Any]]) -> None:
    """Replace the databases that Django knows. Open connections of this thread are closed."""
    connections.close_all()
    # Another thread may have registered others meanwhile: what this one has open is not always what is registered.
    for alias in ("default", "leginondata", "projectdata", "appiondata", *connections.settings):
        if hasattr(connections._connections, alias):
            getattr(connections._connections, alias).close()
            del connections[alias]
    forgetLiveTables()
    settings.DATABASES = {"default": {}, **databases}
    connections.settings = connections.configure_settings(settings.DATABASES)


def addDatabase(alias: str, database: dict[str, Any]) -> None:
    """Register a further database beside those that are."""
    settings.DATABASES[alias] = database
    connections.settings[alias] = connections.configure_settings({"default": {}, alias: database})[alias]


def closeConnections(keep: str = "") -> None:
    """Close all connections of this thread but that to `keep`; the next query opens a new one.

    To be called after a database error, or when nothing is to be done for a while.
    """
    for connection in connections.all(initialized_only=True):
        if connection.alias == keep:
            continue
        # A connection that broke within a transaction would refuse to close.
        connection.in_atomic_block = False
        connection.savepoint_ids = []
        connection.needs_rollback = False
        try:
            connection.close()
        except DjangoDatabaseError:
            connection.connection = None


def isDatabaseAway(error: BaseException | None) -> bool:
    """Tell whether `error` means that a database is gone, busy, broken or unreachable: it is worth trying again later.

    A full disk and a table that has to be repaired are the server's trouble as well, not that of what was asked.
    """
    while error is not None:
        what = error.args[0] if isinstance(error, DjangoDatabaseError) and error.args else None
        if isinstance(what, int) and (what in AWAY_NUMBERS or 0 < what <= LAST_FILE_NUMBER):
            return True
        if what == 0 and isinstance(error, InterfaceError):
            return True
        if isinstance(what, str) and any(words in what.lower() for words in AWAY_WORDS):
            return True
        error = error.__cause__
    return False


class QueryCount:
    """How many statements have been run on any database."""

    def __init__(self) -> None:
        self.count = 0
        self.statements: list[str] = []

    def __call__(self, execute, sql, params, many, context):
        self.count += 1
        self.statements.append(sql)
        return execute(sql, params, many, context)


@contextmanager
def countQueries() -> Iterator[QueryCount]:
    """Count the statements that are run within, on all databases; the yielded object's `count` is their number."""
    counter = QueryCount()
    with ExitStack() as stack:
        for connection in connections.all():
            if connection.alias != "default":
                stack.enter_context(connection.execute_wrapper(counter))
        yield counter
