"""Simulated micrographs: white noise seen through a known contrast transfer function, and noise of the camera."""

from __future__ import annotations

import math

import numpy as np
import scipy.fft


def simulateMicrograph(
    shape: tuple[int, int] = (2048, 2048),
    pixelsize: float = 1.0,
    defocus1: float = 1.5e-6,
    defocus2: float = 1.6e-6,
    angle: float = 30.0,
    phase_shift: float = 0.0,
    cs: float = 2.7,
    high_tension: float = 300e3,
    amplitude_contrast: float = 0.07,
    bfactor: float = 60.0,
    snr: float = 0.3,
    seed: int = 1,
) -> np.ndarray:
    """Return a micrograph, float32 (rows, columns); units as of calcCTFConfidence, B factor in Å²."""
    rng = np.random.default_rng(seed)
    specimen = rng.normal(size=shape)
    wavelength = 1.2265191e-9 / math.sqrt(high_tension + 9.7840893e-7 * high_tension**2)
    fy, fx = (scipy.fft.fftfreq(n, pixelsize * 1e-10) for n in shape)
    s2 = fy[:, None] ** 2 + fx[None] ** 2
    turned = 2 * (np.arctan2(fy[:, None], fx[None]) - math.radians(angle))
    defocus = (defocus1 + defocus2) / 2 + (defocus1 - defocus2) / 2 * np.cos(turned)
    phase = np.pi * wavelength * defocus * s2 - np.pi / 2 * cs * 1e-3 * wavelength**3 * s2**2 + phase_shift
    ctf = amplitude_contrast * np.cos(phase) + math.sqrt(1 - amplitude_contrast**2) * np.sin(phase)
    ctf *= np.exp(-bfactor * s2 * 1e-20 / 4)
    signal = scipy.fft.ifft2(scipy.fft.fft2(specimen) * ctf).real
    signal /= signal.std()
    noise = rng.normal(size=shape)
    return (100 + 10 * (math.sqrt(snr) * signal + noise)).astype(np.float32)


def addIce(
    image: np.ndarray, pixelsize: float, resolution: float, factor: float, width: float, spots: int = 0, seed: int = 1
) -> np.ndarray:
    """Return a micrograph with a ring of ice at a resolution (Å) in which amplitudes are `factor` times as large.

    The ring has the shape of a normal distribution with a full width at half maximum of `width` times its frequency.
    With spots, it is only in so many directions.
    """
    transform = scipy.fft.rfft2(image)
    y, x = scipy.fft.fftfreq(image.shape[0], pixelsize)[:, None], scipy.fft.rfftfreq(image.shape[1], pixelsize)[None]
    shape = np.exp(-4 * math.log(2) * ((np.hypot(y, x) * resolution - 1) / width) ** 2)
    if spots:
        azimuths = np.random.default_rng(seed).uniform(0, math.pi, spots)
        distances = (np.arctan2(y, x)[..., None] - azimuths + math.pi / 2) % math.pi - math.pi / 2
        shape *= np.exp(-np.square(distances / 0.02)).max(axis=-1)
    return scipy.fft.irfft2(transform * (1 + (factor - 1) * shape), image.shape).astype(np.float32)
