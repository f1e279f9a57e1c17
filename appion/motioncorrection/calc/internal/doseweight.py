"""Exposure weighting of frames after Grant & Grigorieff (2015) eLife 4:e06980.

Each spatial frequency k (1/Å) of a frame is weighted by exp(-N / (2 Nc(k))), N being the dose in e/Å² that the specimen
has received by the end of the frame and Nc(k) the critical dose at which the signal has fallen to 1/e.
"""

from __future__ import annotations

import numpy as np

from appion.motioncorrection.calc.internal import fourier
from appion.motioncorrection.calc.internal.threads import ALONE, Threads

#: Nc(k) = A k^B + C at 300 kV (Grant & Grigorieff 2015, equation 3).
CRITICAL_DOSE = (0.245, -1.665, 2.81)
#: Voltages in kV and how much of the critical dose at 300 kV is left; 200 kV after the paper, 100 kV by the ratio of
#: the inelastic cross-sections (Peet, Henderson & Russo 2019, Ultramicroscopy 203, 125).
VOLTAGE_FACTORS = ((300.0, 1.0), (200.0, 0.8), (100.0, 0.57))


def calcVoltageFactor(kv: float) -> float:
    """Return the factor of the critical dose at `kv` kV, interpolated between 100, 200 and 300 kV, constant beyond."""
    voltages, factors = zip(*reversed(VOLTAGE_FACTORS), strict=True)
    return float(np.interp(kv, voltages, factors))


def calcCriticalDose(frequency: np.ndarray, kv: float) -> np.ndarray:
    """Return the critical dose in e/Å² at spatial frequencies in 1/Å; infinite at frequency 0."""
    a, b, c = CRITICAL_DOSE
    frequency = np.asarray(frequency)
    with np.errstate(divide="ignore"):
        return calcVoltageFactor(kv) * (a * frequency**b + c)


def calcDecay(shape: tuple[int, int], pixelsize: float, kv: float, pool: Threads = ALONE) -> np.ndarray:
    """Return -1 / (2 Nc) in Å²/e at every coefficient of an image's half-plane transform turned over, float32.

    Arguments:
        shape: (rows, columns) of the image; the result is (columns // 2 + 1, rows).
        pixelsize: Å of that image.
    """
    half = shape[0] // 2 + 1
    y = np.fft.rfftfreq(shape[0], pixelsize).astype(np.float32)
    x = np.fft.rfftfreq(shape[1], pixelsize).astype(np.float32)
    # The critical dose is smooth: a table over the radius saves millions of powers.
    radii = np.linspace(0, float(np.hypot(y[-1], x[-1])), 4096, dtype=np.float32)
    table = (-0.5 / calcCriticalDose(radii, kv)).astype(np.float32)
    step, places = radii[1], np.arange(len(radii))
    decay = np.empty((len(x), shape[0]), np.float32)

    def fill(columns: slice) -> None:
        part = decay[columns]
        part[:, :half] = np.interp(np.hypot(y, x[columns, None]) / step, places, table)
        part[:, half:] = part[:, shape[0] - half : 0 : -1]

    fourier.runBlocks(pool, len(x), fourier.COLUMNS, fill)
    return decay


def calcExposures(doses: np.ndarray | list[float], initial: float = 0.0) -> np.ndarray:
    """Return the dose in e/Å² received by the end of each frame, from the dose of each and what came before."""
    return initial + np.cumsum(np.asarray(doses, dtype=float))


def normalizeWeighted(total: np.ndarray, decay: np.ndarray, exposures: np.ndarray, pool: Threads = ALONE) -> None:
    """Divide the weighted sum of frames by the root mean square of their weights, in place.

    That leaves the noise as strong at every frequency as in the plain sum, and the mean intensity as it is.

    Arguments:
        total: sum over frames of exp(decay exposure) times their transforms; `decay` as of :func:`calcDecay`.
        exposures: e/Å² of the frames in the sum.
    """
    steps = np.linspace(float(decay.min()), 0.0, 2048)
    table = np.sqrt(np.mean(np.exp(2 * np.outer(steps, exposures)), axis=1))
    table = np.maximum(table, np.finfo(np.float32).tiny)
    rows = decay.shape[1]
    half = rows // 2 + 1

    def divide(columns: slice) -> None:
        factors = np.interp(decay[columns, :half], steps, table).astype(np.float32)
        total[columns, :half] /= factors
        total[columns, half:] /= factors[:, rows - half : 0 : -1]

    fourier.runBlocks(pool, len(total), fourier.COLUMNS, divide)
