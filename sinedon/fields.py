"""Fields for the columns of sinedon tables.

A column's name tells its kind: ``REF|Table|key`` is the id of a row of another table (``REF|module|Table|key`` in
another database; NULL or 0 is none), ``SUBD|key|sub`` one value of a dictionary, ``SEQ|key`` a Python list or tuple as
text, ``MRC|key`` the name of an image file, anything else a plain value. Every field may be NULL.
"""

from __future__ import annotations

import ast
import functools
import math
import re
from typing import Any

from django.db import models
from django.db.models.expressions import Col
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor

from sinedon.live import isMissing

#: A text, which stays as it is, or a number as Python 2 (``12L``) or numpy (``np.int64(12)``) spell it in a sequence.
SPELLING = re.compile(r"""('[^']*'|"[^"]*")|\b(\d+)[lL]\b|\b(?:np|numpy)\.\w+\(([^()]*)\)""")


class LiveCol(Col):
    """A column in a query; a column that the live table lacks reads as NULL."""

    def as_sql(self, compiler, connection):
        if isMissing(connection.alias, self.target.model._meta.db_table, self.target.column):
            return "NULL", []
        return super().as_sql(compiler, connection)


class ClassicField:
    """What all fields share: the classic column name comes first, NULL is allowed, missing columns read as NULL."""

    def __init__(self, column: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("db_column", column)
        kwargs.setdefault("null", True)
        super().__init__(**kwargs)

    def get_col(self, alias, output_field=None):
        col = super().get_col(alias, output_field)  # type: ignore[misc]
        return LiveCol(col.alias, col.target, col.output_field)


class Text(ClassicField, models.TextField):
    """Text; `length` is given where classic made a VARCHAR."""

    def __init__(self, column: str | None = None, length: int | None = None, **kwargs: Any) -> None:
        super().__init__(column, **kwargs)
        self.length = length


class Integer(ClassicField, models.IntegerField):
    """A whole number; a fraction is cut off, as classic coerces it."""


class Double(ClassicField, models.FloatField):
    """A double; databases hold neither NaN nor infinities."""

    def get_prep_value(self, value):
        value = super().get_prep_value(value)
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{self.model.__name__}.{self.name} = {value}: a database holds finite numbers only")
        return value


class Boolean(ClassicField, models.BooleanField):
    """True or False, stored as 1 or 0; everything else is taken by its truth, as classic coerces it."""

    def get_prep_value(self, value):
        return None if value is None else bool(value)


class Timestamp(ClassicField, models.DateTimeField):
    """Local time of the server; MySQL's zero date reads as None."""

    def from_db_value(self, value, expression, connection):  # noqa: ARG002
        return None if isinstance(value, str) else value


class File(Text):
    """``MRC|key``: the name of an image file, without its folder. Not compared when identical rows are looked for."""


class Sequence(Text):
    """``SEQ|key``: a list or tuple, stored as Python writes it (also Python 2); text that is neither reads as None."""

    def get_prep_value(self, value):
        if value is None or isinstance(value, str):
            return value
        return repr(_plain(value))

    def from_db_value(self, value, expression, connection):  # noqa: ARG002
        parsed = _parseSequence(value) if value else None
        return _plain(parsed) if isinstance(parsed, list) else parsed


class ReferenceDescriptor(ForwardManyToOneDescriptor):
    """The row that a reference points at, one query at the first access; None for NULL and 0."""

    def __get__(self, instance, cls=None):
        if instance is not None and not getattr(instance, self.field.attname):
            return None
        return super().__get__(instance, cls)


class Reference(ClassicField, models.ForeignKey):
    """``REF|…``: the row of another table. `key` is given where it is not the attribute's name."""

    db_column: str | None
    forward_related_accessor_class = ReferenceDescriptor

    def __init__(self, to: Any, key: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("on_delete", models.DO_NOTHING)
        kwargs.setdefault("related_name", "+")
        kwargs.setdefault("db_constraint", False)
        super().__init__(None, to=to, **kwargs)
        self.key = key

    def contribute_to_class(self, cls, name, **kwargs):
        """Name the column, once the table that holds it is known."""
        if self.db_column is None and not cls._meta.abstract:
            module, _, table = str(self.remote_field.model).rpartition(".")
            table = cls.__name__ if table == "self" else table
            prefix = f"{module}|" if module and module != cls._meta.app_label else ""
            self.db_column = f"REF|{prefix}{table}|{self.key or name}"
        super().contribute_to_class(cls, name, **kwargs)


class ReferenceId(Integer):
    """``REF|…`` to a table that has no model here; the attribute is named ``<key>_id``."""


def _plain(value: Any) -> Any:
    """Return lists and tuples with plain Python numbers in place of numpy's, which repr would spell differently."""
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, range):
        return tuple(value)
    return value


@functools.lru_cache(maxsize=1024)
def _parseSequence(text: str) -> Any:
    """Return the list or tuple that `text` spells, else None. The text is data: it is never evaluated."""
    for spelled in (text, SPELLING.sub(lambda match: match[1] or match[2] or match[3] or "", text)):
        try:
            value = ast.literal_eval(spelled)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return value if isinstance(value, list | tuple) else None
    return None
