"""What the live databases really have: real ones are older than the models, or younger.

Tables and columns of a database are read with one query when it is registered and kept until it is registered again.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

#: alias -> table in lower case -> columns as they are spelled in the database, in their order.
_tables: dict[str, dict[str, tuple[str, ...]]] = {}

_QUERIES = {
    "mysql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() "
    "ORDER BY table_name, ordinal_position",
    "sqlite": "SELECT m.name, c.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c "
    "WHERE m.type = 'table' ORDER BY m.name, c.cid",
}


def readLiveTables(alias: str) -> None:
    """Read the tables and columns of the database `alias` and remember them."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES[connection.vendor])
        tables: dict[str, list[str]] = {}
        for table, column in cursor.fetchall():
            tables.setdefault(table.lower(), []).append(column)
    _tables[alias] = {table: tuple(columns) for table, columns in tables.items()}


def forgetLiveTables() -> None:
    """Forget all that was read: the databases are about to be registered anew."""
    _tables.clear()


def liveColumns(alias: str, table: str) -> tuple[str, ...] | None:
    """Return the columns of a live table, or None if the database has no such table."""
    return _tables.get(alias, {}).get(table.lower())


def isMissing(alias: str, table: str, column: str) -> bool:
    """Tell whether a live table exists and lacks `column`. MySQL and SQLite compare column names without case."""
    columns = liveColumns(alias, table)
    if columns is None or column in columns:
        return False
    return column.lower() not in {name.lower() for name in columns}


def hasTable(model: Any) -> bool:
    """Tell whether the live database has the table of `model`."""
    return liveColumns(model._meta.app_label, model._meta.db_table) is not None


def hasColumn(model: Any, field: str) -> bool:
    """Tell whether the live table has the column of the model's field of that name."""
    meta = model._meta
    return hasTable(model) and not isMissing(meta.app_label, meta.db_table, meta.get_field(field).column)
