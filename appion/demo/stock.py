"""Frames of one specimen, simulated once, of which any number of different movies is put together quickly.

The specimen is simulated at more positions than a movie has. Each movie leaves out others, so each has another drift,
which is known, and other noise in its sum. Frames lie encoded in a file, so a movie costs no more than copying it; in
memory is one sum.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import imagecodecs
import numpy as np

from appion.demo.detector import Detector
from appion.demo.movies import MovieKind
from appion.demo.simulate import Exposure, calcKept, constructExposer
from appion.demo.writers import encodeElectrons, iterateTiff

#: Positions simulated at a time: each takes about 0.5 GB for a K3.
THREADS = 4


@dataclass(frozen=True)
class Position:
    """Of one position: where its encoded frames begin in the file, their sizes, and that of its counts after them."""

    offset: int
    sizes: tuple[int, ...]
    counts_size: int


@dataclass(frozen=True)
class Stock:
    """All positions of a specimen.

    Attributes:
        path: the file. kind: of the movies.
        positions: in the order of the path.
        total: (rows, columns) counts of all positions, as they left the camera.
    """

    path: Path
    kind: MovieKind
    positions: tuple[Position, ...]
    total: np.ndarray

    def calcSum(self, exposure: Exposure) -> np.ndarray:
        """Return the sum of the frames of an exposure, (rows, columns) of float32: all that are not left out."""
        total, kept = self.total.copy(), set(calcKept(exposure))
        with open(self.path, "rb") as file:
            for i, position in enumerate(self.positions):
                if i not in kept:
                    file.seek(position.offset + sum(position.sizes))
                    counts = zlib.decompress(file.read(position.counts_size))
                    total -= np.frombuffer(counts, np.uint8).reshape(total.shape)
        return total.astype(np.float32)

    def listSizes(self, exposure: Exposure) -> list[int]:
        """Return the bytes of each frame of the exposure's movie."""
        return [size for i in calcKept(exposure) for size in self.positions[i].sizes]

    def calcSize(self, exposure: Exposure) -> int:
        """Return the bytes of the exposure's movie."""
        return sum(map(len, self._iterate(exposure, (bytes(size) for size in self.listSizes(exposure)))))

    def iterateMovie(self, exposure: Exposure) -> Iterator[bytes]:
        """Yield the movie of an exposure in pieces."""
        yield from self._iterate(exposure, self._iterateStrips(exposure))

    def _iterate(self, exposure: Exposure, strips: Iterator[bytes]) -> Iterator[bytes]:
        sizes = self.listSizes(exposure)
        return iterateTiff(sizes, strips, exposure.shape, self.kind.suffix, exposure.pixelsize)

    def _iterateStrips(self, exposure: Exposure) -> Iterator[bytes]:
        with open(self.path, "rb") as file:
            for i in calcKept(exposure):
                file.seek(self.positions[i].offset)
                for size in self.positions[i].sizes:
                    yield file.read(size)


def constructStock(
    path: Path, exposure: Exposure, detector: Detector, kind: MovieKind,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> Stock:  # fmt: skip
    """Simulate every position of the exposure's specimen and write the file `path`; `report` is told how far it is."""
    exposure = replace(exposure, choice=0)
    expose = constructExposer(exposure, detector)
    count = exposure.nframes + exposure.spares
    total: np.ndarray = np.zeros(exposure.shape, np.uint16)
    positions: list[Position] = []

    def make(i: int) -> tuple[np.ndarray, list[bytes], bytes]:
        counts = expose(i)
        strips = encodeCounts(counts, kind, np.random.default_rng([exposure.seed, 4, i]))
        return counts, strips, zlib.compress(counts.tobytes(), 1)

    threads = max(1, min(THREADS, os.cpu_count() or 1))
    with ThreadPoolExecutor(threads) as pool, open(path, "wb") as file:
        waiting = [pool.submit(make, i) for i in range(min(count, threads))]
        for i in range(count):
            counts, strips, packed = waiting.pop(0).result()
            if i + threads < count:
                waiting.append(pool.submit(make, i + threads))
            positions.append(Position(file.tell(), tuple(map(len, strips)), len(packed)))
            file.writelines([*strips, packed])
            total += counts
            report(i + 1, count)
    return Stock(path, kind, tuple(positions), total)


def encodeCounts(counts: np.ndarray, kind: MovieKind, rng: np.random.Generator) -> list[bytes]:
    """Return the encoded raw frames of one position with these counts, (rows, columns)."""
    if kind.suffix == "tif":
        return [bytes(imagecodecs.lzw_encode(counts.tobytes()))]
    return [encodeElectrons(at, counts.size) for at in dealElectrons(counts, kind.group, rng)]


def dealElectrons(counts: np.ndarray, group: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Deal electrons out to `group` raw frames at random; return the pixels hit in each, ascending, each once.

    A frame holds one electron of a pixel, so those of one pixel go to different frames: none is lost, unless there are
    more than frames, as in hot pixels.
    """
    flat = counts.ravel()
    hit = np.flatnonzero(flat)
    number = flat[hit].astype(np.int64)
    at = np.repeat(hit, number)
    which = np.arange(at.size) - np.repeat(np.cumsum(number) - number, number)  # of its pixel's electrons
    strides = np.array([n for n in range(1, group + 1) if math.gcd(n, group) == 1])
    first, stride = rng.integers(0, group, hit.size), rng.choice(strides, hit.size)
    frame = ((np.repeat(first, number) + which * np.repeat(stride, number)) % group).astype(np.uint16)
    fits = which < group
    at, frame = at[fits], frame[fits]
    at = at[np.argsort(frame, kind="stable")]
    return np.split(at, np.cumsum(np.bincount(frame, minlength=group))[:-1])
