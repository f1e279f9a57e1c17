"""What CryoSPARC found of one exposure, as its job and session folders tell it; in its own units and orientation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CryosparcImage:
    """A micrograph of a project: its path, its pixel size (Å) and its shape (rows, columns); 0 where not told."""

    path: str
    pixelsize: float = 0.0
    shape: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class CryosparcMotion:
    """The motion of one exposure.

    Attributes:
        trajectory: file of the whole frames' motion. index: of this exposure in it.
        pixelsize: of the trajectory, Å.
        frames: of the movie, 0 where it is not told. first, last: of those that were used, from 0, and that after.
        weighted, plain: sums, with and without dose weighting; one of them at least.
        distance: length of the path as the session tells it, pixels; None where it does not.
    """

    trajectory: str
    index: int
    pixelsize: float
    frames: int
    first: int
    last: int
    weighted: CryosparcImage | None = None
    plain: CryosparcImage | None = None
    distance: float | None = None

    @property
    def images(self) -> tuple[CryosparcImage, ...]:
        """The sums there are, the plain one first."""
        return tuple(image for image in (self.plain, self.weighted) if image is not None)


@dataclass(frozen=True)
class CryosparcFit:
    """The CTF of one exposure.

    Attributes:
        defocus_u, defocus_v: Å, positive for underfocus. angle: axis of defocus_u, radians, not folded.
        phase_shift: radians. amplitude_contrast: fraction. cs: mm. voltage: kV.
        resolution: up to which the fit is good, Å; 0 where none is told.
        micrograph: that it was made on. imported: whether that one was brought from elsewhere, not made there.
        score: of CTFFIND4 where that ran inside CryoSPARC. correlation: CryoSPARC's own number; None: not told.
        notes: numbers that no column exists for, by their names.
    """

    defocus_u: float
    defocus_v: float
    angle: float
    phase_shift: float
    amplitude_contrast: float
    cs: float
    voltage: float
    resolution: float
    micrograph: CryosparcImage
    imported: bool = False
    score: float | None = None
    correlation: float | None = None
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Identity:
    """By what a movie or a micrograph of CryoSPARC's is recognised.

    Attributes:
        name: without what CryoSPARC puts before and behind it. paths: of the file, and where its links lead.
        signature: of the path that it was imported from.
        contradiction: why its names are not to be believed, in words.
    """

    name: str = ""
    paths: tuple[str, ...] = ()
    signature: int | None = None
    contradiction: str = ""


@dataclass(frozen=True)
class CryosparcExposure:
    """One exposure of a folder.

    Attributes:
        uid: as CryoSPARC numbers it.
        movie, micrograph: how they are recognised; the latter of micrographs from elsewhere only.
        motion, fit: what was found; None where there is nothing yet: then `no_motion` and `no_fit` say why.
        refused: why nothing of it is taken, in words.
    """

    uid: int
    movie: Identity
    micrograph: Identity
    motion: CryosparcMotion | None = None
    fit: CryosparcFit | None = None
    no_motion: str = ""
    no_fit: str = ""
    refused: str = ""
