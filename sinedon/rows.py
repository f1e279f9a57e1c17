"""Reading and writing rows as classic sinedon does: a row that exists already is found, not written twice."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import OperationalError, connections, models, transaction

from sinedon.connection import closeConnections
from sinedon.errors import SchemaError
from sinedon.fields import Reference
from sinedon.live import hasTable, isMissing

logger = logging.getLogger(__name__)

#: Ids in one query.
CHUNK = 5000
#: Seconds that a writer waits for another one of the same table.
LOCK_TIMEOUT = 30
#: Columns that the server fills.
SERVER_COLUMNS = ("DEF_id", "DEF_timestamp")

_warned: set[tuple[str, str, str]] = set()


def refId(row: Any, name: str) -> int | None:
    """Return the id that the reference `name` of a row holds; NULL and 0 are None."""
    return getattr(row, f"{name}_id") or None


def readRows(model: Any, ids: Iterable[int | None]) -> dict[int, Any]:
    """Return rows by id, in one query for all of them (one per 5000 ids). None and 0 among the ids are passed over."""
    wanted = sorted({number for number in ids if number})
    rows: dict[int, Any] = {}
    for start in range(0, len(wanted), CHUNK):
        rows.update(model.objects.in_bulk(wanted[start : start + CHUNK]))
    return rows


def insertRow(model: Any, **fields: Any) -> Any:
    """Return the row that is identical to the given one, the first if there are several, or insert it.

    Every column of the model is compared, also those that are not given (NULL then), except image files, dictionaries
    and sequences that are NULL, and DEF_timestamp unless it is given. References take rows or ids. Safe to repeat, and
    safe with other processes that insert by this function.

    Raises:
        SchemaError: the live table is missing, or an Appion table lacks a column that has a value.
    """
    names = _resolveNames(model, fields)
    return model.objects.get(pk=_findOrInsert(model, _constructValues(model, names, whole=True)))


def addRow(model: Any, **fields: Any) -> int:
    """Insert a row that cannot be there yet, and return its id: :func:`insertRow` without looking for it.

    Raises:
        SchemaError: as for :func:`insertRow`.
    """
    return addRows(model, [fields])


def addRows(model: Any, rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows that cannot be there yet, in one statement; return the id of one of them.

    Raises:
        SchemaError: as for :func:`insertRow`.
    """
    return _insert(model, *(_constructValues(model, _resolveNames(model, fields), whole=True) for fields in rows))


def readWhole(model: Any, def_id: int) -> tuple[Any, dict[str, Any]]:
    """Return a row, and all its values by column as the database has them, also those the model does not know.

    Raises:
        model.DoesNotExist: there is no such row.
    """
    connection = connections[model._meta.app_label]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {_quote(connection, model._meta.db_table)} WHERE `DEF_id` = %s", [def_id])
        found = cursor.fetchone()
        columns = [column[0] for column in cursor.description]
    if found is None:
        raise model.DoesNotExist(f"{model.__name__} has no row {def_id}")
    return _constructRow(model, dict(zip(columns, found, strict=True)))


def readWholeWith(model: Any, def_id: int, name: str) -> tuple[tuple[Any, dict[str, Any]], tuple[Any, dict[str, Any]]]:
    """Return two rows, one and what its reference `name` is to, each as :func:`readWhole` does, in one statement.

    Raises:
        model.DoesNotExist: there is no such row, or not what it refers to.
    """
    connection, reference = connections[model._meta.app_label], model._meta.get_field(name)
    other = reference.related_model
    words = model._meta.db_table, other._meta.db_table, reference.column
    one, two, column = (_quote(connection, word) for word in words)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT one.*, 0 AS `|`, two.* FROM {one} one JOIN {two} two ON two.`DEF_id` = one.{column}"
                       " WHERE one.`DEF_id` = %s", [def_id])  # fmt: skip
        found = cursor.fetchone()
        columns = [column[0] for column in cursor.description]
    if found is None:
        raise model.DoesNotExist(f"{model.__name__} has no row {def_id}, or not what its {name} refers to")
    middle = columns.index("|")
    return (_constructRow(model, dict(zip(columns[:middle], found[:middle], strict=True))),
            _constructRow(other, dict(zip(columns[middle + 1 :], found[middle + 1 :], strict=True))))  # fmt: skip


def _constructRow(model: Any, found: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a row of these values by column, NULL where the table lacks one, and the values."""
    connection, fields = connections[model._meta.app_label], model._meta.concrete_fields
    values = {column.lower(): value for column, value in found.items()}
    converted = [_convert(values.get(field.column.lower()), field, connection) for field in fields]
    return model.from_db(connection.alias, [field.attname for field in fields], converted), found


def _convert(value: Any, field: Any, connection: Any) -> Any:
    """Return a value of the database as Django gives it."""
    column = field.cached_col
    for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
        value = convert(value, column, connection)
    return value


def copyRow(model: Any, source: int | dict[str, Any], /, anew: bool = False, **changes: Any) -> int:
    """Copy a row with every column of the live table, also those the model does not know, and return the copy's id.

    `changes` are by field name. A row identical to the copy is found instead, by the rule of :func:`insertRow`, except
    that a sequence or dictionary changed to NULL is compared, too: frames left out are not the same as all frames.

    Args:
        source: the row's id, or its values by column as :func:`readWhole` gives them.
        anew: the copy cannot be there yet, so it is not looked for.

    Raises:
        model.DoesNotExist: there is no row `source`.
        SchemaError: as for :func:`insertRow`.
    """
    changed = _constructValues(model, _resolveNames(model, changes), whole=False)
    values = dict(source) if isinstance(source, dict) else readWhole(model, source)[1]
    spelled = {column.lower(): column for column in values}
    values.update({spelled[column.lower()]: value for column, value in changed.items()})
    for column in SERVER_COLUMNS:
        if column not in changed:
            values.pop(column, None)
    if anew:
        return _insert(model, values)
    return _findOrInsert(model, values, {spelled[column.lower()] for column in changed})


def updateRow(model: Any, def_id: int, **fields: Any) -> None:
    """Set the named fields of one row.

    Raises:
        model.DoesNotExist: there is no such row.
        SchemaError: as for :func:`insertRow`.
    """
    values = _constructValues(model, _resolveNames(model, fields), whole=False)
    if not values:
        return
    connection = connections[model._meta.app_label]
    assignments = ", ".join(f"{_quote(connection, column)} = %s" for column in values)
    table = _quote(connection, model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {assignments} WHERE `DEF_id` = %s", [*values.values(), def_id])
    if not model.objects.filter(pk=def_id).exists():
        raise model.DoesNotExist(f"{model.__name__} has no row {def_id}")


def _resolveNames(model: Any, fields: dict[str, Any]) -> dict[Any, Any]:
    """Return values by field; a reference may be named with or without ``_id`` and given as row or id.

    Raises:
        TypeError: there is no such field, or the row given is one of another table than the reference's.
    """
    known = {field.name: field for field in model._meta.concrete_fields}
    known.update({field.attname: field for field in model._meta.concrete_fields})
    values = {}
    for name, value in fields.items():
        field = known.get(name) or known.get(f"{name}_id")
        if field is None:
            raise TypeError(f"{model.__name__} has no field '{name}'")
        if isinstance(value, models.Model):
            if isinstance(field, Reference) and not isinstance(value, field.related_model):
                raise TypeError(f"{model.__name__}.{name} refers to {field.related_model.__name__}, not to {value!r}")
            value = value.pk
        values[field] = None if isinstance(field, Reference) and value == 0 else value
    return values


def _constructValues(model: Any, fields: dict[Any, Any], whole: bool) -> dict[str, Any]:
    """Return database values by column, for the columns that exist live; all columns of the model if `whole`."""
    meta = model._meta
    alias, table = meta.app_label, meta.db_table
    if not hasTable(model):
        remedy = _describeRemedy(alias) if alias == "appiondata" else "Leginon has to create it"
        raise SchemaError(f"the database has no table {table}; {remedy}")
    values = {}
    for field in meta.concrete_fields if whole else fields:
        value = fields.get(field)
        if field.column in SERVER_COLUMNS and value is None:
            continue
        if not isMissing(alias, table, field.column):
            values[field.column] = field.get_db_prep_save(value, connections[alias])
        elif value is not None:
            _refuseColumn(alias, table, field.column)
    return values


def _refuseColumn(alias: str, table: str, column: str) -> None:
    """Raise for a value that an Appion table cannot hold; warn once for the same in a table of Leginon's."""
    if alias == "appiondata":
        raise SchemaError(f"table {table} has no column '{column}'; {_describeRemedy(alias)}")
    if (alias, table, column) not in _warned:
        _warned.add((alias, table, column))
        logger.warning("table %s has no column '%s': its value is not stored (the database is older)", table, column)


def _describeRemedy(alias: str) -> str:
    """Return the command that completes a database."""
    return f"run: sinedon init --appiondb {Path(connections.settings[alias]['NAME']).stem}"


def _findOrInsert(model: Any, values: dict[str, Any], compared: Collection[str] = ()) -> int:
    """Return the id of the first row with these values, inserted if there is none.

    `compared` are columns that must be NULL where their value is, also sequences and dictionaries.
    """
    alias, table = model._meta.app_label, model._meta.db_table
    connection = connections[alias]
    terms, params = ["1 = 1"], []
    for column, value in values.items():
        if column.startswith("MRC|"):
            continue
        if value is None and column.startswith(("SEQ|", "SUBD|")) and column not in compared:
            continue
        if value is None:
            terms.append(f"{_quote(connection, column)} IS NULL")
        else:
            terms.append(f"{_quote(connection, column)} = %s")
            params.append(value)
    with lockTable(alias, table), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT MIN(`DEF_id`) FROM {_quote(connection, table)} WHERE {' AND '.join(terms)}", params
        )
        found = cursor.fetchone()[0]
        return int(found) if found is not None else _insert(model, values)


def _insert(model: Any, *rows: dict[str, Any]) -> int:
    """Insert rows of these values by column, which are the same for all, and return the id of one of them."""
    connection = connections[model._meta.app_label]
    names = ", ".join(_quote(connection, column) for column in rows[0])
    marks = ", ".join([f"({', '.join(['%s'] * len(rows[0]))})"] * len(rows))
    table = _quote(connection, model._meta.db_table)
    params = [value for row in rows for value in row.values()]
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES {marks}", params)
        return int(cursor.lastrowid)


@contextmanager
def lockTable(alias: str, table: str) -> Iterator[None]:
    """Keep other writers that look for a row before they insert it out of a table.

    MyISAM has no transactions, so on MySQL it is a named lock of the server; on SQLite an immediate transaction.

    Raises:
        OperationalError: 1205, another writer held the lock for too long.
    """
    connection = connections[alias]
    if connection.vendor == "sqlite":
        with transaction.atomic(using=alias):
            yield
        return
    name = f"{connection.settings_dict['NAME']}.{table}"
    if len(name) > 64:
        name = hashlib.sha256(name.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", [name, LOCK_TIMEOUT])
        if cursor.fetchone()[0] != 1:
            raise OperationalError(1205, f"table {table} stayed locked by another writer for {LOCK_TIMEOUT} s")
        try:
            yield
        except BaseException:
            # Releases the lock whatever state the connection is in.
            closeConnections()
            raise
        cursor.execute("SELECT RELEASE_LOCK(%s)", [name])


def _quote(connection: Any, name: str) -> str:
    """Return a name quoted for a statement with parameters."""
    return str(connection.ops.quote_name(name)).replace("%", "%%")
