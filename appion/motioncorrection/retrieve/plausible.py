"""Looking at what only motion correction reads of rows: times, frames and their orientation, doses.

Raises ConfigurationFailure, as all of :mod:`appion.base.retrieve.plausible`, which has the rest.
"""

from __future__ import annotations

from typing import Any

from appion.base.calc.cameras import TIMED_CAMERAS
from appion.base.calc.limits import DOSE, EXPOSURE_TIME, FRAME_TIME, FRAMES, ROTATION, checkValue
from appion.base.retrieve.plausible import checkColumn


def checkTimes(camera: Any, kind: str) -> None:
    """Look at the rotation of a camera's frames and, where they tell how many these are, at the times (ms)."""
    checkColumn(camera, "frame_rotate", ROTATION)
    if kind in TIMED_CAMERAS:
        checkColumn(camera, "exposure_time", EXPOSURE_TIME)
        checkColumn(camera, "frame_time", FRAME_TIME)


def checkFrames(camera: Any, nframes: int) -> None:
    """Look at how many frames a camera's row tells."""
    checkValue(FRAMES, nframes, f"CameraEMData row {camera.def_id}: number of frames", holder="camera")


def checkDose(preset: Any) -> None:
    """Look at the dose (e/m²) of a preset, if there is one; NULL and 0: it is not known."""
    if preset is not None:
        checkColumn(preset, "dose", DOSE, "e/m²")
