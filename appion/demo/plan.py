"""What the simulated microscope is going to do: which exposures, when, and what is wrong with two of them.

The plan follows from a few numbers alone, so the microscope and the report work it out for themselves and agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from appion.demo.detector import Detector, constructDetector
from appion.demo.movies import SMALL, MovieKind
from appion.demo.simulate import Exposure, Optics

#: What is special about an exposure. `good`: nothing. `late`: its movie comes last of all. `broken`: half of its movie
#: never comes. `camera-aligned`: the camera aligned the picture that Leginon shows, but nobody the frames.
KINDS = ("good", "late", "broken", "camera-aligned")

SESSION = "demo"
PRESET = "enn"
#: Of the micrographs that motion correction makes and CTF estimation takes.
ALIGNED_PRESET = "enn-a"
RUN, CTF_RUN = "ddstack1", "ctffind4run1"
PROJECT = 1
#: Fewest exposures of a plan: one is late, one broken, one camera-aligned.
FEWEST = 5
#: Positions of a specimen that are simulated beyond those of one movie: each movie leaves out so many others.
SPARES = 4


@dataclass(frozen=True)
class Planned:
    """One exposure of the plan: its number from 1, the image's name, one of KINDS, and how it is exposed."""

    number: int
    filename: str
    kind: str
    exposure: Exposure

    @property
    def is_good(self) -> bool:
        """Whether its micrograph is to be stored."""
        return self.kind != "broken"


@dataclass(frozen=True)
class Plan:
    """A session to come.

    Attributes:
        folder: everything is written below it.
        exposures: in the order in which they are taken.
        seconds_between: from one exposure to the next.
        shape: (rows, columns) of the camera in Leginon's orientation.
        seed: of everything that is random.
        frame_flip, frame_rotate: how frames are turned against that.
        movie: the kind of movies.
        session, projectid: name of the session and id of its project.
        comment: of the session's row, by which it is known to be simulated.
    """

    folder: Path
    exposures: tuple[Planned, ...]
    seconds_between: float
    shape: tuple[int, int]
    seed: int = 0
    frame_flip: bool = True
    frame_rotate: int = 1
    movie: MovieKind = SMALL
    session: str = SESSION
    projectid: int = PROJECT
    comment: str = "simulated"

    @property
    def image_path(self) -> Path:
        """Where Leginon keeps the session's images."""
        return self.folder / "leginon" / self.session / "rawdata"

    @property
    def frame_path(self) -> Path:
        """Where the movies arrive."""
        return self.frames / self.session / "rawdata"

    @property
    def frames(self) -> Path:
        """Folder of all movies."""
        return self.folder / "frames"

    @property
    def rundir(self) -> Path:
        """The run folder of motion correction."""
        return self.folder / "appion" / self.session / "ddstack" / RUN

    @property
    def ctf_rundir(self) -> Path:
        """The run folder of CTF estimation."""
        return self.folder / "appion" / self.session / "ctf" / CTF_RUN

    @property
    def hostname(self) -> str:
        """Host of the session's own microscope and camera: no other computer is named so."""
        return f"appion-demo-{self.session}"

    def constructDetector(self) -> Detector:
        """The camera."""
        return constructDetector(self.shape, self.seed, self.frame_flip, self.frame_rotate)


def constructPlan(
    folder: Path,
    count: int = 12,
    seconds_between: float = 3.0,
    shape: tuple[int, int] | None = None,
    nframes: int | None = None,
    seed: int = 0,
    movie: MovieKind = SMALL,
    session: str = SESSION,
    projectid: int = PROJECT,
    comment: str = "simulated",
) -> Plan:
    """Return a plan of `count` exposures (at least 5): one late, one broken, one camera-aligned, the others good.

    `shape` and `nframes` (positions) are those of the kind of movie unless given.
    """
    movie = replace(movie, shape=shape or movie.shape, positions=nframes or movie.positions)
    special = {2: "late", count // 2 + 1: "broken", count - 1: "camera-aligned"}
    exposures = []
    for number in range(1, count + 1):
        name = f"{session}_00001hln_{number:05d}{PRESET}"
        exposures.append(Planned(number, name, special.get(number, "good"), constructExposure(movie, number, seed)))
    return Plan(folder, tuple(exposures), seconds_between, movie.shape, seed, movie.frame_flip, movie.frame_rotate,
                movie, session, projectid, comment)  # fmt: skip


def constructExposure(movie: MovieKind, number: int, seed: int) -> Exposure:
    """Return the exposure of that number; where specimens are used again, only which positions it shows is its own."""
    specimen = 1 + (number - 1) % movie.specimens if movie.specimens else number
    rng = np.random.default_rng([seed, 11, specimen])
    defocus = rng.uniform(8000, 18000)
    astigmatism = defocus * rng.uniform(0.04, 0.08)  # so much that its axis can be told
    return Exposure(
        shape=movie.shape[::-1] if movie.frame_rotate % 2 else movie.shape,
        nframes=movie.positions,
        pixelsize=movie.pixelsize,
        dose=movie.dose,
        contrast=0.1,
        optics=Optics(defocus1=defocus + astigmatism, defocus2=defocus, angle=rng.uniform(-90, 90)),
        drift_total=rng.uniform(6, 16),
        drift_decay=rng.uniform(2.5, 6),
        seed=seed * 1000 + specimen,
        spares=SPARES if movie.specimens else 0,
        choice=number if movie.specimens else 0,
    )
