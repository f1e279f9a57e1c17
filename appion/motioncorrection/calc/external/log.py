"""The whole-frame shifts in the output of MotionCor2, MotionCor3 and motioncor-cpu.

Two layouts of the table are in use, told apart by content and not by version: MotionCor2 up to 1.5, MotionCor3 and
motioncor-cpu print one ``...... Frame (  1) shift:`` line per frame under ``Full-frame alignment shift``; MotionCor2
1.6 prints a table with the columns Frame, x Shift, y Shift under ``Full-frame alignment``. Which frame is the zero
differs as well (the middle one in MotionCor2 1.5, the first in the others), so only differences mean something.
"""

from __future__ import annotations

import math
import re

from appion.base.failures import ImageFailure

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|nan|inf))"
DOTTED_HEADER = re.compile(r"Full-frame alignment shift", re.IGNORECASE)
DOTTED_ROW = re.compile(rf"\.{{6}} Frame \(\s*(\d+)\s*\) shift:\s+{NUMBER}\s+{NUMBER}", re.IGNORECASE)
TABLE_HEADER = re.compile(r"Full-frame alignment", re.IGNORECASE)
TABLE_COLUMNS = re.compile(r"Frame\s+x Shift\s+y Shift", re.IGNORECASE)
DOTTED_START = re.compile(r"\.{3}")
TABLE_ROW = re.compile(rf"(\d+)\s+{NUMBER}\s+{NUMBER}", re.IGNORECASE)
TABLE_START = re.compile(r"\d+(\s+[-+.\d]|$)")
PATCH_HEADER = re.compile(r"Align patch\s+\d+\s+\d+ left")
PATCH_ROW = re.compile(rf"(\d+)\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}", re.IGNORECASE)
#: Lines that a batch system puts anywhere into the output.
BATCH_LINE = re.compile(r"(salloc|srun|slurmstepd): ")


def parseMotionCorLog(text: str) -> list[tuple[float, float]]:
    """Return the (x, y) shift of each frame in pixels of the rendered frames, as the program printed them.

    Terminal colours, carriage returns and whatever stands around the table are ignored; the table ends at the first
    line that is not a row of it, and must not go on after that.

    Raises:
        ImageFailure: there is no such table, its frames are not numbered 1, 2, 3…, a row is cut short, something else
            stands within it, or a shift is not a finite number.
    """
    lines = [line.strip() for line in ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    lines = [line for line in lines if not BATCH_LINE.match(line)]
    for number, line in enumerate(lines):
        if DOTTED_HEADER.fullmatch(line):
            rows = _readRows(lines, number + 1, DOTTED_ROW, DOTTED_START)
        elif TABLE_HEADER.fullmatch(line) and TABLE_COLUMNS.fullmatch("".join(lines[number + 1 : number + 2])):
            rows = _readRows(lines, number + 2, TABLE_ROW, TABLE_START)
        else:
            continue
        if rows:
            return _checkRows(rows)
    raise ImageFailure(
        "the program's log has no table of whole-frame shifts",
        "looked for 'Full-frame alignment shift' followed by '...... Frame (  1) shift:' and for 'Full-frame alignment'"
        " followed by 'Frame   x Shift   y Shift'",
        log_tail="\n".join(lines[-40:])[-4000:],
    )


def parsePatchShifts(text: str) -> list[list[tuple[float, ...]]]:
    """Return for each patch, for each frame, (centre x, centre y, shift x, shift y) in pixels, as motioncor-cpu prints.

    The shifts are those beyond the whole frame's. Other programs print none: the list is empty.
    """
    patches: list[list[tuple[float, ...]]] = []
    for line in ANSI.sub("", text).splitlines():
        if PATCH_HEADER.fullmatch(line.strip()):
            patches.append([])
        elif patches and (match := PATCH_ROW.fullmatch(line.strip())):
            patches[-1].append(tuple(map(float, match.groups()[1:])))
    return [rows for rows in patches if rows]


def findWarnings(text: str, kind: str) -> list[str]:
    """Return what motioncor-cpu warns of in its output, one line each; other programs' warnings have no fixed form."""
    if kind != "motioncor-cpu":
        return []
    return [line.removeprefix("Warning: ").rstrip(".") for line in text.splitlines() if line.startswith("Warning: ")]


def _readRows(
    lines: list[str], start: int, pattern: re.Pattern[str], beginning: re.Pattern[str]
) -> list[tuple[int, float, float]]:
    """Return the rows from line `start` on.

    A line that begins as one and is none means that the table is damaged, and so does one that continues it after
    something else: what another program writes into the output may stand within the table or in place of a row.
    """
    rows: list[tuple[int, float, float]] = []
    for line in lines[start:]:
        match = pattern.fullmatch(line)
        if not match and beginning.match(line):
            raise ImageFailure(f"the table of whole-frame shifts is damaged after frame {len(rows)}: {line!r}")
        if not match:
            break
        rows.append((int(match[1]), float(match[2]), float(match[3])))
    if rows:
        _checkEnd(rows, lines[start + len(rows) :], pattern)
    return rows


def _checkEnd(rows: list[tuple[int, float, float]], rest: list[str], pattern: re.Pattern[str]) -> None:
    """Raise ImageFailure if the table goes on in the rest of the lines, before another begins."""
    for line in rest:
        if TABLE_HEADER.match(line):
            return
        match = pattern.search(line)
        if match and len(rows) < int(match[1]) <= len(rows) + 2 and (pattern is DOTTED_ROW or match[0] == line):
            raise ImageFailure(
                f"the table of whole-frame shifts goes on with frame {match[1]} after another line: {rest[0]!r}",
                "what writes into the output of the program? It is tried again",
            )


def _checkRows(rows: list[tuple[int, float, float]]) -> list[tuple[float, float]]:
    for expected, (frame, x, y) in enumerate(rows, 1):
        if frame != expected:
            raise ImageFailure(f"the table of whole-frame shifts has frame {frame} where frame {expected} belongs")
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ImageFailure(f"the whole-frame shift of frame {frame} is {x}, {y}: not a finite number")
    return [(x, y) for _, x, y in rows]
