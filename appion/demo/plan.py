"""What the simulated microscope is going to do: which exposures, when, and what is wrong with two of them.

The plan follows from a few numbers alone, so the microscope and the report work it out for themselves and agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appion.demo.detector import Detector, constructDetector
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
        frame_flip, frame_rotate: how frames are turned against that.
    """

    folder: Path
    exposures: tuple[Planned, ...]
    seconds_between: float
    shape: tuple[int, int]
    seed: int = 0
    frame_flip: bool = True
    frame_rotate: int = 1

    @property
    def image_path(self) -> Path:
        """Where Leginon keeps the session's images."""
        return self.folder / "leginon" / SESSION / "rawdata"

    @property
    def frame_path(self) -> Path:
        """Where the movies arrive."""
        return self.frames / SESSION / "rawdata"

    @property
    def frames(self) -> Path:
        """Folder of all movies."""
        return self.folder / "frames"

    @property
    def rundir(self) -> Path:
        """The run folder of motion correction."""
        return self.folder / "appion" / SESSION / "ddstack" / RUN

    @property
    def ctf_rundir(self) -> Path:
        """The run folder of CTF estimation."""
        return self.folder / "appion" / SESSION / "ctf" / CTF_RUN

    def constructDetector(self) -> Detector:
        """The camera."""
        return constructDetector(self.shape, self.seed, self.frame_flip, self.frame_rotate)


def constructPlan(
    folder: Path,
    count: int = 12,
    seconds_between: float = 3.0,
    shape: tuple[int, int] = (1024, 1440),
    nframes: int = 20,
    seed: int = 0,
) -> Plan:
    """Return a plan of `count` exposures (at least 5): one late, one broken, one camera-aligned, the others good."""
    frame_shape = shape[::-1]  # the frames are turned by a quarter
    special = {2: "late", count // 2 + 1: "broken", count - 1: "camera-aligned"}
    exposures = []
    for number in range(1, count + 1):
        rng = np.random.default_rng([seed, 11, number])
        defocus = rng.uniform(8000, 18000)
        astigmatism = defocus * rng.uniform(0.04, 0.08)  # so much that its axis can be told
        exposure = Exposure(
            shape=frame_shape,
            nframes=nframes,
            pixelsize=1.06,
            dose=1.0,
            contrast=0.1,
            optics=Optics(defocus1=defocus + astigmatism, defocus2=defocus, angle=rng.uniform(-90, 90)),
            drift_total=rng.uniform(6, 16),
            drift_decay=rng.uniform(2.5, 6),
            seed=seed * 1000 + number,
        )
        name = f"{SESSION}_00001hln_{number:05d}{PRESET}"
        exposures.append(Planned(number, name, special.get(number, "good"), exposure))
    return Plan(folder, tuple(exposures), seconds_between, shape, seed)
