"""The picture of the spectrum in two dimensions, one half as it is, one averaged, with the zeros of the fitted CTF."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from PIL import Image

from appion.ctfestimation.calc.internal.analysis import CTFAnalysis, Judged
from appion.ctfestimation.calc.internal.model import calcExtrema
from appion.ctfestimation.calc.internal.pictures import JPEG_QUALITY, drawFigure, openFigure
from appion.ctfestimation.calc.internal.profile import calcEllipseRatio
from appion.ctfestimation.calc.internal.rings import calcEllipticalRadius
from appion.ctfestimation.calc.internal.spectrum import trimSpectrum

SIDE = 1200
RINGS = 13
#: What the normalised spectrum is clipped to, and its average; zeros and peaks of the CTF are at 0 and 1.
CLIP, AVERAGE_CLIP = (-1.9, 3.0), (-0.5, 1.5)
LEAST_RADIUS = 32
#: The resolution (Å) that is shown at least, however bad the fit.
LEAST_RESOLUTION = 10.0


def calcShownRadius(analysis: CTFAnalysis) -> int:
    """Return half the side in pixels of the part of the spectrum that is shown: a little more than the fit reaches."""
    half = len(analysis.spectrum) // 2
    outer = 1 / (half * analysis.frequency_step)
    valleys = calcExtrema(analysis.defocus.mean, analysis.optics, 1 / outer, peaks=False)
    if len(valleys):
        outer = max(outer, math.sqrt(2) / valleys[min(24, len(valleys) - 1)])
    resolution = (5 * analysis.resolution_80_percent * analysis.resolution_50_percent * outer) ** 0.25
    radius = int(1 / (min(resolution, LEAST_RESOLUTION) * analysis.frequency_step))
    return min(max(radius, LEAST_RADIUS), half)


def calcStretched(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return `values` with `low` and all below at 0, `high` and all above at 1."""
    return np.clip((values - low) / (high - low), 0, 1)


def calcNormalisedSpectrum(analysis: CTFAnalysis, judged: Judged, radius: int) -> np.ndarray:
    """Return the central part of the spectrum normalised like the profile, in its right half the profile; 0 to 1."""
    ratio = calcEllipseRatio(analysis.defocus, analysis.optics)
    ellipse = calcEllipticalRadius(2 * radius, ratio, analysis.defocus.angle) / math.sqrt(ratio)
    left, right = ellipse[:, :radius] * analysis.frequency_step, ellipse[:, radius:] * analysis.frequency_step
    frequency, normalised = judged.profile.frequency, judged.normalised
    envelope = normalised.envelope.fit.blend
    picture = np.exp(trimSpectrum(analysis.spectrum, radius)[:, :radius])
    picture -= np.interp(left, frequency, np.exp(normalised.background.fit.blend) + envelope * normalised.lowest)
    picture /= np.interp(left, frequency, envelope * normalised.highest)
    average = np.interp(right, frequency, normalised.values)
    return np.hstack([calcStretched(picture, *CLIP), calcStretched(average, *AVERAGE_CLIP)])


def calcPicture(analysis: CTFAnalysis, radius: int) -> np.ndarray:
    """Return the central part of the spectrum with values from 0 to 1."""
    if analysis.judged:
        return calcNormalisedSpectrum(analysis, analysis.judged, radius)
    picture = trimSpectrum(analysis.spectrum, radius)
    mean, std = float(picture.mean()), float(picture.std()) or 1.0
    return calcStretched(picture, mean - 3 * std, mean + 3 * std)


def drawRings(axes: Any, analysis: CTFAnalysis, radius: int) -> None:
    """Draw the first zeros of the CTF: green where the fit holds, gold where it is weak, red beyond."""
    defocus, step = analysis.defocus, analysis.frequency_step
    limit = radius * step
    along, across, mean = (
        calcExtrema(z, analysis.optics, 2 * limit, peaks=False)[:RINGS]
        for z in (defocus.smaller, defocus.larger, defocus.mean)
    )
    for width, height, frequency in zip(along, across, mean, strict=False):
        if frequency > limit:
            break
        colour = "red"
        if 1 / frequency > analysis.resolution_50_percent:
            colour = "limegreen" if 1 / frequency > analysis.resolution_80_percent else "gold"
        axes.add_patch(
            Ellipse((0, 0), 2 * width / step, 2 * height / step, angle=math.degrees(defocus.angle), fill=False,
                    edgecolor=colour, linewidth=1.2, alpha=0.8)
        )  # fmt: skip


def drawAxis(axes: Any, analysis: CTFAnalysis, radius: int) -> None:
    """Draw the axis of the smaller defocus, thick where the astigmatism is more than 5 %."""
    defocus = analysis.defocus
    strong = defocus.larger > 1.05 * defocus.smaller
    x, y = radius * math.cos(defocus.angle), radius * math.sin(defocus.angle)
    axes.plot([-x, x], [-y, y], color="red", linewidth=6 if strong else 1.5, alpha=0.45)


def drawTexts(axes: Any, analysis: CTFAnalysis, radius: int) -> None:
    """Draw a circle at a whole resolution in Å and the numbers of the fit."""
    circle = math.ceil(1.15 / (radius * analysis.frequency_step))
    axes.add_patch(
        Circle((0, 0), 1 / (circle * analysis.frequency_step), fill=False, edgecolor="dodgerblue", linewidth=1.5)
    )
    defocus = analysis.defocus
    box = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "boxstyle": "round,pad=0.25"}
    style: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 13, "color": "white", "bbox": box}
    axes.text(0.015, 0.985, "spectrum", ha="left", va="top", **style)
    axes.text(0.985, 0.985, "its average" if analysis.judged else "spectrum", ha="right", va="top", **style)
    axes.text(
        0.015, 0.015,
        f"defocus {defocus.smaller / 1e4:.3f} / {defocus.larger / 1e4:.3f} µm\n"
        f"astigmatism {100 * (defocus.larger / defocus.smaller - 1):.1f} %, "
        f"axis {(math.degrees(defocus.angle) + 90) % 180 - 90:.1f}°",
        ha="left", va="bottom", **style,
    )  # fmt: skip
    numbers = (
        f"confidence {analysis.confidence_30_10:.3f} / {analysis.confidence_5_peak:.3f}\n"
        f"resolution {analysis.resolution_80_percent:.2f} / {analysis.resolution_50_percent:.2f} Å"
        if analysis.judged
        else f"not judged: {analysis.reason}"
    )
    axes.text(0.985, 0.015, numbers, ha="right", va="bottom", **style)
    diagonal = 1 / (circle * analysis.frequency_step) * math.sqrt(0.5)
    axes.text(diagonal, -diagonal, f"{circle} Å", fontsize=13, color="dodgerblue", ha="left", va="bottom", bbox=box)


def constructOverlay() -> Figure:
    """Return a figure of nothing but axes that are not seen."""
    figure = Figure(figsize=(SIDE / 100, SIDE / 100), dpi=100, facecolor="none")
    figure.add_axes((0, 0, 1, 1)).set_axis_off()
    return figure


def drawPowerSpectrum(path: Path | str, analysis: CTFAnalysis) -> None:
    """Write the spectrum of an analysis to the JPEG file `path`, 1200 x 1200 pixels.

    Rows run downwards, so that angles from the columns towards the rows are clockwise.
    """
    radius = calcShownRadius(analysis)
    grey = Image.fromarray((255 * calcPicture(analysis, radius)).astype(np.uint8))
    grey = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    with openFigure(constructOverlay) as figure:
        (axes,) = figure.axes
        drawRings(axes, analysis, radius)
        drawAxis(axes, analysis, radius)
        drawTexts(axes, analysis, radius)
        axes.set(xlim=(-radius, radius), ylim=(radius, -radius))
        overlay = Image.fromarray(drawFigure(figure))
    # Laid over the spectrum here: matplotlib would scale and colour each of its pixels, for longer than all else takes.
    Image.alpha_composite(grey.convert("RGBA"), overlay).convert("RGB").save(path, "jpeg", quality=JPEG_QUALITY)
