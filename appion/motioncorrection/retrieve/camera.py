"""What is known of a camera, from files: gain and dark reference, defective pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from appion.base.failures import ConfigurationFailure, Failure
from appion.base.retrieve.movies import readFrames, readMovieHeader
from appion.motioncorrection.calc.internal import references


def readImage(path: str, what: str) -> np.ndarray:
    """Return the (first) picture of an MRC or TIFF file as float32, rows as stored.

    Raises:
        ConfigurationFailure: it cannot be read.
    """
    try:
        header = readMovieHeader(path)
        return np.array(next(readFrames(header, [(0,)])), np.float32)
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
        image = references.orientReference(readImage(path, f"{name} reference"), rotate, flip)
        try:
            found[i] = np.ascontiguousarray(references.fitReference(image, shape, f"{name} reference {path}"))
        except Failure as failure:
            if name == "gain":
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
        image = readImage(defectmap, "defect map")
        mask = references.fitReference(image, shape, f"defect map {defectmap}") != 0
    if defectfile:
        mask = np.zeros(shape, bool) if mask is None else mask
        try:
            lines = Path(defectfile).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationFailure(f"defect file {defectfile} cannot be read: {error}") from error
        for number, line in enumerate(lines, 1):
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
