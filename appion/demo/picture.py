"""A picture of one exposure: its micrograph, its drift beside the truth, and its spectrum beside the fitted CTF."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import gaussian_filter, maximum_filter1d

from appion.ctfestimation.calc.external.parse import parseAverages
from appion.ctfestimation.calc.internal.shortname import constructShortName
from appion.demo.outcome import Outcome
from appion.demo.plan import Plan
from appion.demo.report import readMicrograph
from appion.demo.simulate import calcTrueDrift

#: Resolutions in Å: to which the spectrum is shown in two dimensions and in one, and the ticks in the latter.
LEAST_SHOWN, MOST_SHOWN = 4.0, 3.0
TICKS = np.array([15, 10, 8, 7, 6, 5, 4.5, 4, 3.75, 3.5, 3.25, 3])


def savePicture(path: Path, plan: Plan, outcome: Outcome) -> None:
    """Draw `outcome` (a stored one with a CTF) to the PNG file `path`."""
    micrograph, pixelsize = readMicrograph(plan.image_path / f"{outcome.names[0]}.mrc")
    spectrum, curves = readFit(plan, outcome)
    figure = Figure(figsize=(12, 6.9), dpi=80, layout="constrained")
    halves = figure.add_gridspec(2, 1, height_ratios=(1.75, 1))
    top, bottom = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    grid = top.add_gridspec(1, 3, width_ratios=(1.42, 1, 1))
    drawMicrograph(top.add_subplot(grid[0]), micrograph, pixelsize, outcome)
    drawDrift(top.add_subplot(grid[1]), outcome)
    drawSpectrum(top.add_subplot(grid[2]), spectrum, curves[0, 1])
    drawProfile(bottom.subplots(), curves, outcome)
    drawn = io.BytesIO()
    figure.savefig(drawn)
    few = Image.open(drawn).convert("RGB").quantize(192, Image.Quantize.MAXCOVERAGE)  # less than half the size
    few.save(path, optimize=True)


def drawMicrograph(axes: Any, micrograph: np.ndarray, pixelsize: float, outcome: Outcome) -> None:
    rows, cols = (n // 4 * 4 for n in micrograph.shape)
    binned = micrograph[:rows, :cols].reshape(rows // 4, 4, cols // 4, 4).mean(axis=(1, 3))
    low, high = np.percentile(binned, (1, 99))
    extent = (0.0, cols * pixelsize / 10, 0.0, rows * pixelsize / 10)
    axes.imshow(binned, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower")
    axes.set(title=f"exposure {outcome.planned.number}, corrected and stored", xlabel="nm")


def drawDrift(axes: Any, outcome: Outcome) -> None:
    truth = calcTrueDrift(outcome.planned.exposure)
    positions = outcome.positions if outcome.positions is not None else np.zeros((0, 2))
    seen = truth[list(outcome.frames)] if outcome.frames and max(outcome.frames) < len(truth) else truth
    axes.plot(*(truth - seen.mean(axis=0)).T, "-", color="0.6", linewidth=4, label="truth")
    axes.plot(*(positions - positions.mean(axis=0)).T, "o-", color="tab:red", markersize=3, linewidth=1, label="found")
    axes.set(title=f"drift, RMS error {outcome.drift_error:.2f} px", xlabel="x (pixels)", ylabel="y (pixels)")
    axes.set_aspect("equal", "datalim")
    axes.set_box_aspect(1)
    axes.legend(frameon=False)


def readFit(plan: Plan, outcome: Outcome) -> tuple[np.ndarray, np.ndarray]:
    """Return what the program wrote: its picture of spectrum and fit, (n, n), and its curves, (6, samples)."""
    short = constructShortName(outcome.names[0])
    with mrcfile.open(plan.ctf_rundir / "opimages" / f"{short}-pow.mrc", permissive=True) as mrc:
        spectrum = np.array(mrc.data, np.float32)
    curves = parseAverages((plan.ctf_rundir / f"{short}-pow_avrot.txt").read_text())
    return spectrum.reshape(spectrum.shape[-2:]), curves


def drawSpectrum(axes: Any, spectrum: np.ndarray, step: float) -> None:
    """Draw the program's picture, pixels `step` (1/Å) apart; its right half, the spectrum, is smoothed."""
    half = len(spectrum) // 2
    shown = spectrum.copy()
    shown[:, half:] = 1.8 * gaussian_filter(shown[:, half:], 1.3)
    edge = half * step
    axes.imshow(shown, cmap="gray", vmin=-1, vmax=1.3, extent=(-edge, edge, -edge, edge), origin="lower")
    limits = (-1 / LEAST_SHOWN, 1 / LEAST_SHOWN)
    axes.set(title="spectrum and fit", xlabel="1/Å", yticks=[], xlim=limits, ylim=limits)
    for text, x, y in (("average", 0.03, 0.94), ("fit", 0.03, 0.03), ("spectrum", 0.75, 0.03)):
        box = {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1.5}
        axes.text(x, y, text, transform=axes.transAxes, color="white", fontsize=9, bbox=box)


def drawProfile(axes: Any, curves: np.ndarray, outcome: Outcome) -> None:
    """Draw the average of the spectrum along lines of equal phase, scaled to its peaks, beside the fitted CTF."""
    frequency, _, average, fit, quality, _ = curves
    squared = frequency**2
    peaks = 1 + np.flatnonzero((fit[1:-1] > fit[:-2]) & (fit[1:-1] >= fit[2:]))
    envelope = np.interp(frequency, frequency[peaks], maximum_filter1d(average, 5)[peaks])
    axes.plot(squared, fit, color="0.65", linewidth=3.5, label="fitted CTF")
    axes.plot(squared, average / envelope, color="tab:blue", linewidth=1.2, label="spectrum, scaled to its peaks")
    axes.plot(squared, quality, color="tab:orange", linewidth=1.2, label="correlation")
    reach = outcome.resolution
    axes.axvline(1 / reach**2, color="tab:red", linestyle="--", label=f"fits to {reach:.1f} Å")
    axes.set_xticks(1 / TICKS**2, [f"{tick:g} Å" for tick in TICKS])
    axes.set(xlim=(1 / 30**2, 1 / MOST_SHOWN**2), ylim=(-0.05, 1.1), yticks=[0, 1])
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.1, frameon=False, ncols=4, fontsize="small")
    truth, found = outcome.true_focus, outcome.focus
    if found:
        axes.set_title(
            f"defocus {found.defocus1:.0f} and {found.defocus2:.0f} Å at {found.axis:.1f}°"
            f" (truth {truth.defocus1:.0f}, {truth.defocus2:.0f}, {truth.axis:.1f}°)", loc="left", fontsize="medium",
        )  # fmt: skip
