"""What STAR files need of exposures beside their numbers: files, pixel sizes, voltage, aberration."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, classifyException
from appion.base.retrieve.micrographs import calcImagePixelSize
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.paths import constructImagePath
from appion.base.retrieve.rows import getRow
from appion.ctfestimation.calc.internal.numbers import SPECTRUM
from appion.ctfestimation.retrieve.micrographs import Rows, readCs, readMicrographs
from appion.export.optics import Optics
from appion.export.session import Exposure
from appion.motioncorrection.calc.external.command import calcUpsampling
from appion.motioncorrection.records import MotionCorrectionTask


@dataclass(frozen=True)
class Micrograph:
    """One micrograph as it is exported.

    Attributes:
        exposure: of which it is. session: its session's name. optics: without the position of its image shift.
        path, plain: its file, weighted by dose where there is such a sum, and then the other sum; or empty.
        spectrum: the picture of its amplitude spectrum (MRC), or empty.
    """

    exposure: Exposure
    session: str
    optics: Optics
    path: str
    plain: str = ""
    spectrum: str = ""

    @property
    def line(self) -> Mapping[str, Any]:
        """Its numbers."""
        return self.exposure.line

    @property
    def hasFit(self) -> bool:
        """Whether its CTF is known."""
        return {"defocus1", "defocus2", "astigmatism_axis"} <= self.line.keys()


@dataclass
class LeftOut:
    """Why exposures are not exported as they might be: how many for each reason, and the first of them."""

    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        self.reasons[reason] += 1
        self.examples.setdefault(reason, name)

    def describe(self) -> list[str]:
        """Return a line for each reason, the most frequent first."""
        return [f"{number} x {reason} (e.g. {self.examples[reason]})" for reason, number in self.reasons.most_common()]


def readFiles(exposures: Sequence[Exposure], left_out: LeftOut, contrast: float | None = None) -> list[Micrograph]:
    """Return the micrographs of the exposures whose rows and files are as they should be; others are noted.

    Args:
        contrast: amplitude contrast of those without a fit; unless given that of the fits, if it is one for all.
    """
    assumed = {one.ctf["amplitude_contrast"] for one in exposures if one.ctf.get("amplitude_contrast") is not None}
    if contrast is None and len(assumed) == 1:
        (contrast,) = assumed
    ids = {image_id for one in exposures for image_id in (one.sum_id, one.weighted_id) if image_id}
    rows = readMicrographs(sorted(ids), with_best=False)
    readLens = cache(lambda session_id, name: readCs(session_id, name))
    micrographs = []
    for exposure in exposures:
        try:
            micrographs.append(constructMicrograph(exposure, rows, readLens, contrast))
        except Exception as error:  # one odd row must not keep the others from being exported
            failure = classifyException(error)
            left_out.add(failure.reason.replace(exposure.name or "\0", "…"), exposure.name)
    return micrographs


def constructMicrograph(exposure: Exposure, rows: Rows, readLens: Any, contrast: float | None) -> Micrograph:
    """Return the micrograph of an exposure.

    Raises:
        ImageFailure: a row or a file is missing, or a name is such that it could lead elsewhere.
        ConfigurationFailure: no calibration of the pixel size.
    """
    images = [rows.images.get(image_id or 0) for image_id in (exposure.weighted_id, exposure.sum_id)]
    image, plain = images[0] or images[1], images[1] if images[0] else None
    if image is None:
        raise ImageFailure("it has no aligned image")
    session, scope = getRow(rows.sessions, image, "session"), getRow(rows.scopes, image, "scope")
    if not scope.high_tension:
        raise ImageFailure("its microscope row has no high tension")
    paths = ["" if one is None else findFile(session, one.filename) for one in (image, plain)]
    cs = exposure.ctf.get("cs")
    if cs is None:
        cs = readLens(session.def_id, session.name)
    amplitude = exposure.ctf.get("amplitude_contrast")
    optics = Optics(
        pixelsize=round(calcImagePixelSize(image, rows), 6),
        voltage=scope.high_tension / 1000,
        cs=cs,
        contrast=contrast if amplitude is None else amplitude,
        original=calcOriginal(exposure),
    )
    return Micrograph(exposure, checkName(session.name), optics, paths[0], paths[1], findSpectrum(exposure))


def calcOriginal(exposure: Exposure) -> float | None:
    """Return the pixel size (Å) of the movie as the program took it; None without one."""
    if exposure.task is None or isinstance(exposure.task, Failure):
        return None
    return round(exposure.task.params.pixelsize / calcUpsampling(exposure.task.params), 6)


def findFile(session: Any, filename: str) -> str:
    """Return the path of an image. Raises ImageFailure if it is not there."""
    path = constructImagePath(session.image_path or "", checkName(session.name), checkName(filename))
    if not os.path.isfile(path):
        raise ImageFailure(f"{os.path.dirname(path)}/… is not there")
    return path


def checkName(name: str | None) -> str:
    """Return the name of a session or file that is one. Raises ImageFailure for what would be a path."""
    if not name or "/" in name or name in (".", "..") or not name.isprintable():
        raise ImageFailure(f"{name!r} is no name of a file")
    return name


def findSpectrum(exposure: Exposure) -> str:
    """Return the spectrum (MRC) that lies beside the picture of spectrum and fit; an empty text if there is none."""
    picture = exposure.line.get("spectrum") or ""
    if exposure.ctfrun is None or not picture.endswith(SPECTRUM) or "/" in picture:
        return ""
    path = Path(exposure.ctfrun.rundir) / "opimages" / picture.replace(".jpg", ".mrc")
    return str(path) if path.is_file() else ""


def readMovieSize(task: MotionCorrectionTask) -> tuple[int, tuple[int, int]]:
    """Return frames and shape (rows, columns) of a movie: its own, or what its rows say where it is gone.

    Raises:
        ImageFailure: neither tells.
    """
    params = task.params
    if os.path.exists(params.movie):
        header = readMovieHeader(params.movie)
        return header.nframes, header.shape
    if params.frame_shape is None:
        raise ImageFailure("its movie is gone, and its camera row does not tell the size")
    return params.nframes, params.frame_shape


def requireExposures(found: Iterable[Any], left_out: LeftOut, what: str) -> None:
    """Raise ConfigurationFailure if nothing is left to export."""
    if not list(found):
        raise ConfigurationFailure(f"nothing to export: {what}", "; ".join(left_out.describe()[:3]))


def getTask(exposure: Exposure) -> MotionCorrectionTask:
    """Return the parameters of an exposure's motion correction. Raises the failure that its rows are."""
    if isinstance(exposure.task, Failure):
        raise exposure.task
    if exposure.task is None:
        raise ImageFailure("no run of motion correction was given")
    return exposure.task
