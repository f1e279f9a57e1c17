"""What motioncor-cpu says of shifts: in its output, and in the files of -LogDir, as MotionCor2 writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from appion.motioncorrection.calc.internal.field import Field


def formatShifts(shifts: np.ndarray) -> list[str]:
    """Return the table of the whole frames' shifts (frames, 2) for the output."""
    rows = [f"...... Frame ({number:3d}) shift: {x:9.3f} {y:9.3f}" for number, (x, y) in enumerate(shifts, 1)]
    return ["", "Full-frame alignment shift", *rows]


def calcPatchShifts(field: Field | None, patches: tuple[int, int], shape: tuple[int, int],
                    nframes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (patches, 2) of patches (across, down) and the local motion (patches, frames, 2) there.

    Both are (x, y) pixels of frames of `shape`; patches are numbered row by row.
    """
    x, y = ((np.arange(count) + 0.5) / count for count in patches)
    centres = np.stack(np.meshgrid(x * shape[1], y * shape[0]), axis=-1).reshape(-1, 2)
    shifts = np.zeros((len(centres), nframes, 2))
    if field is not None:
        for i in range(nframes):
            moved = field.calcDisplacements(i, 2 * x - 1, 2 * y - 1)
            shifts[:, i] = np.stack(moved, axis=-1).reshape(-1, 2)
    return centres, shifts


def formatPatches(centres: np.ndarray, shifts: np.ndarray) -> list[str]:
    """Return the tables of the patches' shifts for the output: frame, centre (x, y), shift (x, y)."""
    lines = ["", "Patch alignment shift"]
    for number, (centre, rows) in enumerate(zip(centres, shifts, strict=True), 1):
        lines.append(f"Align patch {number:3d}  {len(centres) - number:3d} left")
        lines += [_formatRow(frame, centre, shift) for frame, shift in enumerate(rows, 1)]
    return lines


def _formatRow(frame: int, centre: np.ndarray, shift: np.ndarray) -> str:
    return f"{frame:4d}  {centre[0]:9.2f}  {centre[1]:9.2f}  {shift[0]:8.3f}  {shift[1]:8.3f}"


def writeLogs(folder: Path, stem: str, shifts: np.ndarray, patches: tuple[np.ndarray, np.ndarray] | None) -> list[Path]:
    """Write the files of -LogDir and return their paths.

    STEM-Full.log has the whole frames' shifts. With `patches` (centres and shifts) it is STEM-Patch-Full.log, and
    STEM-Patch-Patch.log and STEM-Patch-Frame.log have the patches' shifts beyond those, patch by patch and frame by
    frame; the last number says that no row was thought bad.
    """
    full = [f"{frame:4d}  {x:8.2f}  {y:8.2f}" for frame, (x, y) in enumerate(shifts, 1)]
    texts = {"Full": ["# full frame alignment", *full]}
    if patches is not None:
        centres, local = patches
        texts = {"Patch-Full": texts["Full"],
                 "Patch-Patch": ["# patch alignment: frame, centre, shift, bad", *_joinBlocks(
                     [_formatRow(i, centre, shift) + "  0" for i, shift in enumerate(rows, 1)]
                     for centre, rows in zip(centres, local, strict=True))],
                 "Patch-Frame": ["# patch alignment: frame, centre, shift, bad", *_joinBlocks(
                     [_formatRow(i + 1, centre, rows[i]) + "  0" for centre, rows in zip(centres, local, strict=True)]
                     for i in range(len(shifts)))]}
    paths = []
    for name, lines in texts.items():
        paths.append(folder / f"{stem}-{name}.log")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def _joinBlocks(blocks: Iterable[list[str]]) -> list[str]:
    return [line for block in blocks for line in [*block, ""]]
