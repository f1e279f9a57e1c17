"""Parameter records to start from."""

from __future__ import annotations

from typing import Any

from appion.base.records.program import Program
from appion.motioncorrection.records import MotionCorrectionOptions, MotionCorrectionParams


def makeOptions(**changes: Any) -> MotionCorrectionOptions:
    return MotionCorrectionOptions(**changes)


def makeParams(**changes: Any) -> MotionCorrectionParams:
    """Return the parameters of a plausible exposure with the given fields changed."""
    fields: dict[str, Any] = {
        "image_id": 12,
        "filename": "image_00012enn",
        "session_id": 1,
        "image_path": "/leginon/rawdata",
        "preset": "enn",
        "camera_dimension": (64, 48),
        "camera_binning": (1, 1),
        "movie": "/frames/rawdata/image_00012enn.frames.mrc",
        "movie_format": "mrc",
        "nframes": 10,
        "pixelsize": 1.0,
        "high_tension": 300,
        "totaldose": 50.0,
        "frame_flip": False,
        "frame_rotate": 0,
        "rundir": "/appion/run1",
        "scratch": "/appion/run1/.appion/scratch",
        "options": makeOptions(),
        "program": Program("motioncor2", "/opt/motioncor2", "1.5.0"),
    }
    return MotionCorrectionParams(**{**fields, **changes})
