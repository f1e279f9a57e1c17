"""The parameters of new micrographs, read in a number of queries that does not depend on how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sinedon
from appion.base.calc.cameras import classifyCamera
from appion.base.failures import Failure, ImageFailure, tryEach
from appion.base.records.program import Program
from appion.base.retrieve.micrographs import calcImagePixelSize
from appion.base.retrieve.paths import (
    constructFrameFolder,
    constructImagePath,
    constructMovieFormats,
    findMovie,
)
from appion.base.retrieve.plausible import checkCamera, checkScope
from appion.base.retrieve.rows import getRow, readPair
from appion.base.retrieve.taken import constructTaken
from appion.ctfestimation.calc.internal.nyquist import checkNyquist
from appion.ctfestimation.records import CTFOptions, CTFOrigin, CTFParams, CTFTask
from appion.ctfestimation.retrieve.micrographs import Rows, readMicrographs
from appion.ctfestimation.retrieve.owners import Owners
from appion.ctfestimation.retrieve.plausible import checkCentre, checkResmax
from appion.ctfestimation.retrieve.search import calcGctffindSearch, calcSearch
from appion.ctfestimation.retrieve.selection import chooseShortName


@dataclass(frozen=True)
class ParamsContext:
    """What is the same for all micrographs of a run.

    Attributes:
        rundir: the run folder; scratch: the folder under which each micrograph gets a scratch folder of its own.
        options: what was asked for. program, timeout: as in CTFParams. cs: mm.
        owners: which image has which short name.
    """

    rundir: str
    scratch: str
    options: CTFOptions
    program: Program
    cs: float
    timeout: float = 1200.0
    owners: Mapping[str, int] | Owners = field(default_factory=dict)

    @property
    def is_gctf(self) -> bool:
        return self.program.kind == "gctf"

    @property
    def is_gctffind(self) -> bool:
        return self.program.kind == "gctffind"


def retrieveParams(ids: Sequence[int], context: ParamsContext) -> dict[int, CTFTask | Failure]:
    """Return the parameters of the images `ids` with their origin; a Failure where an image's rows do not give them.

    At most 9 queries, 11 with movies. Of files, only the existence of movies is looked at where the rows leave several
    possible.
    """
    options = context.options
    with_best = options.nominal is None and (options.bestdb or not context.is_gctffind)
    rows = readMicrographs(ids, options.ddstackid, with_best=with_best)
    return tryEach(ids, lambda image_id: constructTask(image_id, rows, context))


def constructTask(image_id: int, rows: Rows, context: ParamsContext) -> CTFTask:
    """Return origin and parameters of one image.

    Raises:
        ImageFailure: a row that the image refers to, or a value in it, is missing.
        ConfigurationFailure: no calibration of the pixel size, or a value that cannot be.
    """
    image = rows.images.get(image_id)
    if image is None:
        raise ImageFailure(f"image {image_id} is not in the database")
    options = context.options
    session = getRow(rows.sessions, image, "session")
    scope = getRow(rows.scopes, image, "scope")
    checkScope(scope)
    checkCamera(getRow(rows.cameras, image, "camera"))
    if scope.high_tension is None:
        raise ImageFailure(f"microscope row {scope.def_id} has no high tension")
    best = rows.best.get(image_id)
    checkCentre(options, best, scope)
    if context.is_gctffind:
        search = calcGctffindSearch(options, best, scope.defocus)
    else:
        search = calcSearch(options, best, scope.defocus, context.is_gctf)
    checkResmax(search.resmax, best)
    pixelsize = calcImagePixelSize(image, rows)
    micrograph = constructImagePath(session.image_path or "", session.name or "", image.filename)
    source = findSource(image, rows, options.ddstackid) if options.ddstackid is not None else None
    source_pixelsize = pixelsize if source is None else calcImagePixelSize(source, rows)
    if not context.is_gctffind:  # it decides by itself where to begin
        checkNyquist(options.resmin, source_pixelsize, "--resmin")
    exposure = rows.findExposure(image)
    origin = CTFOrigin(image_id, image.filename, session.def_id, context.rundir, options, search.centre,
                       taken=constructTaken(exposure, scope))  # fmt: skip
    params = CTFParams(
        name=chooseShortName(image_id, image.filename, context.owners),
        micrograph=micrograph,
        input=micrograph if source is None else findSourceMovie(source, rows),
        is_movie=source is not None,
        frame_average=options.frame_average,
        dimension=readPair(getRow(rows.cameras, image, "camera"), "dimension"),
        pixelsize=source_pixelsize,
        micrograph_pixelsize=pixelsize,
        voltage=scope.high_tension / 1000,
        cs=context.cs,
        amplitude_contrast=search.amplitude_contrast,
        fieldsize=options.fieldsize,
        resmin=options.resmin,
        resmax=search.resmax,
        defmin=search.defmin,
        defmax=search.defmax,
        defstep=search.defstep,
        astigmatism=search.astigmatism,
        folder=context.rundir,
        scratch=f"{context.scratch}/{image_id}",
        program=context.program,
        phase=options.phase,
        exhaustive=options.exhaustive,
        epa=options.epa,
        hires_refine=options.hires_refine,
        local=options.local,
        analyse=options.analyse,
        timeout=context.timeout,
        tilt=options.tilt,
        thickness=options.thickness,
        astig=options.astig,
    )
    return CTFTask(origin, params)


def findSource(image: Any, rows: Rows, ddstackid: int) -> Any:
    """Return the exposure whose movie is used for an image: what it was made from, or itself.

    Raises:
        ImageFailure: it is aligned, but not a result of the run; or there is no movie.
    """
    camera = getRow(rows.cameras, image, "camera")
    is_aligned = image.def_id in rows.relatives.sources or camera.align_frames
    source_id = rows.relatives.findSource(image.def_id, ddstackid) if is_aligned else image.def_id
    source = rows.images.get(source_id or 0)
    if source is None:
        raise ImageFailure(f"{image.filename} is aligned, but no result of --ddstackid={ddstackid}",
                           "give the run that made it, or leave --ddstackid out")
    if not getRow(rows.cameras, source, "camera").save_frames:
        raise ImageFailure(f"{source.filename} has no movie", "leave --ddstackid out")
    return source


def findSourceMovie(source: Any, rows: Rows) -> str:
    """Return the path of an exposure's movie: where it is, else where it is expected."""
    session, camera = getRow(rows.sessions, source, "session"), getRow(rows.cameras, source, "camera")
    kind = classifyCamera(getRow(rows.instruments, camera, "ccdcamera").name or "", bool(camera.eer_frames))
    buffer = rows.buffer_paths.get((session.def_id, sinedon.refId(camera, "ccdcamera") or 0))
    folders = [*([buffer] if buffer else []), constructFrameFolder(session.frame_path, session.image_path or "")]
    formats = constructMovieFormats(kind, camera.tiff_frames, camera.eer_frames)
    return findMovie(folders, source.filename, formats, kind)[0]
