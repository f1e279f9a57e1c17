"""Pictures of what the program that fits the CTF has written: its diagnostic spectrum and its rotational averages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

JPEG_QUALITY = 85

#: Colours of a plot: with a palette its file takes a third of the time and of the space.
COLOURS = 128

#: Figures of this thread that stand ready, by the function that makes them.
_ready = threading.local()


@contextmanager
def openFigure(construct: Callable[[], Figure]) -> Iterator[Figure]:
    """Have a figure that `construct` made, with nothing in its axes; whatever is drawn sets limits and ticks of all.

    Axes, ticks and their letters take longer to make than what is drawn into them, so the next one gets the same.
    """
    figures: dict[str, Figure] = vars(_ready)
    name = f"{construct.__module__}.{construct.__qualname__}"
    figure = figures.pop(name, None) or construct()
    yield figure
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.texts):
            artist.remove()
    FigureCanvasBase(figure)  # without the pixels
    figures[name] = figure


def drawFigure(figure: Figure) -> np.ndarray:
    """Return the pixels of a figure, (rows, columns, 4)."""
    canvas = FigureCanvasAgg(figure)
    with rc_context({"text.hinting": "no_hinting"}):  # letters look alike at these sizes, and take a sixth less
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def savePlot(figure: Figure, path: Path | str) -> None:
    """Write a figure of lines and texts to the PNG file `path`."""
    picture = Image.fromarray(drawFigure(figure)).convert("RGB")
    picture = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    picture.putpalette([255 if value > 250 else value for value in picture.getpalette() or []])  # white stays white
    picture.save(path, "png", compress_level=4)


def drawDiagnostic(path: Path | str, spectrum: np.ndarray) -> None:
    """Write a spectrum, (rows, columns) or (1, rows, columns), to the grey JPEG file `path`."""
    plane = np.asarray(spectrum, np.float64)
    plane = plane.reshape(plane.shape[-2:])
    mean, std = plane.mean(), plane.std()
    low, high = max(mean - 3 * std, plane.min()), min(mean + 3 * std, plane.max())
    if not high > low:
        raise ValueError(f"all pixels of the diagnostic spectrum are {mean:g}")
    grey = 20 + 220 * (np.clip(plane, low, high) - low) / (high - low)
    Image.fromarray(grey.astype(np.uint8)).save(path, quality=JPEG_QUALITY)


def setResolutionTicks(axes: Any, limit: float, squared: bool) -> None:
    """Label the x axis, which runs to `limit` (1/Å or its square), with resolutions."""
    positions = np.linspace(0, limit, 11)[1:]
    resolutions = 1 / (np.sqrt(positions) if squared else positions)
    axes.set_xticks(positions, [f"1/{value:.1f} Å" for value in resolutions])


def constructAverages() -> Figure:
    """Return a figure with the axes of rotational averages."""
    figure = Figure(figsize=(10, 5), dpi=100)
    axes = figure.subplots(gridspec_kw={"left": 0.07, "right": 0.97, "bottom": 0.11, "top": 0.98})
    axes.set(xlabel="resolution", ylabel="amplitude, correlation")
    axes.grid(alpha=0.3)
    return figure


def drawAverageRotation(path: Path | str, rows: np.ndarray) -> None:
    """Write CTFFIND's rotational average, fit and quality of fit to the PNG file `path`.

    Args:
        rows: (6, samples): frequency (1/Å), average, average along the astigmatism, fit, quality of fit, noise.
    """
    frequency, _, average, fit, quality = np.asarray(rows, np.float64)[:5, 1:]
    squared = np.square(frequency)
    highest = average[len(average) // 4 :].max()
    scale = max(1.0, 0.5 / highest) if highest > 0 else 1.0
    limit = min(1 / 3.5**2, float(squared[-1]))
    with openFigure(constructAverages) as figure:
        (axes,) = figure.axes
        axes.plot(squared, average * scale, color="tab:blue", linewidth=1, label="rotational average")
        axes.plot(squared, fit, color="black", linewidth=1, label="CTF fit")
        axes.plot(squared, quality, color="tab:orange", linewidth=1, label="quality of fit")
        axes.set(xlim=(squared[0], limit), ylim=(-0.1, 1.1))
        setResolutionTicks(axes, limit, squared=True)
        axes.legend(loc="upper right", framealpha=0.9)
        savePlot(figure, path)
