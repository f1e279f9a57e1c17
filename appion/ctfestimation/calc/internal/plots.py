"""The picture of the radial profile: background, envelope, profile beside the model, and where the resolutions are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from appion.ctfestimation.calc.internal.analysis import CTFAnalysis, Judged
from appion.ctfestimation.calc.internal.pictures import openFigure, savePlot, setResolutionTicks
from appion.ctfestimation.calc.internal.rings import calcCentredGrid, calcRingMeans
from appion.ctfestimation.calc.internal.sections import SectionFit
from appion.ctfestimation.calc.internal.spectrum import OUTER_RESOLUTION

#: Size of the figure (inches), and its pixels per inch.
SIZE, DPI = (12.8, 9.6), 150

#: Where axes are in the figure, whose texts are of known size: laying it out by itself takes as long as drawing it.
MARGINS = {"left": 0.04, "right": 0.977, "bottom": 0.032, "top": 0.972, "hspace": 0.22, "wspace": 0.13}

#: The resolution (Å) that is shown at least, however bad the fit.
LEAST_RESOLUTION = 10.0


def calcLimit(analysis: CTFAnalysis, judged: Judged) -> float:
    """Return the frequency (1/Å) to which curves are shown: somewhat beyond the resolution of the fit."""
    highest = float(judged.profile.frequency[-1])
    outer = max(OUTER_RESOLUTION, 1 / highest)
    fifty = analysis.resolution_50_percent
    middle = (analysis.resolution_80_percent * fifty * outer) ** (1 / 3)
    return min(1 / min((middle * fifty * outer) ** (1 / 3), LEAST_RESOLUTION), highest)


def setLimits(axes: Any, shown: np.ndarray, curves: list[np.ndarray]) -> None:
    """Let the y axis hold what is shown of `curves`."""
    low, high = (pick([pick(curve[shown]) for curve in curves]) for pick in (np.min, np.max))
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


def drawUprights(axes: Any, positions: np.ndarray, colour: str) -> None:
    """Draw a line from top to bottom at each position: all as one thing, which is much quicker than each by itself."""
    axes.vlines(positions, 0, 1, transform=axes.get_xaxis_transform(), color=colour, linewidth=0.8, alpha=0.8)


def drawSections(axes: Any, frequency: np.ndarray, fit: SectionFit) -> None:
    """Draw the lines of which a fit was put together."""
    lines = [
        np.column_stack([frequency[start : end + 1], line[start : end + 1]])
        for (start, end), line in zip(fit.sections, fit.lines, strict=True)
    ]
    axes.add_collection(LineCollection(lines, colors="tab:green", linewidths=1, zorder=2), autolim=False)


def drawBackground(axes: Any, judged: Judged, limit: float) -> None:
    frequency, background = judged.profile.frequency, judged.normalised.background
    shown = frequency <= limit
    drawUprights(axes, judged.profile.valleys[judged.profile.valleys <= limit], "gold")
    axes.plot(frequency, judged.profile.values, color="tab:blue", linewidth=1.2, label="log amplitude")
    axes.plot(frequency, background.valleys, color="tab:cyan", linewidth=1, label="its valleys")
    drawSections(axes, frequency, background.fit)
    axes.plot(frequency, background.fit.blend, color="black", linewidth=1.2, label="background")
    setLimits(axes, shown, [judged.profile.values, background.fit.blend])
    axes.set_xlim(0, limit)
    axes.set_title("Background", loc="left", y=1.0)


def drawEnvelope(axes: Any, judged: Judged, limit: float) -> None:
    frequency, envelope = judged.profile.frequency, judged.normalised.envelope
    shown = frequency <= limit
    drawUprights(axes, judged.profile.peaks[judged.profile.peaks <= limit], "cyan")
    axes.plot(frequency, envelope.signal, color="tab:blue", linewidth=1.2, label="signal")
    axes.plot(frequency, envelope.peaks, color="tab:orange", linewidth=1, label="its peaks")
    drawSections(axes, frequency, envelope.fit)
    axes.plot(frequency, envelope.fit.blend, color="black", linewidth=1.2, label="envelope")
    setLimits(axes, shown, [envelope.signal, envelope.fit.blend])
    axes.set_xlim(0, limit)
    axes.set_title("Envelope", loc="left", y=1.0)


def drawProfile(axes: Any, judged: Judged, limit: float, alpha: float) -> None:
    """Draw profile and model over the square of the frequency."""
    squared = np.square(judged.profile.frequency)
    axes.plot(squared, judged.normalised.values, color="tab:blue", linewidth=1.2, alpha=alpha, label="spectrum")
    axes.plot(squared, judged.model, color="black", linewidth=1, alpha=alpha, label="CTF²")
    axes.set(xlim=(0, limit**2), ylim=(-0.05, 1.05))


def drawResolutions(axes: Any, analysis: CTFAnalysis, judged: Judged) -> None:
    """Draw the correlation with the model: green as far as it holds, orange where it is weak, red beyond."""
    at80, at50 = 1 / analysis.resolution_80_percent, 1 / analysis.resolution_50_percent
    centres, correlation = judged.centres, judged.correlation
    holds, fails = centres <= at80, centres > at50
    for colour, part in (("tab:green", holds), ("darkorange", ~holds & ~fails), ("red", fails)):
        axes.plot(np.square(centres[part]), correlation[part], ".-", color=colour, markersize=4)
    axes.axvline(at80**2, color="gold", label=f"0.8 at {analysis.resolution_80_percent:.2f} Å")
    axes.axvline(at50**2, color="red", label=f"0.5 at {analysis.resolution_50_percent:.2f} Å")


def describeFit(analysis: CTFAnalysis) -> str:
    """Return defocus and confidences in a line."""
    defocus = analysis.defocus
    return (
        f"Defocus {defocus.smaller / 1e4:.3f} and {defocus.larger / 1e4:.3f} µm, confidence "
        f"{analysis.confidence_30_10:.3f} (30 to 10 Å) and {analysis.confidence_5_peak:.3f} (5 peaks)"
    )


def constructCurves() -> Figure:
    """Return a figure with the axes of background, envelope, profile and resolutions."""
    figure = Figure(figsize=SIZE, dpi=DPI)
    grid = figure.add_gridspec(3, 2, **MARGINS)
    for place in (grid[0, 0], grid[0, 1], grid[1, :], grid[2, :]):
        figure.add_subplot(place)
    return figure


def drawJudged(figure: Figure, analysis: CTFAnalysis, judged: Judged) -> None:
    limit = calcLimit(analysis, judged)
    background, envelope, middle, bottom = figure.axes
    drawBackground(background, judged, limit)
    drawEnvelope(envelope, judged, limit)
    drawProfile(middle, judged, limit, 1.0)
    middle.set_title(describeFit(analysis), loc="left", y=1.0)
    drawProfile(bottom, judged, limit, 0.35)
    drawResolutions(bottom, analysis, judged)
    bottom.set_title("Resolution limits", loc="left", y=1.0)
    for axes in (background, envelope):
        axes.set_xticks(np.linspace(0, limit, 7)[1:], [f"1/{1 / s:.1f} Å" for s in np.linspace(0, limit, 7)[1:]])
    for axes in (middle, bottom):
        setResolutionTicks(axes, limit**2, squared=True)
    for axes in (background, envelope, middle, bottom):
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2, ncols=4, frameon=False, fontsize=8)


def drawUnjudged(figure: Figure, analysis: CTFAnalysis) -> None:
    """Draw the circular average of a spectrum that could not be judged, and say why."""
    y, x = calcCentredGrid(len(analysis.spectrum))
    means = calcRingMeans(analysis.spectrum, np.hypot(y, x), 1.0)
    axes = figure.subplots(gridspec_kw={name: MARGINS[name] for name in ("left", "right", "bottom", "top")})
    frequency = np.arange(1, len(means)) * analysis.frequency_step
    axes.plot(frequency, means[1:], color="tab:blue")
    axes.set(title=f"Not judged: {analysis.reason}", ylabel="log amplitude", xlim=(0, frequency[-1]))
    setResolutionTicks(axes, float(frequency[-1]), squared=False)


def drawPlots(path: Path | str, analysis: CTFAnalysis) -> None:
    """Write the curves of an analysis to the PNG file `path`, 1920 x 1440 pixels."""
    if analysis.judged:
        with openFigure(constructCurves) as figure:
            drawJudged(figure, analysis, analysis.judged)
            savePlot(figure, path)
        return
    figure = Figure(figsize=SIZE, dpi=DPI)
    drawUnjudged(figure, analysis)
    savePlot(figure, path)
