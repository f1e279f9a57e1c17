"""The physics of a simulated exposure: particles in ice, the contrast transfer function and beam-induced drift.

Lengths are in Å, spatial frequencies in 1/Å, drift in pixels of the movie as (x, y) = (column, row). Everything is
drawn from a generator that the caller seeds, so that the same seed always gives the same specimen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft


@dataclass(frozen=True)
class Optics:
    """The microscope and the focus of one exposure.

    Attributes:
        kv: acceleration voltage, kV.
        cs: spherical aberration, mm.
        amplitude_contrast: fraction, 0 to 1.
        defocus1, defocus2: underfocus along the two axes of astigmatism, Å; defocus1 is the larger one.
        angle: direction of defocus1, degrees from the x axis towards larger rows.
        phase: additional phase shift (phase plate), radians.
    """

    kv: float = 300.0
    cs: float = 2.7
    amplitude_contrast: float = 0.07
    defocus1: float = 15000.0
    defocus2: float = 14500.0
    angle: float = 35.0
    phase: float = 0.0


def calcWavelength(kv: float) -> float:
    """Return the relativistic wavelength in Å of electrons of `kv` kilovolts (Spence, High-Resolution Microscopy)."""
    volts = kv * 1000.0
    return 12.2639 / math.sqrt(volts + 0.97845e-6 * volts**2)


def calcFrequencies(shape: tuple[int, int], pixelsize: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return (ky, kx) of the half plane of a real transform of `shape`, as (rows, 1) and (1, columns // 2 + 1)."""
    ky = np.fft.fftfreq(shape[0], pixelsize).astype(np.float32)[:, None]
    kx = np.fft.rfftfreq(shape[1], pixelsize).astype(np.float32)[None, :]
    return ky, kx


def calcCTF(shape: tuple[int, int], pixelsize: float, optics: Optics) -> np.ndarray:
    """Return the contrast transfer function on the half plane of `shape`; negative near zero, so particles are dark.

    Convention of Rohou & Grigorieff (2015): -sin(χ), χ = πλk²(Δf - λ²k²Cs/2) + phase + asin(amplitude contrast).
    """
    ky, kx = calcFrequencies(shape, pixelsize)
    wavelength, cs = calcWavelength(optics.kv), optics.cs * 1e7
    squared = kx**2 + ky**2
    azimuth = np.arctan2(ky, kx) - math.radians(optics.angle)
    defocus = (optics.defocus1 + optics.defocus2 + (optics.defocus1 - optics.defocus2) * np.cos(2 * azimuth)) / 2
    chi = math.pi * wavelength * squared * (defocus - 0.5 * wavelength**2 * squared * cs)
    return -np.sin(chi + optics.phase + math.asin(optics.amplitude_contrast)).astype(np.float32)


def constructParticle(rng: np.random.Generator, diameter: float) -> np.ndarray:
    """Return a (n, 3) cloud of mass points in Å: a barrel of four rings of seven lumps, as tall as it is wide."""
    ring = 2 * math.pi * np.arange(7) / 7
    heights = diameter * np.array([-0.42, -0.15, 0.15, 0.42])
    lumps = [(0.36 * diameter * math.cos(a), 0.36 * diameter * math.sin(a), z) for z in heights for a in ring]
    inside = rng.normal(0.0, 0.06 * diameter, (12, 3))
    return np.concatenate([inside + lump for lump in lumps])


def constructRotation(rng: np.random.Generator) -> np.ndarray:
    """Return a random (3, 3) rotation, uniform over all orientations (QR of a Gaussian matrix)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


def constructSpecimen(
    shape: tuple[int, int], pixelsize: float, rng: np.random.Generator, diameter: float = 120.0, coverage: float = 0.25
) -> np.ndarray:
    """Return projected mass per pixel, mean 0 and deviation 1: particles that fill `coverage` of the area, in ice.

    Particles are turned at random and may overlap; amorphous ice is white noise nearly as strong as they are.
    """
    rows, cols = shape
    particle = constructParticle(rng, diameter)
    count = max(1, round(coverage * rows * cols * pixelsize**2 / diameter**2))
    centres = rng.uniform((0, 0), (cols, rows), (count, 2))
    points = np.concatenate([c + (particle @ constructRotation(rng)[:, :2]) / pixelsize for c in centres])
    x, y = np.floor(points[:, 0]).astype(int) % cols, np.floor(points[:, 1]).astype(int) % rows
    mass = np.bincount(y * cols + x, minlength=rows * cols).reshape(shape).astype(np.float32)
    ky, kx = calcFrequencies(shape, pixelsize)
    blurred = fft.irfft2(fft.rfft2(mass) * np.exp(-20.0 * (kx**2 + ky**2)), s=shape)
    blurred = (blurred - blurred.mean()) / blurred.std()
    specimen = blurred + rng.normal(0.0, 0.8, shape).astype(np.float32)
    return (specimen / specimen.std()).astype(np.float32)


def calcImageSpectrum(specimen: np.ndarray, pixelsize: float, optics: Optics, bfactor: float = 60.0) -> np.ndarray:
    """Return the half-plane transform of the image of `specimen`: transfer function and an envelope exp(-Bk²/4)."""
    ky, kx = calcFrequencies(specimen.shape, pixelsize)
    envelope = np.exp(-bfactor / 4 * (kx**2 + ky**2))
    return fft.rfft2(specimen) * calcCTF(specimen.shape, pixelsize, optics) * envelope


def calcShiftedImage(spectrum: np.ndarray, shape: tuple[int, int], shift: tuple[float, float]) -> np.ndarray:
    """Return the image of `shape` with half-plane transform `spectrum`, moved by `shift` = (x, y) pixels, periodic."""
    ky, kx = calcFrequencies(shape)
    ramp = np.exp((-2j * math.pi * shift[1]) * ky) * np.exp((-2j * math.pi * shift[0]) * kx)
    return fft.irfft2(spectrum * ramp.astype(np.complex64), s=shape)


def calcDrift(
    nframes: int, rng: np.random.Generator, total: float = 12.0, decay: float = 4.0, jitter: float = 0.12
) -> np.ndarray:
    """Return the specimen's position (x, y) in each frame, (nframes, 2) pixels, the first one (0, 0).

    The beam sets the specimen moving in one direction, by `total` pixels in all; the speed falls by e every `decay`
    frames. The path bends a little, and each frame is displaced by `jitter` pixels (standard deviation) on top.
    """
    direction = rng.uniform(0, 2 * math.pi)
    frames = np.arange(nframes)
    travelled = total * (1 - np.exp(-frames / decay)) / max(1e-6, 1 - math.exp(-(nframes - 1) / decay))
    bend = direction + rng.uniform(-0.6, 0.6) * frames / max(1, nframes - 1)
    path = np.stack([travelled * np.cos(bend), travelled * np.sin(bend)], axis=1)
    path += rng.normal(0.0, jitter, path.shape)
    return path - path[0]
