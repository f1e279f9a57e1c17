"""Records (frozen dataclasses of plain values) to and from the dictionaries of the journal."""

from __future__ import annotations

import dataclasses
import functools
import types
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")


def decodeRecord(kind: type[Record], record: dict[str, Any]) -> Record:
    """Return the record that ``dataclasses.asdict`` and JSON made the dictionary from.

    Fields that are not there get their default, unknown ones are ignored.

    Raises:
        ValueError: the dictionary does not hold such a record.
    """
    try:
        return _construct(kind, record)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a {kind.__name__}: {error}") from error


@functools.cache
def _readHints(kind: type) -> dict[str, Any]:
    """The type of each field of a record; its annotations are texts, and take longer to read than any result."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _construct(kind: Any, value: Any) -> Any:
    """Return `value` as the annotated type `kind`: records from dictionaries, tuples from lists, in any depth."""
    if dataclasses.is_dataclass(kind):
        hints = _readHints(kind)  # type: ignore[arg-type]
        fields = {name: _construct(hints[name], item) for name, item in value.items() if name in hints}
        return kind(**fields)  # type: ignore[operator]
    if get_origin(kind) in (Union, types.UnionType):
        inner = [one for one in get_args(kind) if one is not type(None)]
        return None if value is None else _construct(inner[0], value)
    if get_origin(kind) is tuple:
        inner = list(get_args(kind))
        if inner[-1] is Ellipsis:
            inner = inner[:1] * len(value)
        return tuple(_construct(one, item) for one, item in zip(inner, value, strict=True))
    return value
