"""Truth beside result as a table."""

from __future__ import annotations

import re

import numpy as np

from appion.base.calc.plain import makePlain
from appion.demo.outcome import Outcome
from appion.demo.simulate import calcTrueDrift

#: Titles over the columns, each over as many characters as its columns have, and the columns: title and width.
GROUPS = (("", 19), ("drift px", 13), ("dose e/Å²", 14), ("defocus 1 Å", 14), ("defocus 2 Å", 14), ("axis of 1 °", 14),
          ("fits", 6), ("", 6), ("stored after s", 16))  # fmt: skip
COLUMNS = (("truth", 6), ("error", 7), *((("truth", 7), ("found", 7)) * 4), ("to Å", 6), ("corr.", 6),
           ("aligned", 9), ("CTF", 7))  # fmt: skip


def formatTable(outcomes: list[Outcome]) -> str:
    """Return the table: a line for each exposure, and one for each problem below it."""
    lines = [
        "".join(f"{title:>{width}}" for title, width in GROUPS),
        f"{'':>3} {'exposure':<15}" + "".join(f"{title:>{width}}" for title, width in COLUMNS),
    ]
    for outcome in outcomes:
        start = f"{outcome.planned.number:>3} {outcome.planned.kind:<15}"
        if outcome.is_stored:
            cells = zip(formatCells(outcome), COLUMNS, strict=True)
            lines.append(start + "".join(f"{text:>{width}}" for text, (_, width) in cells))
        else:
            reason = re.sub(r"\S*/", "", outcome.reason)  # folders only make the line long
            lines.append(f"{start} not stored: {makePlain(reason) or 'no reason given'}")
        if outcome.planned.is_good or not outcome.reason:
            lines.extend(f"{'':>3} PROBLEM: {makePlain(problem)}" for problem in outcome.findProblems())
    return "\n".join(line.rstrip() for line in lines)


def formatCells(outcome: Outcome) -> list[str]:
    """Return what stands in the columns of a stored exposure."""
    exposure, truth, found = outcome.planned.exposure, outcome.true_focus, outcome.focus
    drift = calcTrueDrift(exposure)
    cells = [
        f"{np.hypot(*(drift[-1] - drift[0])):.1f}", f"{outcome.drift_error:.3f}",
        f"{exposure.dose * exposure.nframes:.2f}", f"{outcome.dose:.2f}",
    ]  # fmt: skip
    for name, digits in (("defocus1", 0), ("defocus2", 0), ("axis", 1)):
        cells += [f"{getattr(focus, name):.{digits}f}" if focus else "-" for focus in (truth, found)]
    return [*cells, f"{outcome.resolution:.1f}", f"{outcome.correlation:.2f}", f"{outcome.seconds:.0f}",
            f"{outcome.ctf_seconds:.0f}"]  # fmt: skip
