"""What the live databases really have: real ones are older than the models, or younger.

Tables and columns of a database are read with one query when it is registered. They are read again now and then while
something is missing, because Leginon creates tables and columns when it first needs them.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from django.db import connections
from django.db.utils import Error as DjangoDatabaseError

#: Seconds after which a database that lacks something is looked at again.
REFRESH = 60.0

#: alias -> table -> columns, all in lower case: that is how MySQL and SQLite compare column names.
_tables: dict[str, dict[str, frozenset[str]]] = {}
_read_at: dict[str, float] = {}

_QUERIES = {
    "mysql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()",
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
}


def readLiveTables(alias: str) -> None:
    """Read the tables and columns of the database `alias` and remember them."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES[connection.vendor])
        tables: dict[str, set[str]] = {}
        for table, column in cursor.fetchall():
            tables.setdefault(table.lower(), set()).add(column.lower())
    _tables[alias] = {table: frozenset(columns) for table, columns in tables.items()}
    _read_at[alias] = time.monotonic()


def refreshLiveTable(model: Any, alias: str = "") -> None:
    """Read the model's database again if its table lacked something a while ago."""
    alias, table = alias or model._meta.app_label, model._meta.db_table
    if time.monotonic() - _read_at.get(alias, 0.0) < REFRESH or alias not in _tables:
        return
    columns = _tables[alias].get(table.lower(), frozenset())
    if not columns.issuperset(field.column.lower() for field in model._meta.concrete_fields):
        readLiveTables(alias)


def forgetLiveTables() -> None:
    """Forget all that was read: the databases are about to be registered anew."""
    _tables.clear()


def rereadLiveTables() -> None:
    """Read all that was read before once more, as far as that is possible: something was not as it was remembered."""
    for alias in list(_tables):
        with contextlib.suppress(DjangoDatabaseError):
            readLiveTables(alias)


def isTable(alias: str, table: str) -> bool:
    """Tell whether the database has the table."""
    return table.lower() in _tables.get(alias, {})


def listColumns(alias: str, table: str) -> frozenset[str]:
    """Return the columns of a table, in lower case; none if it is not there."""
    return _tables.get(alias, {}).get(table.lower(), frozenset())


def isMissing(alias: str, table: str, column: str) -> bool:
    """Tell whether a live table exists and lacks `column`."""
    columns = _tables.get(alias, {}).get(table.lower())
    return columns is not None and column.lower() not in columns


def hasTable(model: Any, alias: str = "") -> bool:
    """Tell whether the live database, that of the model unless an alias is given, has the table of `model`."""
    refreshLiveTable(model, alias)
    return isTable(alias or model._meta.app_label, model._meta.db_table)


def hasColumn(model: Any, field: str, alias: str = "") -> bool:
    """Tell whether the live table has the column of the model's field of that name."""
    meta = model._meta
    there = hasTable(model, alias)
    return there and not isMissing(alias or meta.app_label, meta.db_table, meta.get_field(field).column)
