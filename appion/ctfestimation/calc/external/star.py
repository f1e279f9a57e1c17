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


def parseLocalStar(text: str) -> NDArray[np.float64]:
    """Return x, y (pixels) and mean defocus (Å) of each row of the first loop in a STAR file, as (rows, 3).

    Raises:
        ValueError: no such loop or columns, a row of another length, or something else than finite numbers.
    """
    labels: list[str] = []
    rows: list[list[str]] = []
    for line in (line.strip() for line in text.splitlines()):
        if line == "loop_" and rows:
            break
        if line.startswith("_"):
            labels.append(line.split()[0].removeprefix("_"))
        elif labels and line and not line.startswith(("#", "data_", "loop_")):
            rows.append(line.split())
    try:
        columns = [labels.index(name) for name in ("rlnCoordinateX", "rlnCoordinateY", "rlnDefocusU", "rlnDefocusV")]
    except ValueError as error:
        raise ValueError(f"the STAR file has no such column: {error}") from None
    for number, row in enumerate(rows, 1):
        if len(row) != len(labels):
            raise ValueError(f"row {number} of the STAR file has {len(row)} columns instead of {len(labels)}")
    values = np.array([[float(row[column]) for column in columns] for row in rows]).reshape(-1, 4)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("the STAR file has no rows, or numbers that are not finite")
    return np.column_stack([values[:, 0], values[:, 1], (values[:, 2] + values[:, 3]) / 2])
