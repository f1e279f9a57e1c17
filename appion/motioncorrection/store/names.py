"""Names of aligned images and of their presets.

An aligned image is called like its source with the preset's name replaced: ``…_00012enn`` becomes ``…_00012enn-a``, its
dose-weighted sister ``…_00012enn-a-DW``. A second run with the same label gets ``…_00012enn-a_v01``. No file that is
already there is ever given a new content.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

#: What stands for the preset of an image that was taken by hand, without one.
MANUAL_PRESET = "ma"


def constructPresetName(preset: str | None, label: str) -> str:
    """Return the name of the aligned image's preset: ``enn`` and ``a`` give ``enn-a``; no preset counts as ``ma``."""
    return f"{preset or MANUAL_PRESET}-{label}"


def constructAlignedName(filename: str, preset: str | None, label: str, isTaken: Callable[[str], bool]) -> str:
    """Return the name, without directory and extension, under which an aligned image is stored.

    The last occurrence of the preset's name in `filename` is replaced by the aligned preset's name; a file name without
    it gets the label appended. Without a preset, the beginning of a word (``26mar19a``) does not count. While `isTaken`
    says that a name is in use, ``_v01``, ``_v02``… is appended.

    Args:
        filename: name of the source image, without extension.
        preset: name of the source image's preset, or None.
        label: ``a``, or ``a-DW`` for the dose-weighted sum.
        isTaken: whether a name belongs to something else.
    """
    at = filename.rfind(preset) if preset else findManual(filename)
    end = at + len(preset or MANUAL_PRESET)
    name = f"{filename[:end]}-{label}{filename[end:]}" if at >= 0 else f"{filename}-{label}"
    if not isTaken(name):
        return name
    return next(version for number in count(1) if not isTaken(version := f"{name}_v{number:02d}"))


def findManual(filename: str) -> int:
    """Return where the name that stands for no preset begins in a file name, -1 if it is not there."""
    return max((match.start() for match in re.finditer(f"{MANUAL_PRESET}(?![A-Za-z])", filename)), default=-1)
