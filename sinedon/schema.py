"""What the live databases lack of the models, and how it is created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connections

from sinedon.fields import Boolean, Double, Integer, Reference, ReferenceId, Text, Timestamp
from sinedon.live import isMissing, isTable, readLiveTables
from sinedon.models import appiondata, leginondata, projectdata

MODULES = {"leginondata": leginondata, "projectdata": projectdata, "appiondata": appiondata}


@dataclass(frozen=True)
class Missing:
    """A table of the models, and what of it a live database lacks; `whole` if the table itself."""

    model: Any
    whole: bool
    fields: tuple[Any, ...]

    def __str__(self) -> str:
        table = self.model._meta.db_table
        if self.whole:
            return f"table {table}"
        return f"column{'s' * (len(self.fields) > 1)} {', '.join(f.column for f in self.fields)} of table {table}"


def listModels(alias: str) -> list[Any]:
    """Return the models of the database `alias`, by name."""
    module = MODULES[alias]
    return [getattr(module, name) for name in module.__all__]


def listMissing(alias: str) -> list[Missing]:
    """Return which tables and columns of the models the live database lacks."""
    missing = []
    for model in listModels(alias):
        table, fields = model._meta.db_table, model._meta.concrete_fields
        if not isTable(alias, table):
            missing.append(Missing(model, True, tuple(fields)))
            continue
        lacking = tuple(field for field in fields if isMissing(alias, table, field.column))
        if lacking:
            missing.append(Missing(model, False, lacking))
    return missing


def createMissing(alias: str, table_engine: str = "MyISAM") -> list[Missing]:
    """Create the tables and columns that the live database lacks and return them. Nothing that exists is changed.

    Columns come before whole tables: web pages join every table of parameters that they know and find, by a column of
    the run's table, so that one without its column, left by an interruption, would fail all pages about CTFs.
    """
    readLiveTables(alias)
    missing = sorted(listMissing(alias), key=lambda item: item.whole)
    connection = connections[alias]
    with connection.cursor() as cursor:
        for item in missing:
            for statement in constructStatements(item, connection, table_engine):
                cursor.execute(statement)
    readLiveTables(alias)
    return missing


def constructStatements(item: Missing, connection: Any, table_engine: str) -> list[str]:
    """Return the statements that create what is missing, as classic would have."""
    mysql = connection.vendor == "mysql"
    table = connection.ops.quote_name(item.model._meta.db_table)
    columns = [f"{connection.ops.quote_name(field.column)} {constructType(field, mysql)}" for field in item.fields]
    indexed = [field.column for field in item.fields if _isIndexed(field, mysql)]
    if mysql:
        keys = [f"KEY {connection.ops.quote_name(column)} ({connection.ops.quote_name(column)})" for column in indexed]
        if item.whole:
            parts = ", ".join([*columns, "PRIMARY KEY (`DEF_id`)", *keys])
            return [f"CREATE TABLE IF NOT EXISTS {table} ({parts}) ENGINE={_checkEngine(table_engine)}"]
        return [f"ALTER TABLE {table} " + ", ".join(f"ADD {part}" for part in [*columns, *keys])]
    if item.whole:
        statements = [f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(columns)})"]
    else:
        statements = [f"ALTER TABLE {table} ADD COLUMN {column}" for column in columns]
    for column in indexed:
        name = connection.ops.quote_name(f"{item.model._meta.db_table}|{column}")
        statements.append(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({connection.ops.quote_name(column)})")
    return statements


def constructType(field: Any, mysql: bool) -> str:
    """Return the type that classic gives a column."""
    if field.primary_key:
        return "INT(16) NOT NULL AUTO_INCREMENT" if mysql else "INTEGER PRIMARY KEY AUTOINCREMENT"
    if isinstance(field, Timestamp):
        if mysql:
            return "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"
        return "TIMESTAMP DEFAULT (datetime('now', 'localtime'))"
    if isinstance(field, Boolean):
        return "TINYINT(1) DEFAULT 0"
    if isinstance(field, Double):
        return "DOUBLE DEFAULT NULL"
    if isinstance(field, Text):
        return f"VARCHAR({field.length}) DEFAULT NULL" if field.length else "TEXT"
    assert isinstance(field, Integer | Reference)
    return "INT(20) DEFAULT NULL" if mysql else "INTEGER DEFAULT NULL"


def _isIndexed(field: Any, mysql: bool) -> bool:
    """Tell whether classic indexes a column; SQLite gains nothing from an index on a truth value."""
    kinds = (Reference, ReferenceId, Timestamp, Boolean) if mysql else (Reference, ReferenceId, Timestamp)
    return isinstance(field, kinds)


def _checkEngine(name: str) -> str:
    """Return the name of a table engine if it is a plain word."""
    if not name.isalnum():
        raise ValueError(f"engine: {name} in sinedon.cfg is no name of a table engine; write MyISAM or InnoDB")
    return name
