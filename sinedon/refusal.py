"""Whose fault it is when a database refuses: the account, a right, a table or column of the site, or one value.

What is found is hung on the exception while the statement and the connection are still known; see
:func:`findRefusal`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError
from django.db.backends.signals import connection_created
from django.db.utils import DataError
from django.db.utils import Error as DjangoDatabaseError

from sinedon import remedy
from sinedon.errors import SchemaError

#: What is refused: the account itself; a right of it; what concerns all rows of a table; a value of one row.
ACCOUNT, RIGHT, SCHEMA, VALUE = "account", "right", "schema", "value"

#: MySQL's and MariaDB's numbers. Of the account: no such user, database or host, locked, password expired.
KINDS = {
    ACCOUNT: {1044, 1045, 1049, 1129, 1130, 1698, 1820, 1862, 3118, 4151},
    RIGHT: {1142, 1143, 1227, 1370},
    SCHEMA: {1054, 1146, 1364},
    VALUE: {1048, 1062, 1264, 1265, 1292, 1366, 1406, 1452, 1644, 1690, 3819, 4025},
}
KIND_OF_NUMBER = {number: kind for kind, numbers in KINDS.items() for number in numbers}

#: The same of SQLite, by words.
KIND_OF_WORDS = {
    "no such table": SCHEMA, "no such column": SCHEMA, "has no column named": SCHEMA,
    "attempt to write a readonly database": RIGHT,
    "constraint failed": VALUE, "cannot store": VALUE, "datatype mismatch": VALUE, "string or blob too big": VALUE,
}  # fmt: skip

#: What is wrong with a value, in words that are the same for every row.
WRONG = {
    1048: "may not be empty there", 1062: "is there already, and the site allows it once",
    1264: "is out of its range", 1265: "is of another kind", 1292: "is of another kind",
    1366: "is of another kind or character set", 1406: "is too long for it",
}  # fmt: skip

#: Table or column in a server's words.
NAMES = {
    "table": re.compile(r"no such table: (?:main\.)?(\S+)|table [`']?(?:[^`'.\s]+[`']?\.[`']?)?([^`'.\s]+)|"
                        r"Table '[^'.]*\.([^']*)'|constraint failed: ([^.\s]+)\.\S|failed for `[^`]*`\.`([^`]*)`"),
    "column": re.compile(r"(?:column|Column|Field) [`']([^']+?)[`'](?: |$)|no such column: (\S+)|"
                         r"has no column named (\S+)|cannot store .* column (\S+)|"
                         r"NOT NULL constraint failed: [^.\s]+\.([^,\s]+)"),
    "right": re.compile(r"([A-Z][A-Z, ]*?) command denied"),
    "account": re.compile(r"user ('[^']*'@'[^']*')"),
    "constraint": re.compile(r"CONSTRAINT `([^`]*)` failed|Check constraint '([^']*)'|for key '([^']*)'|"
                             r"CHECK constraint failed: (\S+)"),
}  # fmt: skip
STATEMENT = re.compile(r"\b(?:INTO|UPDATE|FROM)\s+(?:[`\"][^`\"]+[`\"]\.)?[`\"]?(\w+)")


@dataclass(frozen=True)
class Refusal:
    """What a database does not do, in words that are the same for every row that meets it.

    Attributes:
        kind: ACCOUNT, RIGHT, SCHEMA or VALUE.
        reason: one line with table and column. remedy: the statement or command to type.
        words: those of the server.
    """

    kind: str
    reason: str
    remedy: str
    words: str = ""

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


def findRefusal(error: BaseException | None) -> Refusal | None:
    """Return whose fault a database's refusal is, if `error` or what caused it is one; None for anything else.

    A database that is away, busy or broken refuses nothing (see :func:`sinedon.isDatabaseAway`).
    """
    while error is not None:
        if isinstance(error, SchemaError):
            return Refusal(SCHEMA, str(error), "")
        if isinstance(error, DjangoDatabaseError):
            found = getattr(error, "refusal", None) or describeRefusal(error)
            if found is not None:
                return found
        error = error.__cause__
    return None


def noteRefusal(execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Run a statement; what is refused is described while its connection is at hand."""
    try:
        return execute(sql, params, many, context)
    except DjangoDatabaseError as error:
        error.refusal = describeRefusal(error, context["connection"], sql)
        raise


def _watch(connection: Any, **_: Any) -> None:
    """Have all statements of a new connection watched; first of all, as others are taken off from the end."""
    if noteRefusal not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, noteRefusal)


connection_created.connect(_watch)


def describeRefusal(error: DjangoDatabaseError, connection: Any = None, sql: str = "") -> Refusal | None:
    """Return what an error refuses, if it is a refusal; where connection and statement are known with what to type."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else None
    words = " ".join(str(error.args[-1] if error.args else error).split())
    kind = KIND_OF_NUMBER.get(number or 0)
    if number is None:
        kind = next((kind for said, kind in KIND_OF_WORDS.items() if said in words), None)
    if kind is None and isinstance(error, DataError | IntegrityError):
        kind = VALUE
    if kind is None:
        return None
    if kind == ACCOUNT:
        return describeAccount(number, words)
    found = STATEMENT.search(sql)
    table = findName("table", words) or (found[1] if found else "")
    column = findName("column", words).replace("`", "").rpartition(".")[2]
    if connection is not None and kind == VALUE and words.startswith("NOT NULL") and not isNamed(column, sql):
        kind = SCHEMA  # SQLite's word for what MySQL calls 1364
    where = f"{remedy.quoteName(remedy.nameDatabase(connection))}.{table}" if connection is not None else table
    if kind == RIGHT:
        return describeRight(words, connection, where, table)
    if kind == SCHEMA:
        return describeSchema(number, words, connection, where, table, column)
    return describeValue(number, words, connection, where, table, column)


def describeAccount(number: int | None, words: str) -> Refusal:
    """A server that does not let the account in."""
    account = findName("account", words)
    database = re.search(r"database '([^']*)'", words)
    remedies = {
        1044: remedy.grantRights("SELECT, INSERT", database[1] if database else "the database", account),
        1049: "create it (sinedon init --appiondb NAME), or correct 'db' in sinedon.cfg",
        1129: "type: FLUSH HOSTS (mysqladmin flush-hosts)",
        1130: "type: CREATE USER and GRANT for this host, or correct 'host' in sinedon.cfg",
        1820: "type: SET PASSWORD as that user",
        1862: "type: ALTER USER … PASSWORD EXPIRE NEVER",
        3118: "type: ALTER USER … ACCOUNT UNLOCK",
        4151: "type: ALTER USER … ACCOUNT UNLOCK",
    }
    what = remedies.get(number or 0, "correct user and passwd in sinedon.cfg, or set that password on the server")
    return Refusal(ACCOUNT, f"the server refuses the account: {words} ({number})", what, words)


def describeRight(words: str, connection: Any, where: str, table: str) -> Refusal:
    """A right that the account lacks, or a file that cannot be written."""
    if connection is None or connection.vendor == "sqlite":
        file = connection.settings_dict["NAME"] if connection is not None else "the database's file"
        return Refusal(RIGHT, f"{file} cannot be written to: {words}", "permit writing to it and to its folder", words)
    account = remedy.readAccount(connection) or findName("account", words)
    right = findName("right", words)
    if not right:
        return Refusal(RIGHT, f"user {account} lacks a right: {words}", "give it that right, or use another", words)
    database = re.search(r"for table `([^`]+)`\.", words)
    name = database[1] if database else remedy.nameDatabase(connection)
    where = f"{remedy.quoteName(name)}.{table}" if table else where
    return Refusal(RIGHT, f"user {account} has no right to {right} on table {where}",
                   remedy.grantRights(right, name, account, connection.alias), words)  # fmt: skip


def describeSchema(number: int | None, words: str, connection: Any, where: str, table: str, column: str) -> Refusal:
    """A table or a column that is missing, or one that the site added and that nobody can fill."""
    if number == 1364 or words.startswith("NOT NULL"):
        todo = "let it be empty" if connection is None else remedy.permitNull(connection, table, column)
        return Refusal(SCHEMA, f"column {column} of table {where} has to be filled and has no default", todo, words)
    what = f"table {where} has no column {column}" if column else f"there is no table {where}"
    todo = "run: sinedon check" if connection is None else remedy.addMissing(connection, table, column)
    return Refusal(SCHEMA, what, todo, words)


def describeValue(number: int | None, words: str, connection: Any, where: str, table: str, column: str) -> Refusal:
    """A value that a column does not take, or a constraint of the site."""
    constraint = findName("constraint", words)
    if constraint:
        todo = f"correct constraint {constraint} if all are refused"
        if connection is not None and connection.vendor == "mysql":
            todo = f"if all are refused, type: ALTER TABLE {where} DROP CONSTRAINT {remedy.quoteName(constraint)}"
        return Refusal(VALUE, f"table {where} does not take the row: constraint {constraint}", todo, words)
    if not column:
        return Refusal(VALUE, f"table {where} does not take the row: {words}", "look at its definition", words)
    wrong = WRONG.get(number or 0, "is refused")
    todo = "look at its definition"
    if connection is not None:
        empty = number == 1048 or words.startswith("NOT NULL")
        todo = (remedy.permitNull(connection, table, column) if empty
                else remedy.widenColumn(connection, table, column, number))  # fmt: skip
        wrong = WRONG[1048] if empty else wrong
    return Refusal(VALUE, f"the value for column {column} of table {where} {wrong}", f"if it is right, {todo}", words)


def findName(what: str, words: str) -> str:
    """Return what a server's words name, or nothing."""
    found = NAMES[what].search(words)
    return next(filter(None, found.groups()), "") if found else ""


def isNamed(column: str, sql: str) -> bool:
    """Whether an INSERT names a column, so that it was the value that was missing."""
    names = sql.partition("VALUES")[0]
    return any(f"{mark}{column}{mark}" in names for mark in '`"')
