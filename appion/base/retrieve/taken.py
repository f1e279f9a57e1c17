"""How an exposure was taken, from rows that are read in any case."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import sinedon
from appion.base.records.task import Taken


def constructTaken(image: Any, scope: Any, preset: str | None = None) -> Taken:
    """Return how an exposure was taken.

    The time is that of the image's row, by the clock of the database, which is taken to be in this host's time zone:
    clocks of microscopes and cameras are often some minutes off.

    Args:
        image: its `AcquisitionImageData` row, as Leginon wrote it. scope: its `ScopeEMData` row.
        preset: name of its preset.
    """
    stage = tuple(scale(getattr(scope, f"stage_position_{axis}"), 1e6) for axis in "xyz")
    shift = tuple(scale(getattr(scope, f"image_shift_{axis}"), 1e6) for axis in "xy")
    return Taken(
        time=calcTime(image.def_timestamp),
        preset=preset,
        target_id=sinedon.refId(image, "target"),
        grid_id=image.grid_id or None,
        stage=stage,  # type: ignore[arg-type]
        tilt=scale(scope.stage_position_a, 180 / math.pi),
        image_shift=shift,  # type: ignore[arg-type]
        defocus=None if scope.defocus is None else abs(scope.defocus) * 1e10,
    )


def calcTime(written: datetime | None) -> float | None:
    """Return the Unix time of a row; None where it is no time that a computer can tell."""
    try:
        return None if written is None else written.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def scale(value: float | None, factor: float) -> float | None:
    """Return a value in another unit; None stays None."""
    return None if value is None else value * factor
