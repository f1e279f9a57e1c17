"""A few numbers of several tables at once: to find out cheaply that there is nothing new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections

from sinedon.live import hasTable, isMissing, isTable


@dataclass(frozen=True)
class Totals:
    """What is asked of the rows of a table: how many there are, the highest id, and the sum of id times weight.

    Attributes:
        model: the table.
        ranges: field -> lowest and highest value (inclusive; None: no limit) of the rows.
        weights: value of the field `weighed` -> weight; another value weighs nothing.
    """

    model: Any
    ranges: dict[str, tuple[int | None, int | None]]
    weighed: str = ""
    weights: tuple[tuple[str | int, int], ...] = ()


def readTotals(questions: Sequence[Totals]) -> list[tuple[Any, ...]]:
    """Return count, highest id and weighed sum for each question, by one statement for each server.

    A database on the server that another one's connection leads to is asked over that connection. A table that is not
    there, or lacks one of the columns, has no rows.
    """
    answers: dict[int, tuple[Any, ...]] = {}
    groups: dict[Any, list[int]] = {}
    for number, question in enumerate(questions):
        groups.setdefault(_calcServer(question.model._meta.app_label), []).append(number)
    for numbers in groups.values():
        alias = questions[numbers[0]].model._meta.app_label
        parts = [_constructPart(questions[number], index, alias) for index, number in enumerate(numbers)]
        with connections[alias].cursor() as cursor:
            text = ", ".join(f"({sql}) AS t{index}" for index, (sql, _) in enumerate(parts))
            cursor.execute(f"SELECT * FROM {text}", [value for _, values in parts for value in values])
            row = cursor.fetchone()
        answers |= {number: tuple(row[3 * index : 3 * index + 3]) for index, number in enumerate(numbers)}
    return [answers[number] for number in range(len(questions))]


def _calcServer(alias: str) -> Any:
    """What two databases have in common that one connection leads to; an SQLite file is alone."""
    database = connections.settings[alias]
    if database["ENGINE"].endswith("sqlite3"):
        return alias
    return tuple(str(database[key]) for key in ("HOST", "PORT", "USER", "PASSWORD", "OPTIONS"))


def _constructPart(question: Totals, index: int, alias: str) -> tuple[str, list[Any]]:
    """Return the query of one question, whose columns no other has, and its values."""
    meta = question.model._meta
    quote = connections[alias].ops.quote_name
    wanted = [*question.ranges, *([question.weighed] if question.weighed else [])]
    columns = {name: meta.get_field(name).column for name in wanted}
    there = isTable(meta.app_label, meta.db_table) or hasTable(question.model)  # the latter looks again, now and then
    if not there or any(isMissing(meta.app_label, meta.db_table, column) for column in columns.values()):
        return f"SELECT 0 AS n{index}, 0 AS m{index}, 0 AS s{index}", []
    weight, values = "0", list[Any]()
    if question.weights:
        cases = " ".join("WHEN %s THEN %s" for _ in question.weights)
        weight = f"CASE {quote(columns[question.weighed])} {cases} ELSE 0 END"
        values += [value for pair in question.weights for value in pair]
    conditions = []
    for name, limits in question.ranges.items():
        for sign, limit in zip((">=", "<="), limits, strict=True):
            if limit is not None:
                conditions.append(f"{quote(columns[name])} {sign} %s")
                values.append(limit)
    table = quote(meta.db_table)
    if meta.app_label != alias:
        table = f"{quote(connections.settings[meta.app_label]['NAME'])}.{table}"
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    key = quote(meta.pk.column)
    columns_sql = f"COUNT(*) AS n{index}, MAX({key}) AS m{index}, SUM({key} * {weight}) AS s{index}"
    return f"SELECT {columns_sql} FROM {table}{where}", values
