"""The motion that CryoSPARC has found in place of a program's: read, brought to Leginon's orientation, kept."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appion.base.calc.cryosparc import calcFramePositions, calcLength, findUnit
from appion.base.calc.thumbnail import calcThumbnail
from appion.base.failures import ConfigurationFailure, ImageFailure
from appion.base.records.cryosparc import CryosparcImage, CryosparcMotion
from appion.base.retrieve.cryosparc.arrays import readTrajectory
from appion.base.store.files import moveFile
from appion.base.store.scratch import workInScratch
from appion.motioncorrection.calc.external.orientation import compareOrientation, describeOrientation
from appion.motioncorrection.calc.external.pictures import savePictures
from appion.motioncorrection.calc.external.sums import readMrc, saveSum
from appion.motioncorrection.calc.internal.geometry import orientToLeginon
from appion.motioncorrection.calc.internal.trajectory import constructShiftLog
from appion.motioncorrection.records import MotionCorrectionParams, MotionCorrectionResult

#: Relative difference between CryoSPARC's pixel size and Leginon's that is not worth a word.
PIXEL_TOLERANCE = 0.02

#: By how much a side may differ from what binning makes of it: CryoSPARC crops to sizes that are easily transformed.
SIDE_TOLERANCE = 0.02

#: The orientation that a sum has whose rows should have been turned, or not: flipped upside down.
FLIPPED = 4


def ingestMotion(params: MotionCorrectionParams) -> MotionCorrectionResult:
    """Take over what CryoSPARC made of one movie and return it as if a program had been run.

    Nothing is written but what `params.files` say; CryoSPARC's files are only read.

    Raises:
        NotReady: a file is missing or not whole.
        ImageFailure: a file is not what it should be, or does not fit the exposure.
        ConfigurationFailure: the sum lies otherwise than Leginon's own picture: none of them would be right.
        InfrastructureFailure: the host or a disk failed.
    """
    with workInScratch(*os.path.split(params.scratch)) as scratch:
        return _ingest(params, scratch, os.uname().nodename)


def _ingest(params: MotionCorrectionParams, scratch: Path, host: str) -> MotionCorrectionResult:
    motion, started = params.cryosparc, time.time()
    if motion is None:
        raise ImageFailure(f"nothing is known of CryoSPARC's motion of {params.name}")
    found = motion.images[0]
    images = [_readSum(params, image) for image in motion.images]
    pixelsize = found.pixelsize or params.pixelsize * params.options.bin
    warnings = _comparePixels(params, pixelsize)
    points, said = readPoints(motion)
    positions = calcFramePositions(points, pixelsize / motion.pixelsize, not params.options.as_stored)
    images = [turnSum(params, image) for image in images]
    orientation, scores, unsure = checkTurn(params, images[0])
    targets = [params.files.sum] * (motion.plain is not None) + [params.files.weighted] * (motion.weighted is not None)
    for path, image in zip(targets, images, strict=True):
        whole = scratch / f"whole_{Path(path).name}"
        saveSum(whole, image, pixelsize, params.program)
        moveFile(whole, path)
    params = followFrames(replace(params, pixelsize=pixelsize / params.options.bin), motion)
    texts = (
        (params.files.shift_log, constructShiftLog(positions, motion.frames or motion.last, motion.first)),
        (params.files.program_log, describeMotion(params, motion)),
    )
    for path, text in texts:
        whole = scratch / "whole.txt"
        whole.write_text(text, encoding="utf-8")
        moveFile(whole, path)
    if params.files.thumbnail:
        unsure += savePictures(params, lambda: calcThumbnail(np.ascontiguousarray(images[0])), positions, scratch)
    return MotionCorrectionResult(
        params=params,
        argv=(),
        host=host,
        started=started,
        seconds=round(time.time() - started, 3),
        shifts=_calcShifts(positions, pixelsize / motion.pixelsize),
        positions=tuple(positions),
        sum_file=params.files.sum if motion.plain is not None else "",
        dw_file=params.files.weighted if motion.weighted is not None else "",
        shape=images[0].shape,
        log_file=params.files.shift_log,
        program_log_file=params.files.program_log,
        orientation=orientation,
        orientation_scores=scores,
        warnings=tuple(dict.fromkeys((*warnings, *said, *unsure))),
    )


def _readSum(params: MotionCorrectionParams, image: CryosparcImage) -> NDArray[np.float32]:
    """Return a sum as CryoSPARC has it, in 32 bits whatever it was written in; checked against the exposure."""
    data, _ = readMrc(Path(image.path), f"CryoSPARC's micrograph {image.path}")
    if any(image.shape) and data.shape != image.shape:
        raise ImageFailure(f"{image.path} has {data.shape[1]} x {data.shape[0]} pixels, CryoSPARC's table says "
                           f"{image.shape[1]} x {image.shape[0]}")  # fmt: skip
    expected = params.frame_shape
    if expected is not None:
        sides = [have * params.options.bin / want for have, want in zip(data.shape, expected, strict=True)]
        if any(abs(side - 1) > SIDE_TOLERANCE for side in sides):
            raise ImageFailure(
                f"{image.path} has {data.shape[1]} x {data.shape[0]} pixels, Leginon's image {expected[1]} x "
                f"{expected[0]} and --bin={params.options.bin:g}",
                f"if all are so, give --bin={expected[0] / data.shape[0]:.4g}: by what their pixels are larger",
            )
    if not np.isfinite(data).all() or data.min() == data.max():
        raise ImageFailure(f"{image.path} has pixels that are no numbers, or is the same everywhere")
    return data


def _comparePixels(params: MotionCorrectionParams, pixelsize: float) -> list[str]:
    """Return a warning if CryoSPARC was told another pixel size than Leginon's calibration gives."""
    expected = params.pixelsize * params.options.bin
    if abs(pixelsize / expected - 1) <= PIXEL_TOLERANCE:
        return []
    return [f"CryoSPARC's pixels have {pixelsize:.4g} Å, by Leginon's calibration {expected:.4g} Å: drift is in the"
            " former"]  # fmt: skip


def readPoints(motion: CryosparcMotion) -> tuple[list[tuple[float, float]], list[str]]:
    """Return where CryoSPARC says that the specimen was in each frame that was used, in pixels, and a warning if the
    length of the path is not what its session says."""
    points = readTrajectory(motion.trajectory, motion.index)
    used = motion.last - motion.first
    if used > 0 and len(points) != used:
        if len(points) < motion.last:
            raise ImageFailure(f"{motion.trajectory} has {len(points)} frames, frames {motion.first} to {motion.last} "
                               "were used")  # fmt: skip
        points = points[motion.first : motion.last]
    unit = findUnit(points, motion.distance, motion.pixelsize)
    if unit is None:
        return points, [f"the path in {motion.trajectory} is {calcLength(points):.4g} long, CryoSPARC's session says "
                        f"{motion.distance:.4g} pixels: drift is not certain"]  # fmt: skip
    return [(x / unit, y / unit) for x, y in points], []


def turnSum(params: MotionCorrectionParams, image: NDArray) -> NDArray:
    """Return a micrograph of CryoSPARC's in Leginon's orientation.

    Its rows run the other way than those that MotionCor2, MotionCor3 and RELION write of the same movie.
    """
    return orientToLeginon(image, params.frame_flip, params.frame_rotate, not params.options.as_stored)


def checkTurn(params: MotionCorrectionParams, image: NDArray) -> tuple[int | None, tuple[float, ...], list[str]]:
    """Compare a sum with Leginon's picture; return the orientation, None if it cannot be told, scores, and warnings.

    Raises:
        ConfigurationFailure: another orientation than that of the sum fits the picture.
    """
    orientation, scores, warnings = compareOrientation(params, image)
    if not orientation:
        return orientation, scores, warnings
    # Flipping the rows before a quarter turn is flipping the columns after it.
    expected = FLIPPED if params.frame_rotate % 2 == 0 else FLIPPED + 2
    word = "without --as-stored" if params.options.as_stored else "with --as-stored"
    remedy = f"begin again {word}, in another run" if orientation == expected else (
        "check flip and rotation of the camera in Leginon")  # fmt: skip
    raise ConfigurationFailure(
        f"ORIENTATION: CryoSPARC's sum of {params.name} fits Leginon's picture when"
        f" {describeOrientation(orientation, scores)}: it is not stored", remedy,
    )  # fmt: skip


def followFrames(params: MotionCorrectionParams, motion: CryosparcMotion) -> MotionCorrectionParams:
    """Return the parameters with the frames that CryoSPARC used, in raw frames of the camera.

    CryoSPARC counts the frames that it rendered of an EER movie; where they are no whole number of raw frames each, all
    count as used.
    """
    total = motion.frames or motion.last
    group, rest = divmod(params.nframes, total) if total else (0, 1)
    if not group or rest or motion.last <= motion.first:
        return params
    options = replace(params.options, rendered_frame_size=group if params.is_eer else 1)
    if (motion.first, motion.last) != (0, total):
        options = replace(options, startframe=motion.first * group, nframe=(motion.last - motion.first) * group)
    return replace(params, options=options)


def _calcShifts(positions: list[tuple[float, float]], factor: float) -> tuple[tuple[float, float], ...]:
    """Return what each frame is moved by, as programs print it: pixels of the movie, 0 in the first frame."""
    if not positions:
        return ()
    first_x, first_y = positions[0]
    return tuple((-(x - first_x) * factor, -(y - first_y) * factor) for x, y in positions)


def describeMotion(params: MotionCorrectionParams, motion: CryosparcMotion) -> str:
    """Return what stands where the output of a program would: where everything was taken from."""
    sums = [f"micrograph {image.path}, {image.pixelsize:.6g} Å" for image in motion.images]
    lines = (
        f"taken from CryoSPARC, {params.program.path}", *sums,
        f"trajectory {motion.trajectory}, number {motion.index}, {motion.pixelsize:.6g} Å",
        f"frames {motion.first} to {motion.last} of {motion.frames or 'an unknown number'}",
        "rows as CryoSPARC has them" if params.options.as_stored else "rows turned upside down",
    )  # fmt: skip
    return "".join(f"{line}\n" for line in lines)
