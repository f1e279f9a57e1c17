"""A picture of one corrected exposure: the micrograph, its drift beside the truth, power spectra before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from appion.demo.plan import Plan
from appion.demo.report import Outcome, readMicrograph
from appion.demo.simulate import calcTrueDrift


def calcPowerSpectrum(image: np.ndarray, size: int = 256) -> np.ndarray:
    """Return the mean log power spectrum (size, size) of overlapping tiles of `image`, zero frequency in the middle."""
    window = np.outer(np.hanning(size), np.hanning(size))
    power = np.zeros((size, size))
    for top in range(0, image.shape[0] - size + 1, size // 2):
        for left in range(0, image.shape[1] - size + 1, size // 2):
            tile = image[top : top + size, left : left + size]
            power += np.abs(np.fft.fft2((tile - tile.mean()) * window)) ** 2
    spectrum = np.log(np.fft.fftshift(power))
    y, x = np.indices(power.shape) - size // 2
    radius = np.hypot(x, y).astype(int)
    # Rings are seen best when each is taken relative to the slow fall of power from the middle to the edge.
    radial = np.bincount(radius.ravel(), spectrum.ravel()) / np.bincount(radius.ravel())
    slow = np.convolve(np.pad(radial, 12, mode="edge"), np.ones(25) / 25, mode="valid")
    return spectrum - slow[radius]


def savePicture(path: Path, plan: Plan, outcome: Outcome) -> None:
    """Draw `outcome` (a stored one) to the PNG file `path`."""
    micrograph, pixelsize = readMicrograph(plan.image_path / f"{outcome.names[0]}.mrc")
    before, _ = readMicrograph(plan.image_path / f"{outcome.planned.filename}.mrc")
    figure = Figure(figsize=(12, 4.6), dpi=80, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.45, 1, 1))

    rows, cols = (n // 3 * 3 for n in micrograph.shape)
    binned = micrograph[:rows, :cols].reshape(rows // 3, 3, cols // 3, 3).mean(axis=(1, 3))
    low, high = np.percentile(binned, (1, 99))
    extent = (0.0, cols * pixelsize / 10, 0.0, rows * pixelsize / 10)
    left.imshow(binned, cmap="gray", vmin=low, vmax=high, extent=extent, origin="lower")
    left.set(title=f"exposure {outcome.planned.number}, corrected and stored", xlabel="nm")

    truth = calcTrueDrift(outcome.planned.exposure)
    positions = outcome.positions if outcome.positions is not None else np.zeros((0, 2))
    truth = truth - truth.mean(axis=0)
    middle.plot(*truth.T, "-", color="0.6", linewidth=4, label="truth")
    middle.plot(
        *(positions - positions.mean(axis=0)).T, "o-", color="tab:red", markersize=3, linewidth=1, label="found"
    )
    middle.set(title=f"drift, RMS error {outcome.drift_error:.2f} px", xlabel="x (pixels)", ylabel="y (pixels)")
    middle.set_aspect("equal", "datalim")
    middle.set_box_aspect(1)
    middle.legend(frameon=False)

    after = calcPowerSpectrum(micrograph)
    spectrum = np.where(np.arange(after.shape[1]) < after.shape[1] // 2, calcPowerSpectrum(before), after)
    low, high = np.percentile(spectrum, (2, 99))
    edge = 1 / (2 * pixelsize)
    zoom = (-0.6 * edge, 0.6 * edge)
    right.imshow(spectrum, cmap="gray", vmin=low, vmax=high, extent=(-edge, edge, -edge, edge), origin="lower")
    right.set(title="power spectrum, before | after", xlabel="1/Å", yticks=[], xlim=zoom, ylim=zoom)
    figure.savefig(path)
