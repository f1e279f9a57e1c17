"""Orientation: between a camera's raw frames and the images Leginon shows.

With `flip` f and `rotate` k (quarter turns) a picture G in Leginon's orientation and the raw frames R are related by
R = flipud_if_f(rot90(G, -k)) and G = rot90(flipud_if_f(R), k).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def calcFrameOrientation(
    camera: str,
    frame_flip: bool | None,
    frame_rotate: int | None,
    image_id: int,
    version_changes: Iterable[tuple[int, int, bool | None, int | None]] = (),
) -> tuple[bool, int]:
    """Return (flip, quarter turns) of a camera's frames.

    Where the camera row does not tell (`frame_rotate` None: old data), it follows from the class of the camera. Gatan's
    K2 and K3 changed it with the version of DigitalMicrograph: `version_changes` are (row id, image id, flip, rotate)
    of the camera; the newest row holds for images after its own.
    """
    if frame_rotate is not None:
        return bool(frame_flip), int(frame_rotate) % 4
    if camera in ("K2", "K3"):
        newest = max(version_changes, default=None, key=lambda row: row[0])
        if newest is not None and image_id > newest[1]:
            return bool(newest[2]), int(newest[3] or 0) % 4
        return False, 0
    if camera in ("DE", "Apollo"):
        return True, 2
    if camera == "Falcon2":
        return False, 3
    return False, 0


def orientToFrames(image: NDArray, flip: bool, rotate: int) -> NDArray:
    """Return a picture in Leginon's orientation as the camera's raw frames have it."""
    turned = np.rot90(image, -rotate)
    return np.flipud(turned) if flip else turned


def orientToLeginon(image: NDArray, flip: bool, rotate: int, upside_down: bool = False) -> NDArray:
    """Return a sum in raw-frame orientation as Leginon has it; `upside_down`: the program flipped what it read."""
    return np.rot90(np.flipud(image) if bool(flip) != bool(upside_down) else image, rotate)
