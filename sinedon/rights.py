"""Whether a run may write what it is going to write, found out before it begins and without writing anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connections
from django.db.utils import Error as DjangoDatabaseError

from sinedon import remedy
from sinedon.live import hasTable, listColumns
from sinedon.refusal import RIGHT, SCHEMA, VALUE, Refusal, findRefusal
from sinedon.rows import SERVER_COLUMNS


def findRefusals(inserted: Iterable[Any], updated: Iterable[Any] = ()) -> list[Refusal]:
    """Return why rows of these models cannot be inserted, or updated; nothing if they can.

    The server is asked to insert no row, and to update none: it refuses that for want of a right, for a column that
    has to be filled, or where a file cannot be written. A table of Leginon's that is not there is passed over: nothing
    is copied from it. The account's right to SELECT is taken for granted.

    Raises:
        django.db.Error: the database is away.
    """
    inserted = list(inserted)
    found = [_try(model, insertNothing(model)) for model in inserted if hasTable(model)]
    found += [_try(model, updateNothing(model)) for model in updated if hasTable(model)]
    return [*findMissingTables(inserted), *(refusal for refusal in found if refusal is not None)]


def findMissingTables(models: Iterable[Any]) -> list[Refusal]:
    """Return a refusal for each of these tables that an Appion database lacks."""
    refusals = []
    for model in models:
        connection, table = connections[model._meta.app_label], model._meta.db_table
        if model._meta.app_label == "appiondata" and not hasTable(model):
            where = f"{remedy.quoteName(remedy.nameDatabase(connection))}.{table}"
            refusals.append(Refusal(SCHEMA, f"there is no table {where}", remedy.addMissing(connection, table, "")))
    return refusals


def describeRefusals(refusals: Sequence[Refusal]) -> str:
    """Return several refusals in one line: the first of each kind of remedy, with what to type."""
    first = {refusal.remedy: refusal for refusal in reversed(refusals)}
    chosen = [refusal for refusal in refusals if first[refusal.remedy] is refusal]
    more = len(refusals) - len(chosen)
    others = f" (and {more} more of the kind)" if more else ""
    return "; ".join(map(str, chosen)) + others


def insertNothing(model: Any) -> str:
    """Return the statement that inserts no row, naming the columns that an insert would name."""
    connection, meta = connections[model._meta.app_label], model._meta
    live = listColumns(meta.app_label, meta.db_table)
    known = [field.column for field in meta.concrete_fields if field.column.lower() in live]
    # Rows of Leginon's are copied whole, with columns that only the site knows.
    columns = known if meta.app_label == "appiondata" else sorted(live)
    server = {column.lower() for column in SERVER_COLUMNS}
    names = ", ".join(connection.ops.quote_name(column) for column in columns if column.lower() not in server)
    table = connection.ops.quote_name(meta.db_table)
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {table} WHERE 1 = 0"


def updateNothing(model: Any) -> str:
    """Return the statement that changes no row."""
    connection, meta = connections[model._meta.app_label], model._meta
    live = listColumns(meta.app_label, meta.db_table)
    server = {column.lower() for column in SERVER_COLUMNS}
    column = next((one.column for one in meta.concrete_fields if one.column.lower() in live - server), "DEF_id")
    name, table = connection.ops.quote_name(column), connection.ops.quote_name(meta.db_table)
    return f"UPDATE {table} SET {name} = {name} WHERE 1 = 0"


def _try(model: Any, statement: str) -> Refusal | None:
    """Run a statement that changes nothing, and return how it is refused."""
    try:
        with connections[model._meta.app_label].cursor() as cursor:
            cursor.execute(statement)
    except DjangoDatabaseError as error:
        refusal = findRefusal(error)
        if refusal is None or refusal.kind not in (RIGHT, SCHEMA, VALUE):
            raise
        return refusal
    return None
