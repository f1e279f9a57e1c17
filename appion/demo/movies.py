"""Kinds of movies that the simulated microscope takes: what camera, how large, how many frames."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class MovieKind:
    """A camera and how it exposes.

    Attributes:
        name: how it is chosen.
        camera: the name of Leginon's instrument, which tells what kind of camera it is.
        suffix: of the files: tif (LZW) or eer.
        shape: (rows, columns) in Leginon's orientation.
        frame_flip, frame_rotate: how the frames are turned against that.
        positions: places of the specimen in an exposure, which is what an alignment finds.
        group: raw frames at each of them; more than one only for eer.
        pixelsize: Å. dose: e/Å² at each position.
        frame_time: of a raw frame, ms.
        specimens: so many are simulated and their frames used again; 0: a new one for each exposure.
    """

    name: str
    camera: str
    suffix: str
    shape: tuple[int, int]
    frame_flip: bool
    frame_rotate: int
    positions: int
    group: int
    pixelsize: float
    dose: float
    frame_time: float
    specimens: int

    @property
    def nframes(self) -> int:
        """Raw frames of a movie."""
        return self.positions * self.group


SMALL = MovieKind("small", "GatanK3", "tif", (1024, 1440), True, 1, 20, 1, 1.06, 1.0, 50.0, 0)
K3 = MovieKind("k3", "GatanK3", "tif", (4092, 5760), True, 2, 40, 1, 0.83, 1.0, 50.0, 2)
FALCON = MovieKind("falcon-eer", "Falcon4EC", "eer", (4096, 4096), False, 0, 40, 25, 0.94, 1.0, 4.0, 2)
KINDS = {kind.name: kind for kind in (SMALL, K3, FALCON)}

#: Fewest positions of which a drift can be told, and fewest raw frames at each that hold all electrons of an eer movie.
FEWEST, FEWEST_RAW = 4, 8


def changeFrames(kind: MovieKind, nframes: int) -> MovieKind:
    """Return the kind with about `nframes` raw frames and the same dose in all.

    An eer movie keeps its positions, the frames at each become more or fewer; of the others each frame is a position.

    Raises:
        ValueError: too few.
    """
    least = FEWEST_RAW * kind.positions if kind.group > 1 else FEWEST
    if nframes < least:
        raise ValueError(f"{nframes} frames of {kind.name}: {least} or more")
    if kind.group > 1:
        group = round(nframes / kind.positions)
        return replace(kind, group=group, frame_time=kind.frame_time * kind.group / group)
    return replace(kind, positions=nframes, dose=kind.dose * kind.positions / nframes,
                   frame_time=kind.frame_time * kind.positions / nframes)  # fmt: skip
