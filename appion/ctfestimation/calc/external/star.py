"""STAR files: the raster that Gctf refines at, and the table that it writes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def calcRaster(dimension: tuple[int, int], spacing: int) -> list[tuple[float, float]]:
    """Return (x, y) in pixels of a raster over the whole image, edges included, about `spacing` pixels apart."""
    counts = [math.ceil(side / spacing) for side in dimension]
    xs, ys = (
        [max(0.0, step * side / count - 1) for step in range(count + 1)]
        for side, count in zip(dimension, counts, strict=True)
    )
    return [(x, y) for x in xs for y in ys]


def constructRasterStar(points: list[tuple[float, float]], micrograph: str) -> str:
    """Return a STAR file with the coordinates of points on a micrograph."""
    labels = ("rlnCoordinateX", "rlnCoordinateY", "rlnMicrographName")
    header = "\ndata_\n\nloop_\n" + "".join(f"_{label} #{number}\n" for number, label in enumerate(labels, 1))
    return header + "".join(f"{x:12.6f} {y:12.6f} {micrograph}\n" for x, y in points)


#: Columns of the local refinement that are used.
LOCAL = ("rlnCoordinateX", "rlnCoordinateY", "rlnDefocusU", "rlnDefocusV")


def parseLocalStar(text: str) -> NDArray[np.float64]:
    """Return x, y (pixels) and mean defocus (Å) of each row of the loop in a STAR file that has them, as (rows, 3).

    Raises:
        ValueError: no such loop or columns, a row of another length, or something else than finite numbers.
    """
    loops = [loop for loop in splitLoops(text) if set(LOCAL) <= set(loop[0])]
    if not loops:
        raise ValueError(f"the STAR file has no table with {', '.join(LOCAL)}")
    labels, rows = loops[0]
    for number, row in enumerate(rows, 1):
        if len(row) != len(labels):
            raise ValueError(f"row {number} of the STAR file has {len(row)} columns instead of {len(labels)}")
    columns = [labels.index(name) for name in LOCAL]
    values = np.array([[float(row[column]) for column in columns] for row in rows]).reshape(-1, 4)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("the STAR file has no rows, or numbers that are not finite")
    return np.column_stack([values[:, 0], values[:, 1], (values[:, 2] + values[:, 3]) / 2])


def splitLoops(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Return labels and rows of each loop of a STAR file; what stands outside of loops is left out."""
    loops: list[tuple[list[str], list[list[str]]]] = []
    inside = False
    for words in (line.partition("#")[0].split() for line in text.splitlines()):
        if not words:
            continue
        if words[0] == "loop_" or words[0].startswith("data_"):
            inside = words[0] == "loop_"
            if inside:
                loops.append(([], []))
        elif inside and words[0].startswith("_") and not loops[-1][1]:
            loops[-1][0].append(words[0].removeprefix("_"))
        elif inside:
            loops[-1][1].append(words)
    return loops
