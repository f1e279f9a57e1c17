"""A picture of one exposure: its micrograph, its drift beside the truth, and its spectrum beside the fitted CTF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from appion.ctfestimation.calc.internal.analysis import CTFAnalysis, calcCTFAnalysis
from appion.ctfestimation.calc.internal.model import calcCTF
from appion.demo.outcome import Focus, Outcome
from appion.demo.plan import Plan
from appion.demo.report import readMicrograph
from appion.demo.simulate import calcTrueDrift

#: Resolution in Å to which spectra are shown.
SHOWN = 4.0


def savePicture(path: Path, plan: Plan, outcome: Outcome) -> None:
    """Draw `outcome` (a stored one with a CTF) to the PNG file `path`."""
    micrograph, pixelsize = readMicrograph(plan.image_path / f"{outcome.names[0]}.mrc")
    figure = Figure(figsize=(12, 7), dpi=80, layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=(1.42, 1, 1), height_ratios=(1.7, 1))
    drawMicrograph(figure.add_subplot(grid[0, 0]), micrograph, pixelsize, outcome)
    drawDrift(figure.add_subplot(grid[0, 1]), outcome)
    if outcome.focus:
        analysis = calcAnalysis(micrograph, pixelsize, outcome, outcome.focus)
        drawSpectrum(figure.add_subplot(grid[0, 2]), micrograph, pixelsize, analysis)
        drawProfile(figure.add_subplot(grid[1, :]), analysis, outcome)
    figure.savefig(path)


def calcAnalysis(micrograph: np.ndarray, pixelsize: float, outcome: Outcome, focus: Focus) -> CTFAnalysis:
    """Return the analysis of the fit that is stored for `micrograph`."""
    optics = outcome.planned.exposure.optics
    return calcCTFAnalysis(
        micrograph, pixelsize, focus.defocus1 * 1e-10, focus.defocus2 * 1e-10, focus.axis, optics.cs, optics.kv * 1e3,
        optics.amplitude_contrast,
    )  # fmt: skip


def drawMicrograph(axes: Any, micrograph: np.ndarray, pixelsize: float, outcome: Outcome) -> None:
    rows, cols = (n // 3 * 3 for n in micrograph.shape)
    binned = micrograph[:rows, :cols].reshape(rows // 3, 3, cols // 3, 3).mean(axis=(1, 3))
    low, high = np.percentile(binned, (1, 99))
    extent = (0.0, cols * pixelsize / 10, 0.0, rows * pixelsize / 10)
    axes.imshow(binned, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower")
    axes.set(title=f"exposure {outcome.planned.number}, corrected and stored", xlabel="nm")


def drawDrift(axes: Any, outcome: Outcome) -> None:
    truth = calcTrueDrift(outcome.planned.exposure)
    positions = outcome.positions if outcome.positions is not None else np.zeros((0, 2))
    axes.plot(*(truth - truth.mean(axis=0)).T, "-", color="0.6", linewidth=4, label="truth")
    axes.plot(
        *(positions - positions.mean(axis=0)).T, "o-", color="tab:red", markersize=3, linewidth=1, label="found"
    )
    axes.set(title=f"drift, RMS error {outcome.drift_error:.2f} px", xlabel="x (pixels)", ylabel="y (pixels)")
    axes.set_aspect("equal", "datalim")
    axes.set_box_aspect(1)
    axes.legend(frameon=False)


def calcPowerSpectrum(image: np.ndarray, size: int = 512) -> np.ndarray:
    """Return the mean power spectrum (size, size) of overlapping tiles of `image`, 0 in the middle.

    Logarithm, relative to the slow fall from the middle to the edge, so that rings are seen everywhere.
    """
    window = np.outer(np.hanning(size), np.hanning(size))
    power = np.zeros((size, size))
    for top in range(0, image.shape[0] - size + 1, size // 4):
        for left in range(0, image.shape[1] - size + 1, size // 4):
            tile = image[top : top + size, left : left + size]
            power += np.abs(np.fft.fft2((tile - tile.mean()) * window)) ** 2
    spectrum = np.log(gaussian_filter(np.fft.fftshift(power), 1.0))
    y, x = np.indices(power.shape) - size // 2
    radius = np.hypot(x, y).astype(int)
    radial = np.bincount(radius.ravel(), spectrum.ravel()) / np.bincount(radius.ravel())
    slow = np.convolve(np.pad(radial, 24, mode="edge"), np.ones(49) / 49, mode="valid")
    return spectrum - slow[radius]


def drawSpectrum(axes: Any, micrograph: np.ndarray, pixelsize: float, analysis: CTFAnalysis) -> None:
    """Draw the spectrum, and in its right half the square of the fitted transfer function."""
    spectrum = calcPowerSpectrum(micrograph)
    size, half = len(spectrum), len(spectrum) // 2
    frequency = (np.arange(size) - half) / (size * pixelsize)
    azimuth = np.arctan2(frequency[:, None], frequency[None, :])
    model = calcCTF(np.hypot(frequency[:, None], frequency[None, :]), analysis.defocus.along(azimuth), analysis.optics)
    low, high = np.percentile(spectrum, (3, 98.5))
    shown = np.clip((spectrum - low) / (high - low), 0, 1)
    shown[:, half:] = model[:, half:] ** 2
    edge = 1 / (2 * pixelsize)
    axes.imshow(shown, cmap="gray", extent=(-edge, edge, -edge, edge), origin="lower")
    axes.set(title="spectrum | fitted CTF²", xlabel="1/Å", yticks=[], xlim=(-1 / SHOWN, 1 / SHOWN))
    axes.set_ylim(-1 / SHOWN, 1 / SHOWN)


def drawProfile(axes: Any, analysis: CTFAnalysis, outcome: Outcome) -> None:
    """Draw the average of the spectrum along the ellipses of the fit beside the square of its transfer function."""
    judged, focus, truth = analysis.judged, outcome.focus, outcome.true_focus
    if judged is None or focus is None:
        axes.set_title(analysis.reason)
        return
    frequency = judged.profile.frequency
    axes.plot(frequency, judged.model, color="0.6", linewidth=3, label="fitted CTF²")
    axes.plot(frequency, judged.normalised.values, color="tab:blue", linewidth=1.2, label="spectrum, background removed")
    axes.axvline(1 / outcome.resolution, color="tab:red", linewidth=1, label=f"fits to {outcome.resolution:.1f} Å")
    ticks = np.array([30, 15, 10, 8, 7, 6, 5, 4.5, 4])
    axes.set_xticks(1 / ticks, [f"{tick:g} Å" for tick in ticks])
    axes.set(xlim=(frequency[0], 1 / SHOWN), ylim=(-0.1, 1.15), yticks=[0, 1])
    axes.set_title(
        f"found: defocus {focus.defocus1:.0f} and {focus.defocus2:.0f} Å, axis {focus.axis:.1f}°      "
        f"truth: {truth.defocus1:.0f} and {truth.defocus2:.0f} Å, axis {truth.axis:.1f}°"
    )
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=3)
