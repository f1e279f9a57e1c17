"""Which frames of an exposure are used, and how an EER or finely fractionated movie is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appion.base.failures import ConfigurationFailure

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
