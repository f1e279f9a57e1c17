"""Records to start from."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from appion.base.records.program import Program
from appion.motioncorrection.records import (
    MotionCorrectionOptions,
    MotionCorrectionOrigin,
    MotionCorrectionParams,
    MotionCorrectionTask,
    References,
)
from appion.motioncorrection.retrieve.params import constructFiles


def makeOptions(**changes: Any) -> MotionCorrectionOptions:
    return MotionCorrectionOptions(**changes)


def makeParams(**changes: Any) -> MotionCorrectionParams:
    """Return the parameters of a plausible exposure with the given fields changed."""
    fields: dict[str, Any] = {
        "name": "image_00012enn",
        "movie": "/frames/rawdata/image_00012enn.frames.mrc",
        "movie_format": "mrc",
        "nframes": 10,
        "pixelsize": 1.0,
        "voltage": 300,
        "totaldose": 50.0,
        "files": constructFiles("/appion/run1", "image_00012enn", "motioncor2"),
        "scratch": "/appion/run1/.appion/scratch/12",
        "program": Program("motioncor2", "/opt/motioncor2", "1.5.0"),
    }
    return MotionCorrectionParams(**{**fields, **changes})


def makeOrigin(**changes: Any) -> MotionCorrectionOrigin:
    """Return the origin of the same exposure with the given fields changed."""
    fields: dict[str, Any] = {
        "image_id": 12,
        "filename": "image_00012enn",
        "session_id": 1,
        "rundir": "/appion/run1",
        "image_path": "/leginon/rawdata",
        "preset": "enn",
        "camera_dimension": (64, 48),
        "camera_binning": (1, 1),
    }
    return MotionCorrectionOrigin(**{**fields, **changes})


def makeTask(**changes: Any) -> MotionCorrectionTask:
    """Return origin and parameters of a plausible exposure with the given fields of either changed."""
    return changeTask(MotionCorrectionTask(makeOrigin(), makeParams()), **changes)


def changeTask(task: MotionCorrectionTask, **changes: Any) -> MotionCorrectionTask:
    """Return a task with the given fields changed: of the origin, of its references, else of the parameters."""
    parts: dict[type, dict[str, Any]] = {MotionCorrectionOrigin: {}, References: {}, MotionCorrectionParams: {}}
    for name, value in changes.items():
        kind = next(kind for kind in parts if name in {field.name for field in fields(kind)})
        parts[kind][name] = value
    references = replace(task.origin.references, **parts[References])
    origin = replace(task.origin, **{"references": references, **parts[MotionCorrectionOrigin]})
    return MotionCorrectionTask(origin, replace(task.params, **parts[MotionCorrectionParams]))
