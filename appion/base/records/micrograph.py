"""The plain records of a step that measures micrographs and stores their numbers in the series of its run only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appion.base.records.program import Program
from appion.base.records.task import Computed, Origin, Task


@dataclass(frozen=True)
class MeasureOptions:
    """What was asked for: the step's own options by name."""

    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MeasureContext:
    """What is the same for all micrographs of a run.

    Attributes:
        rundir: the run folder. program: the step in its version.
    """

    rundir: str
    options: MeasureOptions
    program: Program


@dataclass(frozen=True)
class MeasureParams:
    """Everything that is needed to measure one micrograph.

    Attributes:
        micrograph: path. dimension: (x, y) in pixels, as the row has it. pixelsize: Å.
        options: the step's own. program: the step in its version.
    """

    micrograph: str
    dimension: tuple[int, int]
    pixelsize: float
    options: dict[str, Any]
    program: Program


@dataclass(frozen=True)
class Measured:
    """What was found of one micrograph.

    Attributes:
        params: what it was computed from. numbers: by the names of the step's columns, None: not known.
        host, started, seconds: where, when (Unix time) and how long.
        warnings: lines worth showing to a person. argv: none, there is no program.
    """

    params: MeasureParams
    numbers: Mapping[str, float | None]
    host: str
    started: float
    seconds: float
    warnings: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()


MeasureTask = Task[Origin, MeasureParams]
ComputedMeasure = Computed[Origin, Measured]
