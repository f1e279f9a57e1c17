"""Every row that any number of micrographs refer to, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.ctfestimation.retrieve.best import EarlierCTF, divide, readBestCTFs
from appion.motioncorrection.retrieve.exposures import readBufferPaths, readCalibrations
from sinedon.models import appiondata, leginondata


@dataclass(frozen=True)
class Rows:
    """The rows that a number of micrographs refer to, by id.

    Attributes:
        calibrations: by (magnification, microscope, camera).
        best: best earlier CTF by image.
        sources: with movies as input, the exposure that each aligned image was made from; 0 where the run of motion
            correction has not made it. instruments, buffer_paths: what the paths of movies depend on.
    """

    images: dict[int, Any]
    sessions: dict[int, Any]
    cameras: dict[int, Any]
    scopes: dict[int, Any]
    calibrations: dict[tuple[int, int, int], list[tuple[int, Any, float]]]
    best: dict[int, EarlierCTF]
    sources: dict[int, int] = field(default_factory=dict)
    instruments: dict[int, Any] = field(default_factory=dict)
    buffer_paths: dict[tuple[int, int], str] = field(default_factory=dict)


def readMicrographs(ids: Sequence[int], ddstackid: int | None = None, with_best: bool = True) -> Rows:
    """Read every row that the images refer to; with `ddstackid` also those of the exposures with the movies.

    At most 8 queries, 3 more with `ddstackid`.
    """
    sources = readSources(ids, ddstackid) if ddstackid is not None else {}
    images = sinedon.readRows(leginondata.AcquisitionImageData, {*ids, *sources.values()})

    def readReferred(model: Any, key: str, table: dict[int, Any]) -> dict[int, Any]:
        return sinedon.readRows(model, {sinedon.refId(row, key) for row in table.values()})

    cameras = readReferred(leginondata.CameraEMData, "camera", images)
    scopes = readReferred(leginondata.ScopeEMData, "scope", images)
    movies = ddstackid is not None
    return Rows(
        images=images,
        sessions=readReferred(leginondata.SessionData, "session", images),
        cameras=cameras,
        scopes=scopes,
        calibrations=readCalibrations(scopes, cameras),
        best=readBestCTFs(ids) if with_best else {},
        sources=sources,
        instruments=readReferred(leginondata.InstrumentData, "ccdcamera", cameras) if movies else {},
        buffer_paths=readBufferPaths(images, cameras) if movies else {},
    )


def readSources(ids: Sequence[int], ddstackid: int) -> dict[int, int]:
    """Return the exposure that each aligned image was made from by this run; 0 where it was another run."""
    pairs = appiondata.ApDDAlignImagePairData.objects
    sources: dict[int, int] = {}
    for some in divide(ids):
        for result, source, run in pairs.filter(result_id__in=some).values_list(
            "result_id", "source_id", "ddstackrun_id"
        ):
            sources[result] = source or 0 if run == ddstackid else sources.get(result, 0)
    return sources


def readDDStackRun(ddstackid: int) -> None:
    """Raise ConfigurationFailure if there is no such run of motion correction."""
    if not appiondata.ApDDStackRunData.objects.filter(def_id=ddstackid).exists():
        raise ConfigurationFailure(
            f"--ddstackid={ddstackid}: this project has no such run of motion correction",
            "check --projectid, or leave --ddstackid out to use the session's images",
        )


def readCs(session_id: int, session: str) -> float:
    """Return the spherical aberration (mm) of the microscope of a session's newest microscope row.

    Raises:
        ConfigurationFailure: there is no such row, or the microscope's aberration is not recorded.
    """
    scopes = leginondata.ScopeEMData.objects.filter(session_id=session_id).order_by("-def_id")
    found = scopes.values_list("tem_id", flat=True)[:1]
    if not found:
        raise ConfigurationFailure(f"session {session} has no microscope rows, which tell the spherical aberration",
                                   "start when the session has its first image")
    tem = sinedon.readRows(leginondata.InstrumentData, found).get(found[0] or 0)
    if tem is None:
        raise ConfigurationFailure(f"the microscope rows of session {session} name no microscope",
                                   "choose the microscope in Leginon")
    if tem.cs is None:
        raise ConfigurationFailure(f"the spherical aberration of microscope '{tem.name}' is not recorded",
                                   "enter it in Leginon's instrument settings")
    return tem.cs * 1e3
