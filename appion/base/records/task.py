"""What goes to a worker and what comes back: the parameters and the result of a calculation, each with its origin.

The calculation knows nothing of the origin, which says where the exposure comes from and where its results belong. The
pair of origin and result is what the journal keeps until it is stored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from appion.base.records.encoding import decodeRecord

#: Of the journal's records. Those of the versions before had no number; what was the origin stood among the parameters.
FORMAT = 2


@dataclass(frozen=True)
class Taken:
    """How an exposure was taken, as far as its rows tell.

    Attributes:
        time: when its row was written, Unix time.
        preset: name of the preset. target_id, grid_id: rows.
        stage: x, y and z, µm. tilt: of the stage, degrees. image_shift: x and y, µm.
        defocus: that the microscope was set to, Å, positive.
    """

    time: float | None = None
    preset: str | None = None
    target_id: int | None = None
    grid_id: int | None = None
    stage: tuple[float | None, float | None, float | None] = (None, None, None)
    tilt: float | None = None
    image_shift: tuple[float | None, float | None] = (None, None)
    defocus: float | None = None


@dataclass(frozen=True)
class Origin:
    """Where an exposure comes from and where its results belong.

    Attributes:
        image_id, filename: the source `AcquisitionImageData` row.
        session_id: its session.
        rundir: the run folder.
        taken: how it was taken.
    """

    image_id: int
    filename: str
    session_id: int
    rundir: str
    taken: Taken = field(default_factory=Taken, kw_only=True)


AnyOrigin = TypeVar("AnyOrigin", bound=Origin)
Params = TypeVar("Params")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Task(Generic[AnyOrigin, Params]):
    """What is submitted for one exposure: what to compute, and the origin, which goes around that unchanged."""

    origin: AnyOrigin
    params: Params


@dataclass(frozen=True)
class Computed(Generic[AnyOrigin, Result]):
    """What is kept of one exposure until it is stored."""

    origin: AnyOrigin
    result: Result

    @property
    def argv(self) -> tuple[str, ...]:
        """The program's command line."""
        return self.result.argv  # type: ignore[attr-defined]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines worth showing to a person."""
        return self.result.warnings  # type: ignore[attr-defined]


def encodeComputed(computed: Computed[Any, Any]) -> dict[str, Any]:
    """Return the journal's record, a dictionary that JSON can hold."""
    return {"format": FORMAT, **dataclasses.asdict(computed)}


def decodeComputed(
    record: dict[str, Any],
    origin: type[AnyOrigin],
    result: type[Result],
    upgrade: Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]],
) -> Computed[AnyOrigin, Result]:
    """Return what :func:`encodeComputed` made the record from; fields that are not there get their default.

    Args:
        origin, result: the step's records.
        upgrade: makes the origin and the result, as dictionaries, of a record that an earlier version wrote.

    Raises:
        ValueError: the dictionary is not the record of a result, or is in a format that is not known here.
    """
    number = record.get("format", 1)
    if number not in (1, FORMAT):
        raise ValueError(f"a record of format {number!r}, of another version; known here are 1 and {FORMAT}")
    try:
        parts = upgrade(record) if number == 1 else (record["origin"], record["result"])
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not a record of format {number}: {type(error).__name__} {error}") from error
    return Computed(decodeRecord(origin, parts[0]), decodeRecord(result, parts[1]))
