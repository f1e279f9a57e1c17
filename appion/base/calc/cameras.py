"""Kinds of cameras, and how many frames an exposure of each has."""

from __future__ import annotations

from appion.base.failures import ConfigurationFailure, ImageFailure

#: Cameras whose frame count follows from times; all others save it as `nframes`.
TIMED_CAMERAS = frozenset({"K2", "K3", "Appion", "Sim"})

#: Part of the instrument's name and what it says, tried in this order.
CAMERA_NAMES = (
    ("GatanK2", "K2"),
    ("GatanK3", "K3"),
    ("DEApollo", "Apollo"),
    ("DE", "DE"),
    ("Falcon4EC", "EER"),
    ("Falcon3", "Falcon3"),
    ("Falcon4", "Falcon3"),
    ("TIA", "Falcon2"),
    ("Falcon", "Falcon2"),
    ("Appion", "Appion"),
    ("Sim", "Sim"),
)


def classifyCamera(name: str, eer: bool) -> str:
    """Return the camera's class: K2, K3, Apollo, DE, EER, Falcon3, Falcon2, Appion or Sim.

    `name` is the instrument's name; `eer` whether it saves EER movies (a Falcon 4 EC that does not is a Falcon3).

    Raises:
        ConfigurationFailure: no rule fits the name.
    """
    for part, camera in CAMERA_NAMES:
        if part in name and (camera != "EER" or eer):
            return camera
    raise ConfigurationFailure(
        f"camera '{name}' is of no known kind",
        "known names contain one of " + ", ".join(part for part, _ in CAMERA_NAMES),
    )


def calcFrameCount(
    camera: str, exposure_time: float | None, frame_time: float | None, nframes: int | None
) -> int:
    """Return the number of raw frames of an exposure (times in the same unit, milliseconds in Leginon).

    Cameras in TIMED_CAMERAS save `exposure_time / frame_time` frames, truncated (a quotient that misses a whole number
    by rounding only counts as that number), at least one; if a time is missing, and for all others, it is `nframes`.

    Raises:
        ImageFailure: neither way gives a positive number.
    """
    if camera in TIMED_CAMERAS and exposure_time and frame_time and frame_time > 0:
        return max(1, int(exposure_time / frame_time * (1 + 1e-9)))
    if nframes and nframes > 0:
        return int(nframes)
    raise ImageFailure(
        f"the number of frames is unknown: exposure time {exposure_time}, frame time {frame_time}, nframes {nframes}",
        "the camera row of this image has to say it",
    )
