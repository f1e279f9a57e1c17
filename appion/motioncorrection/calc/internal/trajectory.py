"""Where the specimen was in each frame: from the program's shifts to positions, and the log the web viewer reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

Shifts = Sequence[tuple[float, float]]


def calcPositions(shifts: Shifts, factor: float) -> list[tuple[float, float]]:
    """Return the (x, y) positions in pixels of the aligned image, relative to the middle frame (number N // 2 from 0).

    `shifts` are the programs' corrections in pixels of the rendered frames, so positions are their negative; `factor`
    is by how much smaller the aligned image is than the rendered frames (-FtBin, upsampling of EER included).
    """
    if not shifts:
        return []
    middle_x, middle_y = shifts[len(shifts) // 2]
    return [(-(x - middle_x) / factor, -(y - middle_y) / factor) for x, y in shifts]


def calcSteps(positions: Shifts) -> list[float]:
    """Return how far it is from each position to the next, in the unit of the positions."""
    return [math.dist(here, there) for here, there in pairwise(positions)]


def calcLocalMotion(patches: Sequence[Sequence[Sequence[float]]]) -> float | None:
    """Return the root mean square, over patches and frames, of how far each patch is from its mean over the frames.

    So it does not depend on which frame has the shift 0. None if there are no patches, or the table of one is not
    whole.

    Args:
        patches: for each, for each frame, (centre x, centre y, shift x, shift y), shifts beyond the whole frames'.
    """
    numbers = {len(rows) for rows in patches}
    values = [value for rows in patches for row in rows for value in row]
    if len(numbers) != 1 or numbers == {0} or not all(map(math.isfinite, values)):
        return None
    total, count = 0.0, numbers.pop()
    for rows in patches:
        for shifts in list(zip(*rows, strict=True))[2:]:
            mean = math.fsum(shifts) / count
            total += math.fsum((shift - mean) ** 2 for shift in shifts)
    return math.sqrt(total / (count * len(patches)))


def constructShiftLog(positions: Shifts, rendered: int, throw: int) -> str:
    """Return the log in the format of the first MotionCorr, which the web viewer reads.

    `rendered` is the number of rendered frames, `throw` how many of them were left out at the start.
    """
    lines = [f"Sum Frame #{0:03d} - #{rendered:03d} (Reference Frame #{rendered // 2:03d}):\n"]
    lines += [
        f"......Add Frame #{number:03d} with xy shift: {x:.5f} {y:.5f}\n"
        for number, (x, y) in enumerate(positions, throw)
    ]
    return "".join(lines)
