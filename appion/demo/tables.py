"""Tables of the live databases by what their rows refer to, also those that no model knows; rows of them removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connections

#: Ids in one statement.
CHUNK = 500

_QUERIES = {
    "mysql": "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() "
    "AND table_name IN (SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
    "AND table_type = 'BASE TABLE') ORDER BY table_name, ordinal_position",
    "sqlite": "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' "
    "ORDER BY m.name, c.cid",
}


@dataclass(frozen=True)
class Table:
    """A table of a live database: `references` are (column, name of the table that it refers to)."""

    alias: str
    name: str
    references: tuple[tuple[str, str], ...]

    def listColumns(self, target: str) -> list[str]:
        """Return the columns that refer to rows of the table `target`."""
        return [column for column, table in self.references if table == target]


def readTables(alias: str) -> list[Table]:
    """Return every table of a database that has ids."""
    connection = connections[alias]
    columns: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_QUERIES[connection.vendor])
        for table, column in cursor.fetchall():
            columns.setdefault(str(table), []).append(str(column))
    return [
        Table(alias, table, tuple((name, name.split("|")[-2]) for name in names if name.startswith("REF|")))
        for table, names in columns.items()
        if "DEF_id" in names
    ]


def selectRows(table: Table, columns: Collection[str], ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """Return the references of the rows that refer to one of `ids` by one of `columns`: by row id, without empty ones.

    They are read one by one as they are: a row is returned whatever else it refers to.
    """
    connection = connections[table.alias]
    named = [column for column, _ in table.references]
    quoted = ", ".join(_quote(connection, name) for name in ("DEF_id", *named))
    rows: dict[int, dict[str, int]] = {}
    for chunk in _divide(ids):
        marks = ", ".join(["%s"] * len(chunk))
        for column in columns:
            with connection.cursor() as cursor:
                cursor.execute(
                    f"SELECT {quoted} FROM {_quote(connection, table.name)} "
                    f"WHERE {_quote(connection, column)} IN ({marks})", chunk,
                )  # fmt: skip
                for row_id, *values in cursor.fetchall():
                    rows[row_id] = {name: value for name, value in zip(named, values, strict=True) if value}
    return rows


def deleteRows(alias: str, table: str, ids: Iterable[int]) -> None:
    """Remove the rows with these ids."""
    connection = connections[alias]
    for chunk in _divide(ids):
        marks = ", ".join(["%s"] * len(chunk))
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {_quote(connection, table)} WHERE {_quote(connection, 'DEF_id')} IN ({marks})",
                           chunk)  # fmt: skip


def _divide(ids: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _quote(connection: Any, name: str) -> str:
    return str(connection.ops.quote_name(name)).replace("%", "%%")
