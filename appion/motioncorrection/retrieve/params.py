"""The parameters of new exposures, read in a number of queries that does not depend on how many there are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import sinedon
from appion.base.calc.cameras import calcFrameCount, classifyCamera
from appion.base.calc.pixelsize import calcPixelSize, selectPixelSize
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, tryEach
from appion.base.records.runfolder import driftPlotPath, thumbnailPath
from appion.base.retrieve.paths import (
    constructFrameFolder,
    constructImagePath,
    constructMovieFormats,
    expandVariables,
    findMovie,
    listMovies,
)
from appion.base.retrieve.plausible import checkCalibration, checkCamera, checkScope
from appion.base.retrieve.rows import getRow, readPair
from appion.base.retrieve.taken import constructTaken
from appion.motioncorrection.calc.external.program import constructLogName
from appion.motioncorrection.calc.internal.dose import calcTotalDose
from appion.motioncorrection.calc.internal.frames import calcFrameSelection, isIntegrated
from appion.motioncorrection.calc.internal.geometry import calcFrameOrientation
from appion.motioncorrection.records import (
    Defects,
    MotionCorrectionFiles,
    MotionCorrectionOptions,
    MotionCorrectionOrigin,
    MotionCorrectionParams,
    MotionCorrectionTask,
    Program,
    References,
)
from appion.motioncorrection.retrieve.exposures import Rows, readExposures
from appion.motioncorrection.retrieve.plausible import checkDose, checkFrames, checkTimes

log = logging.getLogger(__name__)

#: Cameras that Leginon saves corrected frames of: neither gain nor dark reference is used.
CORRECTED_CAMERAS = frozenset({"Falcon2", "Falcon3"})

#: Rendered frames that are worth a warning; the web pages refuse more.
MANY_FRAMES = 300


@dataclass(frozen=True)
class ParamsContext:
    """What is the same for all exposures of a run.

    Attributes:
        rundir: the run folder; scratch: the folder under which each exposure gets a scratch folder of its own.
        options, program, timeout, undo_eer_flip, missing_frames, leave_out_odd_frames: as in MotionCorrectionParams.
        normalise_gain: as in References.
        framepath: folder of the movies instead of the session's, or empty.
    """

    rundir: str
    scratch: str
    options: MotionCorrectionOptions
    program: Program
    framepath: str = ""
    timeout: float = 3600.0
    undo_eer_flip: bool | None = None
    missing_frames: int = 0
    leave_out_odd_frames: bool = False
    normalise_gain: bool = False


def retrieveParams(ids: Sequence[int], context: ParamsContext) -> dict[int, MotionCorrectionTask | Failure]:
    """Return the parameters of the images `ids` with their origin; a Failure where an image's rows do not give them.

    At most 12 queries. Of files, only the existence of movies is looked at where the rows leave several possible.
    """
    rows = readExposures(ids, context.options.refimgid)
    return tryEach(ids, lambda image_id: constructTask(image_id, rows, context))


def constructTask(image_id: int, rows: Rows, context: ParamsContext) -> MotionCorrectionTask:
    """Return origin and parameters of one image.

    Raises:
        ImageFailure: a row that the image refers to, or a value in it, is missing.
        ConfigurationFailure: no calibration of the pixel size, an unknown camera, a reference image that does not fit,
            a choice of frames that is impossible, a value that cannot be.
    """
    image = rows.images.get(image_id)
    if image is None:
        raise ImageFailure(f"image {image_id} is not in the database")
    if not image.filename or "/" in image.filename:
        raise ImageFailure(f"image {image_id} has the file name {image.filename!r}")
    options = context.options
    session = getRow(rows.sessions, image, "session")
    camera = getRow(rows.cameras, image, "camera")
    scope = getRow(rows.scopes, image, "scope")
    preset = rows.presets.get(sinedon.refId(image, "preset") or 0)
    checkScope(scope)
    checkCamera(camera)
    name = readCameraName(camera, rows)
    kind = classifyCamera(name, bool(camera.eer_frames))
    checkTimes(camera, kind)
    flip, rotate = calcFrameOrientation(
        kind, camera.frame_flip, camera.frame_rotate, image_id,
        rows.version_changes.get(sinedon.refId(camera, "ccdcamera") or 0, ()),
    )
    if options.force_cpu_flat and (flip or rotate):
        raise ConfigurationFailure(
            f"--force_cpu_flat with camera '{name}', whose frames are turned (flip {int(flip)}, rotation {rotate})",
            "leave --force_cpu_flat out: the program turns the gain reference itself",
        )
    if options.doseweight and options.totaldose is None:
        checkDose(preset)
    totaldose = calcTotalDose(options.totaldose, preset.dose if preset else None)
    if options.doseweight and totaldose and not scope.high_tension:
        raise ImageFailure(f"microscope row {scope.def_id} has no high tension, which weighting by dose needs")
    nframes = calcFrameCount(kind, camera.exposure_time, camera.frame_time, camera.nframes)
    checkFrames(camera, nframes)
    folders = constructFrameFolders(session, sinedon.refId(camera, "ccdcamera"), rows, context)
    formats = constructMovieFormats(kind, camera.tiff_frames, camera.eer_frames)
    movie, movie_format = findMovie(folders, image.filename, formats, kind)
    size = options.rendered_frame_size
    integrated = isIntegrated(movie_format == "eer", size)
    frames = calcFrameSelection(nframes, size, integrated, options.startframe, options.nframe)
    if integrated and frames.used > MANY_FRAMES:
        warnOnce(f"--rendered_frame_size={size} makes {frames.used} frames of each movie, which MotionCor holds in"
                 f" memory all at once: give {-(-nframes // MANY_FRAMES)} or more to have at most {MANY_FRAMES}")
    origin = MotionCorrectionOrigin(
        image_id=image_id,
        filename=image.filename,
        session_id=session.def_id,
        rundir=context.rundir,
        image_path=expandVariables(session.image_path or ""),
        preset=preset.name if preset else None,
        camera_dimension=readPair(camera, "dimension"),
        camera_binning=readPair(camera, "binning"),
        references=replace(
            constructReferences(image, name, kind, rows, context), normalise_gain=context.normalise_gain),
        other_movies=tuple(path for path, _ in listMovies(folders, image.filename, formats) if path != movie),
        taken=constructTaken(image, scope, preset.name if preset else None),
    )
    columns, lines = origin.camera_dimension
    params = MotionCorrectionParams(
        name=image.filename,
        movie=movie,
        movie_format=movie_format,
        nframes=nframes,
        pixelsize=constructPixelSize(image, camera, scope, name, rows),
        voltage=int((scope.high_tension or 0) / 1000),
        program=context.program,
        files=constructFiles(context.rundir, image.filename, context.program.kind),
        scratch=f"{context.scratch}/{image_id}",
        options=options,
        totaldose=totaldose,
        frame_flip=flip,
        frame_rotate=rotate,
        frame_shape=(columns, lines) if rotate % 2 else (lines, columns),
        undo_eer_flip=context.undo_eer_flip,
        missing_frames=context.missing_frames,
        leave_out_odd_frames=context.leave_out_odd_frames,
        timeout=context.timeout,
    )
    return MotionCorrectionTask(origin, params)


def constructFiles(rundir: str, name: str, kind: str) -> MotionCorrectionFiles:
    """Return the files of an exposure in the run folder, named as classic Appion names them for a kind of program."""
    names = (f"{name}_c.mrc", f"{name}_c-DW.mrc", f"{name}_st_Log.txt", constructLogName(name, kind))
    pictures = thumbnailPath(rundir, name), driftPlotPath(rundir, name)
    return MotionCorrectionFiles(*(f"{rundir}/{one}" for one in names), *map(str, pictures))


def readCameraName(camera: Any, rows: Rows) -> str:
    return getRow(rows.instruments, camera, "ccdcamera").name or ""


def constructFrameFolders(session: Any, ccdcamera: int | None, rows: Rows, context: ParamsContext) -> list[str]:
    """Return the folders in which the movie may be: given, or of a buffer host and of the session."""
    if context.framepath:
        return [context.framepath]
    buffer = rows.buffer_paths.get((session.def_id, ccdcamera or 0))
    return [*([buffer] if buffer else []), constructFrameFolder(session.frame_path, session.image_path or "")]


def constructPixelSize(image: Any, camera: Any, scope: Any, name: str, rows: Rows) -> float:
    """Return the pixel size (Å) of an image."""
    setting = scope.magnification, sinedon.refId(scope, "tem") or 0, sinedon.refId(camera, "ccdcamera") or 0
    calibration = selectPixelSize(rows.calibrations.get(setting, ()), image.def_timestamp)
    if calibration is None:
        raise ConfigurationFailure(
            f"no pixel size is calibrated for magnification {scope.magnification} of camera '{name}'"
            f" (microscope {setting[1]}, camera {setting[2]})", "calibrate it in Leginon"
        )
    binning = readPair(camera, "binning")[0]
    checkCalibration(rows.calibrations[setting], calibration, binning)
    return calcPixelSize(calibration, binning)


def constructReferences(image: Any, name: str, kind: str, rows: Rows, context: ParamsContext) -> References:
    """Return gain, dark and defects: of the image itself or of --refimgid; none where CryoSPARC has used its own."""
    if context.options.cryosparc:
        return References()
    source = image
    refimgid = context.options.refimgid
    if refimgid:
        source = rows.images.get(refimgid)
        if source is None:
            raise ConfigurationFailure(f"--refimgid={refimgid}: there is no such image")
        other = readCameraName(getRow(rows.cameras, source, "camera"), rows)
        if other != name:
            raise ConfigurationFailure(
                f"--refimgid={refimgid} was taken with camera '{other}', image {image.def_id} with '{name}'",
                "give an image of the same camera",
            )
    defects = constructDefects(source, rows) if not context.options.force_cpu_flat else Defects()
    uncorrected = kind not in CORRECTED_CAMERAS
    gain = context.options.gainfile
    if not gain and uncorrected and sinedon.refId(source, "norm"):
        gain = constructReferencePath(getRow(rows.norms, source, "norm"), rows)
    if not gain or not uncorrected or not sinedon.refId(source, "dark"):
        return References(gain, defects=defects)
    try:
        return References(gain, *constructDark(source, rows), defects)
    except Failure as failure:
        warnOnce(f"movies are corrected without a dark reference: {failure}")
        return References(gain, defects=defects)


def constructDark(source: Any, rows: Rows) -> tuple[str, int]:
    """Return path and number of frames of the dark image that belongs to an image."""
    dark = getRow(rows.darks, source, "dark")
    camera = getRow(rows.cameras, dark, "camera")
    kind = classifyCamera(readCameraName(camera, rows), bool(camera.eer_frames))
    nframes = calcFrameCount(kind, camera.exposure_time, camera.frame_time, camera.nframes)
    return constructReferencePath(dark, rows), nframes


@lru_cache(maxsize=256)
def warnOnce(message: str) -> None:
    log.warning("%s", message)


def constructReferencePath(reference: Any, rows: Rows) -> str:
    """Return the path of a norm or dark image in the folder of its own session."""
    session = getRow(rows.sessions, reference, "session")
    name = reference.mrc_image or reference.filename
    if not name:
        raise ImageFailure(f"{type(reference).__name__} {reference.def_id} has no file name")
    return constructImagePath(session.image_path or "", session.name or "", name)


def constructDefects(source: Any, rows: Rows) -> Defects:
    """Return the bad rows, columns and pixels of an image's corrector plan."""
    plan = rows.plans.get(sinedon.refId(source, "corrector_plan") or 0)
    if plan is None:
        return Defects()
    try:
        bad = (
            tuple(int(row) for row in plan.bad_rows or ()),
            tuple(int(col) for col in plan.bad_cols or ()),
            tuple((int(x), int(y)) for x, y in plan.bad_pixels or ()),
        )
    except (TypeError, ValueError) as error:
        raise ImageFailure(f"corrector plan {plan.def_id} has bad rows, columns or pixels amiss: {error}") from error
    if not any(bad):
        return Defects()
    cols, rows_ = readPair(getRow(rows.cameras, source, "camera"), "dimension")
    return Defects(*bad, shape=(rows_, cols))
