"""Small movies with known drift, and EER files, for the tests of motion correction."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.ndimage

METADATA = b"<metadata></metadata>"


def makeFrames(size: int = 256, nframes: int = 8, contrast: float = 0.4, drift: np.ndarray | None = None,
               seed: int = 0, cols: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return counts (frames, rows, columns) uint8 of a moving specimen, 2 per pixel, and its drift (frames, 2)."""
    rng = np.random.default_rng(seed)
    cols = cols or size
    y, x = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(cols)[None]
    specimen = scipy.fft.rfft2(rng.normal(0, 1, (size, cols)))
    specimen *= np.abs(np.sin(200 * (x**2 + y**2) + 0.1)) * np.exp(-60 * (x**2 + y**2))
    specimen[0, 0] = 0
    specimen *= contrast / scipy.fft.irfft2(specimen, s=(size, cols)).std()
    if drift is None:
        drift = np.cumsum(np.exp(-np.arange(nframes) / 3)[:, None] * rng.normal(0, 2, 2) +
                          rng.normal(0, 0.3, (nframes, 2)), axis=0)
    frames = []
    for dx, dy in drift:
        moved = scipy.fft.irfft2(specimen * np.exp(-2j * np.pi * (x * dx + y * dy)), s=(size, cols))
        frames.append(rng.poisson(np.maximum(2 * (1 + moved), 0)))
    return np.array(frames).astype(np.uint8), np.asarray(drift)


def makeLocalFrames(size: int = 512, nframes: int = 12, contrast: float = 0.4, largest: float = 5.0, seed: int = 0, *,
                    cols: int | None = None, dose: float = 2.0,
                    empty: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts of a specimen that moves and bends, its drift (frames, 2), and its local motion.

    The local motion, quadratic in space and dying away in time, is `largest` pixels at most; it is returned at 9 x 9
    places from edge to edge as (frames, 2, 9, 9), (x, y), relative to the first frame. With `empty` there is no
    specimen in a quarter of the field.
    """
    rng = np.random.default_rng(seed)
    shape = size, cols or size
    fine = 2 * shape[0], 2 * shape[1]
    y, x = np.fft.fftfreq(fine[0], 0.5)[:, None], np.fft.rfftfreq(fine[1], 0.5)[None]
    specimen = rng.normal(0, 1, fine)
    if empty:
        specimen[: fine[0] // 2, : fine[1] // 2] = 0
    specimen = scipy.fft.rfft2(specimen) * np.abs(np.sin(200 * (x**2 + y**2) + 0.1)) * np.exp(-60 * (x**2 + y**2))
    specimen[0, 0] = 0
    image = scipy.fft.irfft2(specimen, s=fine)
    image *= contrast / image.std()
    time = np.exp(-np.arange(nframes) / (nframes / 5))
    drift = np.outer(1 - time, rng.normal(0, 5, 2)) + rng.normal(0, 0.2, (nframes, 2))
    bend = rng.normal(0, 1, (2, 6)) * [0, 1, 1, 1, 1, 1]

    def calcLocal(v: np.ndarray, u: np.ndarray) -> np.ndarray:
        return np.tensordot(bend, np.stack([np.ones_like(u), u, v, u * u, u * v, v * v]), 1)

    grid = np.linspace(-1, 1, 9)
    local = calcLocal(*np.meshgrid(grid, grid, indexing="ij"))
    peak = np.hypot(*local).max()
    if largest:
        bend *= largest / peak
    else:
        bend *= 0
    place = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    half = (np.array(shape) - 1)[:, None, None] / 2
    frames = []
    for drifted, now in zip(drift, time, strict=True):
        source = place.copy()
        for _ in range(3):
            source = place - drifted[::-1, None, None] - (1 - now) * calcLocal(*(source / half - 1))[::-1]
        moved = scipy.ndimage.map_coordinates(image, 2 * source, order=3, mode="grid-wrap")
        frames.append(rng.poisson(np.maximum(dose * (1 + moved), 0)))
    local = calcLocal(*np.meshgrid(grid, grid, indexing="ij"))
    return np.array(frames).astype(np.uint8), drift, (1 - time)[:, None, None, None] * local


def calcError(shifts: np.ndarray, drift: np.ndarray) -> float:
    """Return the RMS error of shifts that should undo a drift, pixels, the mean offset removed."""
    error = np.asarray(shifts) + drift
    return float(np.sqrt(((error - error.mean(axis=0)) ** 2).sum(axis=1).mean()))


def calcLocalError(shifts: np.ndarray, field, drift: np.ndarray, local: np.ndarray) -> np.ndarray:
    """Return what is left of the motion, (9, 9) root mean squares over the frames, pixels, each place's mean removed.

    `field` is a Field or None; `drift` and `local` as of :func:`makeLocalFrames`.
    """
    grid = np.linspace(-1, 1, 9)
    left = (np.asarray(shifts) + drift)[:, :, None, None] + local
    if field is not None:
        left = left + [field.calcDisplacements(i, grid, grid) for i in range(len(drift))]
    return np.sqrt(((left - left.mean(axis=0)) ** 2).sum(axis=1).mean(axis=0))


def calcRMS(values: np.ndarray) -> float:
    return float(np.sqrt((np.asarray(values) ** 2).mean()))


def encodeEvents(positions: np.ndarray, places: np.ndarray, npixels: int, skipbits: int,
                 placebits: tuple[int, int] = (2, 2)) -> bytes:
    """Return one EER frame: events at sorted pixel numbers, each with bits of place (x, y) within the pixel."""
    across, down = placebits
    flip = (1 << across >> 1) | (1 << (across + down) >> 1 if down else 0)
    longest = (1 << skipbits) - 1
    skips = np.diff(np.append(positions, npixels), prepend=-1) - 1
    ends = np.cumsum(skips // longest + 1) - 1
    values = np.full(ends[-1] + 1, longest, np.int64)
    widths = np.full(len(values), skipbits)
    values[ends] = skips % longest
    values[ends[:-1]] |= (np.asarray(places, np.int64) ^ flip) << skipbits
    widths[ends[:-1]] += across + down
    starts = np.cumsum(widths) - widths
    bits = np.repeat(values, widths) >> (np.arange(widths.sum()) - np.repeat(starts, widths)) & 1
    return np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()


def writeEER(path: Path, frames: np.ndarray, compression: int = 65001, places: np.ndarray | None = None,
             placebits: tuple[int, int] = (2, 2)) -> None:
    """Write 0/1 frames (frames, rows, columns) as a BigTIFF of electron events; `places` as of encodeEvents."""
    nframes, rows, cols = frames.shape
    skipbits = 8 if compression == 65000 else 7
    out = bytearray(b"II" + struct.pack("<HHHQ", 43, 8, 0, 16 + len(METADATA)))
    for i, frame in enumerate(frames):
        positions = np.flatnonzero(frame)
        at = np.zeros(len(positions), int) if places is None else places[i].ravel()[positions]
        data = encodeEvents(positions, at, rows * cols, skipbits, placebits)
        fields = [(256, 3, cols), (257, 3, rows), (258, 3, 1), (259, 3, compression), (262, 3, 1), (277, 3, 1)]
        extra = [(65007, 3, 7), (65008, 3, placebits[0]), (65009, 3, placebits[1])] if compression == 65002 else []
        length = 8 + 20 * (len(fields) + 4 + len(extra)) + 8
        out += METADATA
        start = len(out) + length
        fields += [(273, 16, start), (278, 3, rows), (279, 16, len(data)), (65001, 7, start - length - len(METADATA))]
        fields += extra
        following = start + len(data) + len(METADATA) if i + 1 < nframes else 0
        out += struct.pack("<Q", len(fields))
        for tag, kind, value in fields:
            out += struct.pack("<HHQQ", tag, kind, len(METADATA) if tag == 65001 else 1, value)
        out += struct.pack("<Q", following) + data
    path.write_bytes(bytes(out))
