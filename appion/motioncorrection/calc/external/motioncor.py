"""The motion correction of one movie: run the program, check what it made, turn it, keep it."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appion.base.calc.thumbnail import calcThumbnail
from appion.base.failures import ImageFailure
from appion.base.programs.blame import explainFailure
from appion.base.programs.follow import followProgram
from appion.base.programs.identify import isRunnable
from appion.base.programs.output import readText
from appion.base.programs.run import constructThreadVariables, runProgram
from appion.base.retrieve.movies import MovieHeader, readMovieHeader
from appion.base.store.files import moveFile
from appion.base.store.scratch import saveOwner, workInScratch
from appion.motioncorrection.calc.external.command import (
    INTFILE,
    calcReduction,
    calcUpsampling,
    constructInputName,
    constructIntFile,
    constructMotionCorCmd,
    constructOutputName,
    isWeighted,
    selectFrames,
)
from appion.motioncorrection.calc.external.failure import classifyRun
from appion.motioncorrection.calc.external.log import findWarnings, parseMotionCorLog, parsePatchShifts
from appion.motioncorrection.calc.external.movie import checkMovie, followMovie
from appion.motioncorrection.calc.external.orientation import compareOrientation, describeOrientation
from appion.motioncorrection.calc.external.pictures import savePictures
from appion.motioncorrection.calc.external.sums import readSum, saveSum
from appion.motioncorrection.calc.internal.frames import calcRenderedFrameCount, isIntegrated
from appion.motioncorrection.calc.internal.geometry import orientToLeginon
from appion.motioncorrection.calc.internal.trajectory import calcLocalMotion, calcPositions, constructShiftLog
from appion.motioncorrection.records import MotionCorrectionParams, MotionCorrectionResult

#: Output of the program in the scratch folder.
OUTPUT = "output.txt"


def calcMotionCorrection(params: MotionCorrectionParams) -> MotionCorrectionResult:
    """Correct the motion of one movie and return what was made.

    The program runs in a scratch folder of its own. Its sums, turned into the orientation of the gain reference, and
    both logs go where `params.files` says, and nothing else is written. The environment variable APPION_GPU says which
    GPU to use, else the first of `params.options.gpuids`.

    Raises:
        NotReady: the movie is missing or incomplete.
        ImageFailure: the program failed on this movie, or what it made is not right.
        InfrastructureFailure: the host, its GPU or a disk failed.
        ConfigurationFailure: the program is missing, or an option is impossible for this movie.
    """
    with workInScratch(*os.path.split(params.scratch)) as scratch:
        return _correct(params, scratch, os.uname().nodename)


def _correct(params: MotionCorrectionParams, scratch: Path, host: str) -> MotionCorrectionResult:
    header = readMovieHeader(params.movie)
    checkMovie(header, params)
    params, lines = followMovie(header, params)
    argv = _prepareScratch(params, scratch)
    started = time.time()
    folders = (scratch, *map(Path, params.files.folders))
    log = Path(params.files.program_log)
    with followProgram(params.program, argv, scratch / OUTPUT, log, folders, (params.movie,)):
        shifts, local_motion, images, said = _runProgram(params, header, argv, scratch)
    made = images[-1]
    images = [_turn(params, image) for image in images]
    pixelsize = params.pixelsize * params.options.bin
    sum_files = (params.files.sum, params.files.weighted)[: len(images)]
    # Put together in the scratch folder: of a worker that is killed meanwhile nothing stays among results.
    for path, image in zip(sum_files, images, strict=True):
        whole = scratch / f"whole_{Path(path).name}"
        saveSum(whole, image, pixelsize, params.program)
        moveFile(whole, path)
    positions = calcPositions(shifts, calcReduction(params))
    frames = selectFrames(params)
    shift_log = scratch / "whole_shifts.txt"
    shift_log.write_text(constructShiftLog(positions, frames.rendered, frames.throw), encoding="utf-8")
    moveFile(shift_log, params.files.shift_log)
    orientation, scores, warnings = _checkOrientation(params, images[0])
    if params.files.thumbnail:
        # turned when it is small: of what is turned, rows are not in the order of memory
        warnings += savePictures(params, lambda: _turn(params, calcThumbnail(made)), positions, scratch)
    return MotionCorrectionResult(
        params=params,
        argv=tuple(argv),
        host=host,
        started=started,
        seconds=round(time.time() - started, 3),
        shifts=tuple(shifts),
        positions=tuple(positions),
        sum_file=sum_files[0],
        dw_file=sum_files[1] if len(sum_files) > 1 else "",
        shape=images[0].shape,
        log_file=params.files.shift_log,
        program_log_file=params.files.program_log,
        orientation=orientation,
        orientation_scores=scores,
        mean=float(images[0].mean(dtype=np.float64)),
        local_motion=local_motion,
        warnings=tuple(dict.fromkeys((*_compareFrames(params, header), *lines, *header.warnings, *said, *warnings))),
    )


def _prepareScratch(params: MotionCorrectionParams, scratch: Path) -> list[str]:
    """Put what the program needs into the scratch folder; return its command line."""
    name = constructInputName(params)
    if name != params.movie:
        (scratch / name).symlink_to(params.movie)
    text = constructIntFile(params)
    if text:
        (scratch / INTFILE).write_text(text, encoding="utf-8")
    gpu = os.environ.get("APPION_GPU") or None
    return constructMotionCorCmd(params, name, constructOutputName(params), INTFILE if text else "", gpu)


def _runProgram(
    params: MotionCorrectionParams, header: MovieHeader, argv: list[str], scratch: Path
) -> tuple[list[tuple[float, float]], float | None, list[NDArray], list[str]]:
    """Run the program; return the shifts, the local motion, the sums as it made them, and what it warned of."""
    output = scratch / OUTPUT
    run = runProgram(
        argv, scratch, output, params.timeout, lambda pid: saveOwner(scratch, pid),
        constructThreadVariables(params.threads),
    )  # fmt: skip
    text = readText(output)
    failure = classifyRun(run, params.program.kind, text, params.timeout, partial(isRunnable, params.program))
    if failure:
        raise failure
    try:
        shifts = parseMotionCorLog(text)
        _checkShiftCount(params, header, len(shifts))
        local_motion = calcLocalMotion(parsePatchShifts(text))
        return shifts, local_motion, _readSums(params, header, scratch), findWarnings(text, params.program.kind)
    except ImageFailure as error:
        # exit code 0 says little: what the program wrote about its trouble decides whose fault it is
        failure = explainFailure(error.reason, text, ended_well=True)
        failure.remedy = failure.remedy or error.remedy
        raise failure from error


def _checkShiftCount(params: MotionCorrectionParams, header: MovieHeader, found: int) -> None:
    """Raise ImageFailure unless there are as many shifts as frames that were used.

    A movie may have a frame more than the camera row tells, which the program uses as well; grouped frames may be
    reported one by one or by group.
    """
    frames = selectFrames(params)
    size = params.options.rendered_frame_size if isIntegrated(params.is_eer, params.options.rendered_frame_size) else 1
    counts = {frames.used, calcRenderedFrameCount(header.nframes, size) - frames.throw - frames.trunc}
    group = max(1, params.options.nrw)
    counts |= {one for count in counts for one in (count // group, -(-count // group))}
    if found not in counts:
        raise ImageFailure(f"the program's log has {found} shifts for {frames.used} frames")


def _readSums(params: MotionCorrectionParams, header: MovieHeader, scratch: Path) -> list[NDArray]:
    rows, cols = (side / params.options.bin for side in header.shape)
    pixelsizes: tuple[float, ...] = ()
    if isWeighted(params):
        given = params.pixelsize / calcUpsampling(params)
        pixelsizes = (params.pixelsize * params.options.bin, given)
    path = scratch / constructOutputName(params)
    images = [readSum(path, "sum", (rows, cols), pixelsizes)]
    if isWeighted(params):
        weighted = path.with_name(path.name.removesuffix(".mrc") + "_DW.mrc")
        images.append(readSum(weighted, "dose-weighted sum", images[0].shape, pixelsizes))
    return images


def _turn(params: MotionCorrectionParams, image: NDArray) -> NDArray:
    """Return a sum as the program made it in the orientation of the gain reference, which is Leginon's."""
    upside_down = params.undo_eer_flip if params.undo_eer_flip is not None else params.program.kind == "motioncor2"
    return orientToLeginon(image, params.frame_flip, params.frame_rotate, params.is_eer and upside_down)


def _compareFrames(params: MotionCorrectionParams, header: MovieHeader) -> list[str]:
    """Return warnings about a movie that is not what was expected, or of which too little is known."""
    lines = []
    if params.options.doseweight and not isWeighted(params):
        lines.append("the dose is unknown, so no dose-weighted sum was made: measure it in Leginon or give --totaldose")
    expected = params.frame_shape
    if expected is not None and header.shape != expected:
        rows, cols = reversed(expected) if params.frame_rotate % 2 else expected
        lines.append(
            f"the movie has frames of {header.shape[1]} x {header.shape[0]} pixels, the image {cols} x {rows};"
            " the pixel size used is that of the image"
        )
    if header.nframes > params.nframes:
        lines.append(f"the movie has {header.nframes} frames, the camera row says {params.nframes}")
    return lines


def _checkOrientation(
    params: MotionCorrectionParams, image: NDArray
) -> tuple[int | None, tuple[float, ...], list[str]]:
    """Compare a sum with the picture, if there is one; return the orientation that fits, the scores, and warnings."""
    orientation, scores, warnings = compareOrientation(params, image)
    if orientation:
        warnings = [
            f"ORIENTATION: the sum of {params.name} fits Leginon's picture when"
            f" {describeOrientation(orientation, scores)}: check flip and rotation of the camera"
            " and the setting motioncorrection.undo_eer_flip"
        ]
    return orientation, scores, warnings
