"""What taking CryoSPARC's fits needs beside the parameters of micrographs: which exposures they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import sinedon
from appion.base.calc.cameras import classifyCamera
from appion.base.failures import Failure, tryEach
from appion.base.retrieve.paths import constructFrameFolder, constructMovieFormats, listMovies
from appion.base.retrieve.relatives import divide, readRelatives
from appion.base.retrieve.rows import getRow
from appion.ctfestimation.records import CTFTask
from appion.ctfestimation.retrieve.micrographs import Rows, readMicrographs
from appion.ctfestimation.retrieve.params import ParamsContext, constructTask
from sinedon.models import leginondata


def retrieveIngestParams(
    ids: Sequence[int], context: ParamsContext, framepath: str = ""
) -> dict[int, CTFTask | Failure]:
    """Return the parameters of images as :func:`appion.ctfestimation.retrieve.params.retrieveParams` does, with the
    exposures that they were made from and where the movies of these may be.

    At most 10 queries. No file is looked at.
    """
    rows = readMicrographs(ids, with_best=False, movies=True)

    def construct(image_id: int) -> CTFTask:
        task = constructTask(image_id, rows, context)
        exposure = rows.findExposure(rows.images[image_id])
        origin = replace(task.origin, exposure=exposure.filename, exposure_id=exposure.def_id,
                         movies=tuple(listMoviePaths(exposure, rows, framepath)), defocus_init=0.0)  # fmt: skip
        return replace(task, origin=origin)

    return tryEach(ids, construct)


def listMoviePaths(exposure: Any, rows: Rows, framepath: str) -> Iterable[str]:
    """Return the paths under which the movie of an exposure may be, the likeliest first."""
    session, camera = getRow(rows.sessions, exposure, "session"), getRow(rows.cameras, exposure, "camera")
    kind = classifyCamera(getRow(rows.instruments, camera, "ccdcamera").name or "", bool(camera.eer_frames))
    buffer = rows.buffer_paths.get((session.def_id, sinedon.refId(camera, "ccdcamera") or 0))
    folders = [*([buffer] if buffer else []), constructFrameFolder(session.frame_path, session.image_path or "")]
    formats = constructMovieFormats(kind, camera.tiff_frames, camera.eer_frames)
    return [path for path, _ in listMovies([framepath] if framepath else folders, exposure.filename, formats)]


def readExposureNames(ids: Sequence[int]) -> list[tuple[int, str]]:
    """Return ids and names of the exposures that aligned images were made from; three queries (per 5000 images)."""
    found = readRelatives(ids).sources
    sources = {source for image_id in ids for source, _ in found.get(image_id, ())}
    images = leginondata.AcquisitionImageData.objects
    return [row for some in divide(sources) for row in images.filter(def_id__in=some).values_list("def_id", "filename")]
