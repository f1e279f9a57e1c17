"""The statement to type when a database refuses something: GRANT, ALTER, or the command that completes a database."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from django.db.utils import Error as DjangoDatabaseError

from sinedon.fields import Text
from sinedon.schema import MODULES, Missing, constructStatements, constructType

#: What a run needs to write into each of its databases.
WRITING = {"leginondata": ("INSERT",), "projectdata": ("INSERT",), "appiondata": ("INSERT", "UPDATE")}


def grantRights(rights: str, database: str, account: str, alias: str = "appiondata") -> str:
    """Return the statement that gives an account (``'user'@'host'``) rights; who is to write gets all that takes."""
    wanted = [right.strip().upper() for right in rights.split(",")]
    if set(wanted) & {"INSERT", "UPDATE"}:
        wanted = [right for right in wanted if right not in WRITING[alias]] + [*WRITING[alias]]
    return f"type: GRANT {', '.join(wanted)} ON {quoteName(database)}.* TO {account or 'its user'}"


def completeDatabase(alias: str, database: str, vendor: str) -> str:
    """Return the command that makes what a database lacks."""
    if vendor == "sqlite":
        return f"run: sinedon init{f' --appiondb {database}' if alias == 'appiondata' else ''}"
    return f"run: sinedon init --appiondb {database}"


def addMissing(connection: Any, table: str, column: str) -> str:
    """Return what makes a table, or a column of it, that a database lacks."""
    alias, database = connection.alias, nameDatabase(connection)
    if alias == "appiondata" or connection.vendor == "sqlite":
        return completeDatabase(alias, database, connection.vendor)
    model = findModel(alias, table)
    field = findField(alias, table, column)
    if model is None or (column and field is None):
        return f"correct 'db' of [{alias}] in sinedon.cfg if {database} is another database than was meant"
    missing = Missing(model, not column, tuple(model._meta.concrete_fields) if field is None else (field,))
    if missing.whole:
        return f"let Leginon or the project's web pages make it, or correct 'db' of [{alias}] in sinedon.cfg"
    statement = constructStatements(missing, connection, "MyISAM")[0]
    return "type: " + statement.replace("ALTER TABLE `", f"ALTER TABLE {quoteName(database)}.`", 1)


def permitNull(connection: Any, table: str, column: str) -> str:
    """Return the statement by which a column may be left out."""
    return alterColumn(connection, table, column, f"{readType(connection, table, column) or 'ITS TYPE'} NULL")


def widenColumn(connection: Any, table: str, column: str, number: int | None) -> str:
    """Return the statement by which a column takes a value that was too long, out of range or of another kind."""
    live = readType(connection, table, column)
    field = findField(connection.alias, table, column)
    if number == 1406:
        kind = "MEDIUMTEXT" if live == "text" else "LONGTEXT" if live.endswith(("mediumtext", "blob")) else "TEXT"
    elif number == 1366 and (field is None or isinstance(field, Text)):
        kind = f"{live or 'TEXT'} CHARACTER SET utf8mb4"
    elif number == 1264 and "int" in live and (field is None or "INT" in constructType(field, True)):
        kind = "BIGINT"
    elif field is not None:
        kind = constructType(field, True)
    else:
        kind = "DOUBLE"
    return alterColumn(connection, table, column, kind)


def alterColumn(connection: Any, table: str, column: str, kind: str) -> str:
    """Return the statement that gives a column another type; SQLite knows none."""
    if connection.vendor == "sqlite":
        return f"make table {table} anew without that constraint (SQLite alters no column)"
    database = quoteName(nameDatabase(connection))
    return f"type: ALTER TABLE {database}.{quoteName(table)} MODIFY {quoteName(column)} {kind}"


def findModel(alias: str, table: str) -> Any:
    """Return the model of a table, or None; names compare as MySQL may compare them."""
    module = MODULES.get(alias)
    models = [getattr(module, name) for name in module.__all__] if module else []
    return next((model for model in models if model._meta.db_table.lower() == table.lower()), None)


def findField(alias: str, table: str, column: str) -> Any:
    """Return the field of a column, or None."""
    model = findModel(alias, table)
    fields = model._meta.concrete_fields if model is not None and column else ()
    return next((field for field in fields if field.column.lower() == column.lower()), None)


def nameDatabase(connection: Any) -> str:
    """Return the name of a database; of an SQLite file that without folder and suffix."""
    name = str(connection.settings_dict["NAME"])
    return re.sub(r"^.*/|\.sqlite3$", "", name) if connection.vendor == "sqlite" else name


def quoteName(name: str) -> str:
    """Return a name as it may be typed: in backquotes unless it is a plain word."""
    return name if re.fullmatch(r"\w+", name, re.ASCII) else "`" + name.replace("`", "``") + "`"


def readAccount(connection: Any) -> str:
    """Return ``'user'@'host'`` of the account that the server took the user for; empty if it does not say."""
    user, found, host = askServer(connection, "SELECT CURRENT_USER()").rpartition("@")
    return f"'{user}'@'{host}'" if found else ""


def readType(connection: Any, table: str, column: str) -> str:
    """Return the type of a column as the server spells it; empty if it does not say."""
    if connection.vendor != "mysql":
        return ""
    question = (
        "SELECT column_type FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = %s AND column_name = %s"
    )
    return askServer(connection, question, (table, column))


def askServer(connection: Any, question: str, values: tuple[str, ...] = ()) -> str:
    """Return the one value that a question has, asked over the driver: nothing counts it, and nothing may fail."""
    with contextlib.suppress(Exception, DjangoDatabaseError), connection.connection.cursor() as cursor:
        cursor.execute(question, values)
        row = cursor.fetchone()
        value = row[0] if row else ""
        return value.decode() if isinstance(value, bytes) else str(value)
    return ""
