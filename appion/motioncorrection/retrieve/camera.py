"""What is known of a camera, from files: gain and dark reference, defective pixels."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable

import numpy as np

from appion.base.failures import ConfigurationFailure, Failure
from appion.base.retrieve.movies import readFrames, readMovieHeader
from appion.motioncorrection.calc.internal import references

#: Bytes of a text file that is read: nobody lists more blocks of bad pixels, or groups of frames.
MAX_TEXT = 1 << 22


def readText(path: str, what: str) -> str:
    """Return the text of a file that a person or a program wrote.

    Raises:
        ConfigurationFailure: it cannot be read, or is too long.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ConfigurationFailure(f"{what} {path} is no file")
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationFailure(f"{what} {path} cannot be read: {error}") from error
    if len(text) > MAX_TEXT:
        raise ConfigurationFailure(f"{what} {path} has more than {MAX_TEXT} characters", "is it the right file?")
    return text


def readImage(path: str, what: str, shape: tuple[int, int]) -> np.ndarray:
    """Return the (first) picture of an MRC or TIFF file as float32, rows as stored, for frames of `shape`.

    Raises:
        ConfigurationFailure: it cannot be read, or has more pixels than a frame.
    """
    try:
        header = readMovieHeader(path)
        if math.prod(header.shape) > math.prod(shape):  # before memory is taken for what cannot fit
            references.fitReference(np.broadcast_to(np.float32(0), header.shape), shape, f"{what} {path}")
        return np.array(next(readFrames(header, [(0,)])), np.float32)
    except ConfigurationFailure:
        raise
    except (Failure, OSError) as error:
        raise ConfigurationFailure(f"{what} {path} cannot be read: {error}") from error


def readReferences(shape: tuple[int, int], gain: str, dark: str, rotate: int, flip: int, invert: bool, defectmap: str,
                   defectfile: str, report: Callable[[str], None]
                   ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return gain, dark (float32 or None) and the mask of defects (or None), all of `shape` (rows, columns).

    A dark of another size is left out with a warning, as MotionCor does; a gain or defect map of another size is an
    error.

    Raises:
        ConfigurationFailure: a file cannot be read or does not fit.
    """
    if flip not in references.FLIPS:
        raise ConfigurationFailure(f"-FlipGain {flip}", "give 0, 1 or 2")
    found: list[np.ndarray | None] = [None, None]
    for i, (name, path) in enumerate((("gain", gain), ("dark", dark))):
        if not path:
            continue
        report(f"Load {name} reference from\n   {path}")
        try:
            image = references.orientReference(readImage(path, f"{name} reference", shape), rotate, flip)
            found[i] = np.ascontiguousarray(references.fitReference(image, shape, f"{name} reference {path}"))
        except ConfigurationFailure as failure:
            if name == "gain" or "frames are" not in failure.reason:
                raise
            report(f"Warning: {failure}: it is left out.")
            continue
        report(f"{name.capitalize()} reference has been loaded.\n")
    if found[0] is not None and invert:
        found[0] = references.invertGain(found[0])
    if found[0] is not None:
        checkGain(found[0], gain, report)
    if found[1] is not None and not found[1].any():
        found[1] = None
    return found[0], found[1], readDefects(shape, defectmap, defectfile)


def checkGain(gain: np.ndarray, path: str, report: Callable[[str], None]) -> None:
    """Warn of a gain reference that changes the scale of the sum.

    Raises:
        ConfigurationFailure: more of it is not positive than a camera has defects.
    """
    unseen = ~(np.isfinite(gain) & (gain > 0))
    references.checkDefects(unseen, f"gain reference {path}, 0, negative or no number there,", references.MANY_UNSEEN)
    mean = references.calcGainMean(gain)
    if references.isFarFromOne(mean):
        report(f"Warning: gain reference {path} has a mean of {mean:.4g} instead of about 1, and scales the sum so.")


def readDefects(shape: tuple[int, int], defectmap: str, defectfile: str) -> np.ndarray | None:
    """Return the mask of defective pixels of a map and a file of blocks (x y width height), or None without either."""
    mask = None
    if defectmap:
        image = readImage(defectmap, "defect map", shape)
        mask = references.fitReference(image, shape, f"defect map {defectmap}") != 0
    if defectfile:
        mask = np.zeros(shape, bool) if mask is None else mask
        for number, line in enumerate(readText(defectfile, "defect file").splitlines(), 1):
            words = line.replace(",", " ").split()
            if not words or words[0].startswith("#"):
                continue
            try:
                x, y, width, height = (int(word) for word in words)
            except ValueError:
                raise ConfigurationFailure(f"defect file {defectfile}, line {number}: {line!r}",
                                           "write: x y width height") from None
            mask[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = True
    if mask is not None:
        references.checkDefects(mask, " and ".join(filter(None, (
            defectmap and f"defect map {defectmap}", defectfile and f"defect file {defectfile}"))))
    return mask
