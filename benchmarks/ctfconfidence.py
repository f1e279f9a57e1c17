"""The analysis of a fitted CTF: seconds for a micrograph, and its spectrum beside one made with plain library calls.

    python benchmarks/ctfconfidence.py [--sizes 2048 4096] [--repeat 3]

The plain spectrum does the same in the same order, each step one call on whole arrays in double precision: complex
transform, shift, logarithm, clipping, correlation. The spectrum takes most of the time of an analysis. The ratio is of
processor seconds, since other programs may be running; the greatest difference between both spectra is printed. Time
is of one thread, the best of the repeats.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.ndimage

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from appion.ctfestimation.calc.internal import calcCTFAnalysis
from appion.ctfestimation.calc.internal.model import Defocus, Optics, constructDefocus, constructOptics
from appion.ctfestimation.calc.internal.rings import calcCentredGrid
from appion.ctfestimation.calc.internal.spectrum import (
    calcFieldSize,
    calcPowerSpectrum,
    calcTileCorners,
    calcTrimRadius,
    calcWeightModel,
    calcWindow,
    trimSpectrum,
)
from tests.ctfestimation.simulated import simulateMicrograph

FIT = {"defocus1": 1.2e-6, "defocus2": 1.25e-6, "angle": -20.0}
OPTICS = {"cs": 2.7, "high_tension": 300e3, "amplitude_contrast": 0.07}


def calcPlainSpectrum(micrograph: np.ndarray, defocus: Defocus, optics: Optics) -> np.ndarray:
    """Return the spectrum of a micrograph of 1 Å pixels, step by step on whole arrays."""
    size = calcFieldSize(micrograph.shape)
    radius, outer = calcTrimRadius(size, 1 / size, 5.0), calcTrimRadius(size, 1 / size, 3.0)
    y, x = calcCentredGrid(size)
    width = math.ceil(size * math.sqrt(2))
    window = np.interp(np.hypot(y, x), np.arange(width) - (width - 1) / 2, np.hanning(width))
    model = calcWeightModel(trimSpectrum(calcWindow(size), radius), 1 / size, defocus, optics)
    spectra, weights = [], []
    for row, column in calcTileCorners(micrograph.shape, size):
        amplitude = np.abs(np.fft.fft2(micrograph[row : row + size, column : column + size] * window))
        spectrum = np.fft.fftshift(np.log(scipy.ndimage.shift(amplitude, (-1, -1), order=1, mode="wrap")))
        disc = np.hypot(y, x) < int(0.005 * size)
        spectrum[disc] = 0
        mean, std = spectrum.mean(), spectrum.std()
        spectra.append(np.clip(spectrum, mean - 1.5 * std, mean + 3 * std))
        weights.append(np.corrcoef(trimSpectrum(spectra[-1], radius).ravel(), model.ravel())[0, 1])
    weight = np.maximum(weights, 1e-3)
    weight /= weight.sum()
    kept = np.flatnonzero(weight >= weight.mean() - 1.5 * weight.std())
    return trimSpectrum(np.mean([weight[i] * spectra[i] for i in kept], axis=0), outer)


def measure(function: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Return the least wall-clock and processor seconds of `repeat` calls."""
    wall, processor = [], []
    for _ in range(repeat):
        start, busy = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return min(wall), min(processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2048, 4096], metavar="PIXELS")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    defocus, optics = constructDefocus(**FIT), constructOptics(**OPTICS)
    print(f"{'':>6}{'analysis':>20}{'its spectrum':>20}{'plain spectrum':>20}{'ratio':>8}{'difference':>12}")
    print(f"{'size':>6}" + f"{'s (processor s)':>20}" * 3 + f"{'':>8}{'of their std':>12}")
    for size in args.sizes:
        micrograph = simulateMicrograph((size, size), 1.0, *FIT.values())
        ours = calcPowerSpectrum(micrograph, 1.0, defocus, optics)
        plain = calcPlainSpectrum(micrograph, defocus, optics)
        rows = [
            measure(lambda m=micrograph: calcCTFAnalysis(m, 1.0, **FIT, **OPTICS), args.repeat),
            measure(lambda m=micrograph: calcPowerSpectrum(m, 1.0, defocus, optics), args.repeat),
            measure(lambda m=micrograph: calcPlainSpectrum(m, defocus, optics), args.repeat),
        ]
        times = "".join(f"{wall:>11.2f} ({processor:.2f}){'':>2}" for wall, processor in rows)
        difference = float(np.abs(ours - plain).max() / plain.std())
        print(f"{size:>6}{times}{rows[2][1] / rows[1][1]:>8.1f}{difference:>12.1e}")


if __name__ == "__main__":
    main()
