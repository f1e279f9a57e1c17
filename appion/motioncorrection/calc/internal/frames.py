"""How many frames an exposure has, which of them are used, and how an EER or finely fractionated movie is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

#: Upsampling that the program does for a value of -EerSampling: each step doubles.
EER_FACTORS: Mapping[int, int] = {1: 1, 2: 2, 3: 4}


@dataclass(frozen=True)
class FrameSelection:
    """The frames that are summed: raw frames in the movie, rendered frames, and how many of those are left out.

    Attributes:
        raw: raw frames in the movie.
        rendered: frames after integration; the same as `raw` without it.
        throw, trunc: rendered frames left out at the start and at the end.
    """

    raw: int
    rendered: int
    throw: int
    trunc: int

    @property
    def used(self) -> int:
        """Rendered frames that are aligned and summed."""
        return self.rendered - self.throw - self.trunc


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


def calcRenderedFrameCount(raw: int, size: int) -> int:
    """Return how many frames of `size` raw frames `raw` frames make; an incomplete one counts."""
    return -(-raw // size)


def isIntegrated(eer: bool, size: int) -> bool:
    """Return whether raw frames are summed into rendered ones, i.e. the program needs an -FmIntFile."""
    return eer or size > 1


def constructFmIntFile(raw: int, size: int, raw_dose: float) -> str:
    """Return the text of -FmIntFile: per line group size, frames per rendered frame and dose per raw frame (e/Å²).

    A rest that does not fill a rendered frame comes first, as one rendered frame of its own.
    """
    whole, rest = divmod(raw, size)
    lines = []
    if rest:
        lines.append(f"{rest}\t{rest}\t{raw_dose:.6f}\n")
    if whole:
        lines.append(f"{whole * size}\t{size}\t{raw_dose:.6f}\n")
    return "".join(lines)


def calcFrameSelection(raw: int, size: int, integrated: bool, start: int, nframe: int | None) -> FrameSelection:
    """Return which frames are used: `nframe` raw frames (None: all) from the raw frame `start` (0-based) on.

    With integration the program leaves out whole rendered frames, so both limits must lie between two of them.

    Raises:
        ConfigurationFailure: no frame is left, or a limit cuts a rendered frame.
    """
    stop = raw if nframe is None else min(start + nframe, raw)
    if start >= stop:
        asked = f"--ddstartframe={start}" + (f" --ddnframe={nframe}" if nframe is not None else "")
        raise ConfigurationFailure(f"no frame is left of {raw} with {asked}", "frames count from 0")
    if not integrated:
        return FrameSelection(raw, raw, start, raw - stop)
    rest = raw % size
    edges = list(range(rest, raw + 1, size))
    edges = edges if edges[0] == 0 else [0, *edges]
    for flag, limit in (("--ddstartframe", start), ("--ddstartframe + --ddnframe", stop)):
        if limit not in edges:
            near = sorted(edges, key=lambda edge: abs(edge - limit))[:2]
            raise ConfigurationFailure(
                f"{flag} = {limit} cuts a rendered frame of {size} raw frames ({raw} in the movie)",
                f"nearest possible values: {' or '.join(str(edge) for edge in sorted(near))}",
            )
    rendered = len(edges) - 1
    return FrameSelection(raw, rendered, edges.index(start), rendered - edges.index(stop))
