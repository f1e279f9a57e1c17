"""The picture of how the defocus changes over a micrograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.interpolate import griddata

#: Side of the map in pixels, and number of contour lines.
SIDE = 512
CONTOURS = 15


def calcDefocusMap(points: NDArray[np.float64], dimension: tuple[int, int]) -> NDArray[np.float64]:
    """Return the defocus on a SIDE x SIDE map of a micrograph, row 0 at its first row, NaN beyond the points.

    Args:
        points: (rows, 3): x, y (pixels), defocus.
        dimension: (x, y) of the micrograph in pixels.

    Raises:
        ValueError: fewer than four points, or all on a line.
    """
    columns, rows = (
        np.clip(points[:, axis] * SIDE // dimension[axis], 0, SIDE - 1).astype(int) for axis in (0, 1)
    )
    if len(points) < 4 or np.linalg.matrix_rank(np.column_stack([columns, rows, np.ones(len(points))])) < 3:
        raise ValueError(f"{len(points)} points do not span a micrograph")
    grid = np.mgrid[:SIDE, :SIDE]
    return griddata(np.column_stack([rows, columns]), points[:, 2], (grid[0], grid[1]), method="cubic")


def drawLocalDefocus(path: Path, points: NDArray[np.float64], dimension: tuple[int, int]) -> None:
    """Draw the local defocus (points as for calcDefocusMap, defocus in Å) as a map in µm with contour lines.

    Raises:
        ValueError: see calcDefocusMap.
        OSError: the picture cannot be written.
    """
    defocus = calcDefocusMap(points, dimension) * 1e-4
    figure = Figure(figsize=(6.4, 5.2), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    picture = axes.imshow(defocus, cmap="plasma")
    if np.nanmax(defocus) > np.nanmin(defocus):
        axes.contour(defocus, CONTOURS, colors="black", linewidths=0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    figure.colorbar(picture, ax=axes, label="defocus (µm)")
    figure.savefig(path)
