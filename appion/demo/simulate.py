"""Simulated movies with a known truth: specimen, transfer function, drift, counting, camera.

`simulateMovie` gives the frames and a `Truth`; `writeMovie` puts frames into a file. Limits: no blur within a frame, no
radiation damage, no thickness of the specimen, no local motion.
"""

from __future__ import annotations

from collections.abc import Callable
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
#: Rows whose counts are drawn at a time.
BAND = 512


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
        spares: positions that the specimen takes beyond those of the movie; so many are left out.
        choice: number of the choice of those.
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
    spares: int = 0
    choice: int = 0


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
    expose = constructExposer(exposure, detector, dtype)
    frames: np.ndarray = np.empty((exposure.nframes, *exposure.shape), dtype)

    def fill(i: int, position: int) -> None:
        frames[i] = expose(position)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(exposure.nframes), calcKept(exposure)))
    return frames, Truth(exposure, tuple((float(x), float(y)) for x, y in calcTrueDrift(exposure)))


def constructExposer(
    exposure: Exposure, detector: Detector | None = None, dtype: type = np.uint8
) -> Callable[[int], np.ndarray]:
    """Return the function that gives the frame (rows, columns) of any position of the path, spares included.

    It may be called by several threads at a time.

    Raises:
        ValueError: the detector's frames have another shape than the exposure's.
    """
    path = calcPath(exposure)
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
    ceiling = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else np.inf

    def expose(position: int) -> np.ndarray:
        rng = np.random.default_rng([exposure.seed, 2, position])
        image = _crop(calcShiftedImage(spectrum, shape, path[position]), exposure.shape)
        frame: np.ndarray = np.empty(exposure.shape, dtype)
        for start in range(0, len(frame), BAND):  # the generator makes 8 bytes a pixel
            band = slice(start, start + BAND)
            expected = calcExpectedCounts(electrons * (1 + image[band]), gain[band], dead[band], hot[band], rate)
            frame[band] = np.minimum(rng.poisson(expected), ceiling)
        return frame

    return expose


def calcPath(exposure: Exposure) -> np.ndarray:
    """Return the (nframes + spares, 2) positions (x, y) of the specimen that the seed of `exposure` stands for."""
    rng = np.random.default_rng([exposure.seed, 1])
    count = exposure.nframes + exposure.spares
    return calcDrift(count, rng, exposure.drift_total, exposure.drift_decay, exposure.drift_jitter)


def calcKept(exposure: Exposure) -> list[int]:
    """Return which positions of the path the movie shows, in order."""
    count = exposure.nframes + exposure.spares
    if not exposure.spares:
        return list(range(count))
    rng = np.random.default_rng([exposure.seed, 3, exposure.choice])
    return sorted(int(i) for i in rng.choice(count, exposure.nframes, replace=False))


def calcTrueDrift(exposure: Exposure) -> np.ndarray:
    """Return the (nframes, 2) positions (x, y) of the specimen in the frames of the movie, the first one (0, 0)."""
    path = calcPath(exposure)[calcKept(exposure)]
    return path - path[0]


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
