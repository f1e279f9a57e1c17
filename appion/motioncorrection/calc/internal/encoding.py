"""Result records to and from the plain dictionaries of the journal."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from appion.motioncorrection.records import MotionCorrectionResult


def encodeResult(result: MotionCorrectionResult) -> dict[str, Any]:
    """Return a result as a dictionary that JSON can hold."""
    return dataclasses.asdict(result)


def decodeResult(record: dict[str, Any]) -> MotionCorrectionResult:
    """Return the result that `encodeResult` made the dictionary from; fields that are not there get their default.

    Raises:
        ValueError: the dictionary is not the record of a result.
    """
    try:
        return _construct(MotionCorrectionResult, record)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not the record of a motion correction: {error}") from error


def _construct(kind: Any, value: Any) -> Any:
    """Return `value` as the annotated type `kind`: records from dictionaries, tuples from lists, in any depth."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        known = {field.name for field in dataclasses.fields(kind)}
        fields = {name: _construct(hints[name], item) for name, item in value.items() if name in known}
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
