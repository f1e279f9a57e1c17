"""Reference files for the program, made once per distinct content in one folder, ``<rundir>/references`` in a run.

The gain reference is used where it lies; the dark reference has to be divided by its number of frames and bad pixels
have to be drawn as a map, so both become files there. Their names hold a hash of what they are made from: whoever
needs the same content finds the file, and a dry run can name it without writing it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import mrcfile
import numpy as np

from appion.base.failures import (
    ConfigurationFailure,
    ImageFailure,
    InfrastructureFailure,
    NotReady,
    classifyException,
)
from appion.base.records.stamp import addLabels
from appion.base.retrieve.access import judgeAccess
from appion.base.retrieve.movies import MovieHeader, readFrames, readMovieHeader
from appion.motioncorrection.calc.internal.defects import calcDefectMap
from appion.motioncorrection.calc.internal.frames import EER_FACTORS
from appion.motioncorrection.calc.internal.references import calcGainMean, isFarFromOne, normaliseGain
from appion.motioncorrection.records import MotionCorrectionParams, MotionCorrectionTask, References

log = logging.getLogger(__name__)

#: The only MRC mode (32-bit real) that every version of every program takes as a gain reference.
GAIN_MODE = 2

#: What to do about a gain reference that is not there: its disk may be away, so the exposures are tried again.
MISSING_GAIN = "restore it, and the run goes on by itself; or start again with --gainfile or --refimgid"

#: Size and time of change (ns) of a file: enough to tell that it is still the one that was read.
Identity = tuple[int, int]

#: Combinations of gain reference and camera setting that were found to fit.
_fitting: set[tuple[object, ...]] = set()


def constructReferenceNames(task: MotionCorrectionTask) -> MotionCorrectionTask:
    """Return a task with the paths of the reference files in its parameters; see :func:`nameReferences`."""
    return replace(task, params=nameReferences(task.params, task.origin.references, constructFolder(task)))


def constructFolder(task: MotionCorrectionTask) -> Path:
    """Return the folder of the run's reference files."""
    return Path(task.origin.rundir) / "references"


def saveReferences(task: MotionCorrectionTask) -> MotionCorrectionTask:
    """Write the reference files of one exposure, unless they are there; return the task with their paths.

    Raises:
        NotReady: the gain reference is missing or not complete: like a movie, it is waited for.
        InfrastructureFailure: a file cannot be written.
        ConfigurationFailure: the gain reference is no image, or does not fit the movie's frames.
    """
    checkGain(task)
    return replace(task, params=writeReferences(task.params, task.origin.references, constructFolder(task)))


def nameReferences(params: MotionCorrectionParams, references: References, folder: Path) -> MotionCorrectionParams:
    """Return `params` with the paths in `folder` of the reference files that belong to them; nothing is written.

    `dark` is empty if there is no dark image or it is zero everywhere; `gain` is a new file only if it has to be
    converted or normalised. Dark and defects are left out where the program is not to use them: dark without gain or
    for EER, defects with ``--force_cpu_flat``.

    Raises:
        NotReady: the gain reference is missing or not complete.
        ConfigurationFailure: it is no image.
    """
    gain = references.gain
    if gain and isReadable(gain):
        identity = readGainIdentity(gain)
        header = readGainHeader(gain, identity)
        foreign = header.format == "mrc" and (header.mode != GAIN_MODE or header.offset < 0)  # negative: big-endian
        if references.normalise_gain and isFarFromOne(readGainMean(gain, identity)):
            gain = str(folder / f"gain-{calcHash(gain, identity, 'normalised')}.mrc")
        elif foreign:
            gain = str(folder / f"gain-{calcHash(gain, identity)}.mrc")
    dark = ""
    if references.gain and references.dark and not params.is_eer:
        dark_identity = readDarkIdentity(references.dark)
        if dark_identity and hasSignal(references.dark, dark_identity):
            dark = str(folder / f"dark-{calcHash(references.dark, dark_identity, references.dark_nframes)}.mrc")
    defect_map = ""
    if references.defects and not params.options.force_cpu_flat:
        content = calcHash(references.defects, bool(params.frame_flip), params.frame_rotate % 4)
        defect_map = str(folder / f"defects-{content}.mrc")
    return replace(params, gain=gain, dark=dark, defect_map=defect_map)


def writeReferences(params: MotionCorrectionParams, references: References, folder: Path) -> MotionCorrectionParams:
    """Write the reference files of one movie into `folder`, unless they are there; return `params` with their paths.

    Raises:
        NotReady: the gain reference is missing or not complete.
        InfrastructureFailure: a file cannot be written.
        ConfigurationFailure: the gain reference is no image.
    """
    named = nameReferences(params, references, folder)
    if named.gain != references.gain:
        saveOnce(named.gain, lambda: constructGain(references))
    if named.dark:
        frames = max(1, references.dark_nframes)
        saveOnce(named.dark, lambda: readImage(references.dark).astype(np.float32) / frames)
    if named.defect_map:
        saveOnce(named.defect_map, lambda: calcDefectMap(references.defects, params.frame_flip, params.frame_rotate))
    return named


def constructGain(references: References) -> np.ndarray:
    """Return the gain reference as the program is to have it, float32."""
    gain = readImage(references.gain).astype(np.float32)
    return normaliseGain(gain) if references.normalise_gain else gain


def checkGain(task: MotionCorrectionTask) -> None:
    """Look whether there is a gain reference that, turned as the frames are, divides them evenly.

    One movie of each camera setting is looked at. Other formats than MRC and TIFF are left to the program.

    Raises:
        NotReady: it is missing or not complete.
        ConfigurationFailure: it does not fit, or is no image.
    """
    origin, params = task.origin, task.params
    gain = origin.references.gain
    if not gain or not isReadable(gain):
        return
    identity = readGainIdentity(gain)
    rotate = 0 if params.options.force_cpu_flat else params.frame_rotate % 2
    upsampling = EER_FACTORS[params.options.eer_sampling] if params.is_eer else 1
    setting = (gain, identity, rotate, upsampling, params.movie_format, origin.camera_dimension, origin.camera_binning)
    if setting in _fitting:
        return
    shape = readGainHeader(gain, identity).shape
    frame = tuple(side * upsampling for side in readMovieHeader(params.movie).shape)
    if not fitsFrames(shape, frame, bool(rotate)):
        rows, cols = reversed(shape) if rotate else shape
        raise ConfigurationFailure(
            f"gain reference {gain}, turned as the frames are, has {cols} x {rows} pixels, which do not evenly "
            f"divide the {frame[1]} x {frame[0]} pixels of {params.movie}",
            "give the right reference with --gainfile or --refimgid, or correct the camera's frame rotation in Leginon",
        )
    warnOfScale(gain, readGainMean(gain, identity), origin.references.normalise_gain)
    _fitting.add(setting)


def warnOfScale(gain: str, mean: float, normalised: bool) -> None:
    """Warn, once, of a gain reference whose mean is far from 1."""
    if isFarFromOne(mean):
        what = ("is divided by it (appion.motioncorrection.normalise_gain)" if normalised else
                "scales all sums by it; appion.motioncorrection.normalise_gain: true would divide by it")
        warnOnce(f"gain reference {gain} has a mean of {mean:.4g} instead of about 1, and {what}")


def fitsFrames(shape: tuple[int, ...], frame: tuple[int, ...], turned: bool) -> bool:
    """Return whether a gain reference (rows, columns), turned by a quarter or not, evenly divides a frame."""
    rows, cols = reversed(shape) if turned else shape
    return frame[0] % rows == 0 and frame[1] % cols == 0 and frame[0] // rows == frame[1] // cols


def checkGainFile(path: str) -> None:
    """Raise ConfigurationFailure if the file of ``--gainfile`` is no image; one that is not complete is waited for."""
    if path and isReadable(path):
        with contextlib.suppress(NotReady):
            readGainHeader(path, readGainIdentity(path))


def isReadable(path: str) -> bool:
    return path.lower().endswith((".mrc", ".mrcs", ".tif", ".tiff"))


def readGainIdentity(path: str) -> Identity:
    try:
        return readIdentity(path)
    except FileNotFoundError as error:
        raise NotReady(f"gain reference {path} does not exist", MISSING_GAIN) from error


@lru_cache(maxsize=64)
def readGainHeader(path: str, _identity: Identity) -> MovieHeader:
    """Return what a gain reference (MRC or TIFF) is.

    Raises:
        NotReady: it is not complete.
        ConfigurationFailure: it is no image.
    """
    try:
        return readMovieHeader(path)
    except NotReady as error:
        raise NotReady(f"gain reference is not complete: {error.reason}", MISSING_GAIN) from error
    except ImageFailure as error:
        raise ConfigurationFailure(
            f"gain reference cannot be used: {error.reason}", "restore it, or give another with --gainfile"
        ) from error


@lru_cache(maxsize=64)
def readGainMean(path: str, _identity: Identity) -> float:
    """Return the mean of a gain reference; NotReady or ConfigurationFailure as :func:`readGainHeader`."""
    header = readGainHeader(path, _identity)
    try:
        return calcGainMean(next(readFrames(header)))
    except ImageFailure as error:
        raise ConfigurationFailure(
            f"gain reference cannot be used: {error.reason}", "restore it, or give another with --gainfile"
        ) from error


def readDarkIdentity(path: str) -> Identity | None:
    """Return the identity of a dark image, None (with a warning) if it is not there."""
    try:
        return readIdentity(path)
    except FileNotFoundError as error:
        failure = judgeAccess(path, error)
        if isinstance(failure, InfrastructureFailure):  # its folder is away, and without it results would be others
            raise failure from error
        warnOnce(f"dark reference {path} does not exist; movies are corrected without one")
        return None


@lru_cache(maxsize=64)
def hasSignal(path: str, _identity: Identity) -> bool:
    """Return whether any pixel of a dark image differs from zero; an unreadable one counts as zero, with a warning."""
    try:
        return bool(readImage(path).any())
    except (NotReady, ImageFailure) as error:
        warnOnce(f"dark reference cannot be read ({error.reason}); movies are corrected without one")
        return False


@lru_cache(maxsize=64)
def warnOnce(message: str) -> None:
    log.warning("%s", message)


def readIdentity(path: str) -> Identity:
    """Return size and time of change of a file; a disk that does not answer is an InfrastructureFailure."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise classifyException(error) from error
    return status.st_size, status.st_mtime_ns


def readImage(path: str) -> np.ndarray:
    """Return the (first) image of a file as (rows, columns); NotReady or ImageFailure if it cannot be read."""
    return next(readFrames(readMovieHeader(path)))


def calcHash(*content: object) -> str:
    """Return 12 hexadecimal digits that stand for `content` (plain values and records of them)."""
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def saveOnce(path: str, construct: Callable[[], np.ndarray]) -> None:
    """Write an image as MRC unless the file exists; a file of that name is always complete.

    Raises:
        InfrastructureFailure: the folder cannot be written to.
    """
    target = Path(path)
    if target.exists():
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    image = construct()
    try:
        target.parent.mkdir(exist_ok=True)  # not the run folder: without it, it is away
        with mrcfile.new(temporary, overwrite=True) as mrc:
            mrc.set_data(image)
            addLabels(mrc)
        os.replace(temporary, target)
    except OSError as error:
        raise InfrastructureFailure(
            f"cannot write reference {path}: {error}", "make room or permit writing; the run goes on by itself"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
