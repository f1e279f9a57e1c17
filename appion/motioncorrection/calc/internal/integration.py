"""Which raw frames make one rendered frame, and the dose of each, from an FmIntFile and the dose options."""

from __future__ import annotations

from dataclasses import dataclass

from appion.base.calc.limits import FRAME_DOSE
from appion.base.failures import ConfigurationFailure

#: Rendered frames aimed at when an EER movie comes without an FmIntFile.
EER_FRAMES = 40


@dataclass(frozen=True)
class RenderedFrame:
    """Raw frames [first, last) that are summed, and the dose they carry, e/Å² (0: unknown)."""

    first: int
    last: int
    dose: float = 0.0


def constructFrames(nraw: int, framedose: float = 0.0, intfile: str | None = None,
                    size: int = 1) -> list[RenderedFrame]:
    """Return the rendered frames of a movie of `nraw` raw frames.

    Arguments:
        framedose: e/Å² per raw frame, where the FmIntFile has none (third column 0 or missing).
        intfile: text of an FmIntFile, lines of: raw frames, how many of them are summed, dose per raw frame. Lines
            that go beyond the movie are cut; what does not fill a rendered frame is left out, as MotionCor does.
        size: raw frames per rendered frame without an FmIntFile.

    Raises:
        ConfigurationFailure: the text cannot be understood, or nothing is left.
    """
    if intfile is None:
        groups = [(nraw, size, framedose)]
    else:
        groups = [_parseLine(line, number, framedose) for number, line in enumerate(intfile.splitlines(), 1)
                  if line.strip() and not line.lstrip().startswith("#")]
    frames: list[RenderedFrame] = []
    start = 0
    for count, step, dose in groups:
        stop = min(nraw, start + count)
        frames += [RenderedFrame(first, first + step, dose * step) for first in range(start, stop - step + 1, step)]
        start = stop
    if not frames:
        raise ConfigurationFailure(f"no rendered frame can be made of {nraw} raw frames",
                                   "sum fewer raw frames in the FmIntFile")
    return frames


def _parseLine(line: str, number: int, framedose: float) -> tuple[int, int, float]:
    words = line.replace(",", " ").split()
    try:
        count, step = int(words[0]), int(words[1])
        dose = float(words[2]) if len(words) > 2 else 0.0
    except (ValueError, IndexError):
        count, step, dose = 0, 0, 0.0
    if count < 1 or step < 1 or not FRAME_DOSE.allows(dose):
        raise ConfigurationFailure(f"FmIntFile line {number}: {line.strip()!r}",
                                   "write: raw frames, how many are summed, dose per raw frame (e/Å²)")
    return count, step, dose or framedose


def calcAlignGroups(nframes: int, size: int) -> list[tuple[int, int]]:
    """Return [first, last) of the groups of `size` frames that are aligned as one; a short rest joins the last."""
    size = max(1, min(size, nframes))
    starts = list(range(0, nframes - size + 1, size))
    return [(start, nframes if start == starts[-1] else start + size) for start in starts]
