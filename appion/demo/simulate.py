"""Simulated movies with a known truth: specimen, transfer function, drift, counting, camera.

`simulateMovie` gives the frames and a `Truth`; `writeMovie` puts frames into a file. Limits: no blur within a frame, no
radiation damage, no thickness of the specimen, no local motion.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from scipy import fft

from appion.demo.detector import Detector, calcDefectMask, calcExpectedCounts, calcHotMask, convertToRaw
from appion.demo.physics import Optics, calcDrift, calcImageSpectrum, calcShiftedImage, constructSpecimen
from appion.demo.writers import growMovie, writeMovie

__all__ = ["Exposure", "Optics", "Truth", "calcTrueImage", "growMovie", "simulateMovie", "writeMovie"]

#: Pixels of specimen beyond each edge of the frame, so that what drifts in was not there before.
MARGIN = 64


@dataclass(frozen=True)
class Exposure:
    """What is exposed and how.

    Attributes:
        shape: (rows, columns) of a frame.
        nframes: frames of the movie.
        pixelsize: Å.
        dose: e/Å² per frame.
        optics: voltage, focus and aberrations.
        contrast: standard deviation of the image, as a fraction of its mean; real images have 0.03 to 0.1.
        drift_total, drift_decay, drift_jitter: see `calcDrift`.
        diameter: of the particles, Å.
        seed: of everything that is random.
    """

    shape: tuple[int, int] = (1024, 1024)
    nframes: int = 20
    pixelsize: float = 1.0
    dose: float = 1.0
    optics: Optics = field(default_factory=Optics)
    contrast: float = 0.2
    drift_total: float = 12.0
    drift_decay: float = 4.0
    drift_jitter: float = 0.12
    diameter: float = 120.0
    seed: int = 0


@dataclass(frozen=True)
class Truth:
    """What is known of a simulated movie.

    Attributes:
        exposure: how it was made.
        drift: (x, y) of the specimen in each frame relative to the first, pixels of the frames.
    """

    exposure: Exposure
    drift: tuple[tuple[float, float], ...]

    @property
    def total_dose(self) -> float:
        """Of the whole movie, e/Å²."""
        return self.exposure.dose * self.exposure.nframes


def simulateMovie(
    exposure: Exposure, detector: Detector | None = None, threads: int = 2, dtype: type = np.uint8
) -> tuple[np.ndarray, Truth]:
    """Return the frames (nframes, rows, columns) of `exposure` as they leave the camera, and what is true of them.

    Without a `detector` the camera is perfect. The frames depend on the seed alone, not on the number of threads.

    Raises:
        ValueError: the detector's frames have another shape than the exposure's.
    """
    drift = calcTrueDrift(exposure)
    shape, spectrum = _calcSpectrum(exposure)
    electrons = exposure.dose * exposure.pixelsize**2
    if detector is None:
        gain, rate = np.ones(exposure.shape, np.float32), 0.0
        dead = hot = np.zeros(exposure.shape, bool)
    else:
        if detector.raw_shape != tuple(exposure.shape):
            raise ValueError(
                f"the camera's frames are {detector.raw_shape}, the exposure's {exposure.shape}: make them equal"
            )
        turn = (detector.frame_flip, detector.frame_rotate)
        gain = convertToRaw(detector.gain, *turn)
        dead, hot = convertToRaw(calcDefectMask(detector), *turn), convertToRaw(calcHotMask(detector), *turn)
        rate = detector.hot_rate
    frames: np.ndarray = np.empty((exposure.nframes, *exposure.shape), dtype)
    ceiling = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else np.inf

    def expose(i: int) -> None:
        rng = np.random.default_rng([exposure.seed, 2, i])
        image = _crop(calcShiftedImage(spectrum, shape, drift[i]), exposure.shape)
        expected = calcExpectedCounts(electrons * (1 + image), gain, dead, hot, rate)
        frames[i] = np.minimum(rng.poisson(expected), ceiling)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(expose, range(exposure.nframes)))
    return frames, Truth(exposure, tuple((float(x), float(y)) for x, y in drift))


def calcTrueDrift(exposure: Exposure) -> np.ndarray:
    """Return the (nframes, 2) positions (x, y) of the specimen in pixels that the seed of `exposure` stands for."""
    rng = np.random.default_rng([exposure.seed, 1])
    return calcDrift(exposure.nframes, rng, exposure.drift_total, exposure.drift_decay, exposure.drift_jitter)


def calcTrueImage(exposure: Exposure, frame: int) -> np.ndarray:
    """Return the image without noise, mean 0, with the specimen where it is in `frame`; orientation of the frames."""
    shape, spectrum = _calcSpectrum(exposure)
    return _crop(calcShiftedImage(spectrum, shape, calcTrueDrift(exposure)[frame]), exposure.shape)


def _calcSpectrum(exposure: Exposure) -> tuple[tuple[int, int], np.ndarray]:
    """Return shape and half-plane transform of the image of the whole specimen, scaled to the contrast asked for."""
    rows, cols = (fft.next_fast_len(n + 2 * MARGIN, real=True) for n in exposure.shape)
    specimen = constructSpecimen(
        (rows, cols), exposure.pixelsize, np.random.default_rng([exposure.seed, 0]), exposure.diameter
    )
    spectrum = calcImageSpectrum(specimen, exposure.pixelsize, exposure.optics)
    spectrum[0, 0] = 0
    deviation = float(fft.irfft2(spectrum, s=(rows, cols)).std())
    return (rows, cols), (spectrum * (exposure.contrast / deviation)).astype(np.complex64)


def _crop(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    top, left = (image.shape[0] - shape[0]) // 2, (image.shape[1] - shape[1]) // 2
    return image[top : top + shape[0], left : left + shape[1]]
