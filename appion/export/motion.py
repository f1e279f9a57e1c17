"""The motion of one exposure as RELION's polishing reads it: a STAR file per movie.

Shifts are what a frame is moved by, in pixels of the movie before binning, 0 in the first frame that was used. They
belong to the frames as RELION counts them (those of the camera; of an EER movie groups of equal size from the first
on), and to the rows of the movie in the order in which RELION reads them, which for TIFF is from the bottom up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from appion.base.failures import ImageFailure
from appion.base.programs.output import readText
from appion.export.polynomial import fitField, fitPolynomial
from appion.export.star import Block, Value
from appion.motioncorrection.calc.external.command import calcReduction, calcUpsampling, selectFrames
from appion.motioncorrection.calc.external.log import parseMotionCorLog, parsePatchShifts
from appion.motioncorrection.calc.external.program import constructLogName
from appion.motioncorrection.calc.internal.field import Field
from appion.motioncorrection.records import MotionCorrectionParams

#: What RELION takes for a frame without a shift.
UNOBSERVED = -9999.0

#: A row of the log that the web viewer reads.
ADDED = re.compile(r"\.+Add Frame #(\d+) with xy shift:\s+(\S+)\s+(\S+)")
MADE_BY = re.compile(r"# (motioncor2|motioncor3|motioncor-cpu) |(motioncor-cpu) version ")


@dataclass(frozen=True)
class Motion:
    """What a program found.

    Attributes:
        kind: of the program: motioncor2, motioncor3 or motioncor-cpu.
        shifts: (frames, 2), pixels of the rendered frames, in the order of rows in which the program read the movie.
        field: beyond them, or None.
    """

    kind: str
    shifts: np.ndarray
    field: Field | None = None


def readMotion(
    rundir: Path | str, params: MotionCorrectionParams, positions: tuple[tuple[float, float], ...] = ()
) -> Motion:
    """Return the motion of an exposure: from the program's output in the run folder, else from the log of positions.

    Args:
        positions: of the exposure's row, where these are all there are, for runs that have neither.

    Raises:
        ImageFailure: none of them is there.
    """
    for kind in ("motioncor2", "motioncor3"):
        path = Path(rundir) / constructLogName(params.name, kind)
        if path.exists():
            text = readText(path)
            made = MADE_BY.search(text)
            shifts = np.array(parseMotionCorLog(text))
            return Motion((made[1] or made[2]) if made else kind, shifts, fitField(parsePatchShifts(text)))
    log = Path(rundir) / f"{params.name}_st_Log.txt"
    if log.exists():
        positions = tuple((float(x), float(y)) for _, x, y in ADDED.findall(readText(log)))
    if not positions:
        raise ImageFailure("neither a log nor a row has the shifts of all frames")
    return Motion(params.program.kind, -np.array(positions) * calcReduction(params))


def hasLog(rundir: Path | str, name: str) -> bool:
    """Return whether a run folder has a log of any kind with the motion of an exposure of this name."""
    names = (f"{name}_st_Log.txt", *(constructLogName(name, kind) for kind in ("motioncor2", "motioncor3")))
    return any((Path(rundir) / one).exists() for one in names)


def isReadUpsideDown(kind: str, movie_format: str, undo_eer_flip: bool | None = None) -> bool:
    """Return whether a program reads the rows of a movie in another order than RELION.

    RELION, MotionCor2 and 3 read TIFF from the bottom up, MotionCor2 EER as well; motioncor-cpu reads all as stored.
    """
    if movie_format == "eer":
        return kind == "motioncor2" if undo_eer_flip is None else undo_eer_flip
    return movie_format == "tif" and kind == "motioncor-cpu"


def calcTurn(params: MotionCorrectionParams, kind: str) -> tuple[bool, int]:
    """Return (flip, quarter turns) that lead from the sums, which are in Leginon's orientation, to the movie as RELION
    reads it: flipud_if_flip(rot90(sum, -turns)); (False, 0) where both are the same.
    """
    upside_down = isReadUpsideDown(kind, params.movie_format, params.undo_eer_flip)
    undone = params.is_eer and (params.undo_eer_flip if params.undo_eer_flip is not None else kind == "motioncor2")
    return (params.frame_flip != bool(undone)) != upside_down, params.frame_rotate


def turnAxis(angle: float, turn: tuple[bool, int]) -> float:
    """Return where an axis of the sum (degrees, from the columns towards the rows) lies after such a turn."""
    flip, turns = turn
    turned = angle + 90 * turns
    return ((-turned if flip else turned) + 90) % 180 - 90


def calcFrameEdges(params: MotionCorrectionParams, count: int) -> np.ndarray:
    """Return where each of `count` aligned frames begins, and the last ends, in raw frames of the movie from 0."""
    selection = selectFrames(params)
    size = params.options.rendered_frame_size
    if selection.rendered == selection.raw:
        edges = np.arange(selection.raw + 1.0)
    else:
        rest = selection.raw % size
        edges = np.array([*([0.0] if rest else []), *range(rest, selection.raw + 1, size)], float)
    used = edges[selection.throw : len(edges) - selection.trunc]
    return np.interp(np.linspace(0, len(used) - 1, count + 1), np.arange(len(used)), used)


def spreadMotion(motion: Motion, params: MotionCorrectionParams) -> tuple[Motion, int, int]:
    """Return the motion by RELION's frames, the number of the first that was used, from 0, and how many there are.

    Where both count alike the numbers stay as they are; else they lie on lines between the frames' middles.
    """
    group = params.options.rendered_frame_size if params.is_eer else 1
    number = params.nframes // group
    edges = calcFrameEdges(params, len(motion.shifts))
    middles = (edges[1:] + edges[:-1]) / 2
    wanted = (np.arange(number) + 0.5) * group
    inside = np.flatnonzero((wanted > edges[0]) & (wanted < edges[-1]))
    if not len(inside):
        raise ImageFailure("no frame that RELION would read was used")

    def spread(values: np.ndarray) -> np.ndarray:
        columns = values.reshape(len(values), -1).T
        found = np.stack([np.interp(wanted[inside], middles, column) for column in columns], axis=1)
        return found.reshape(-1, *values.shape[1:])

    field = motion.field
    if field is not None and len(field.coefficients) == len(motion.shifts):
        field = replace(field, coefficients=spread(field.coefficients))
    else:
        field = None
    return Motion(motion.kind, spread(motion.shifts), field), int(inside[0]), number


def constructMotionBlocks(
    motion: Motion, params: MotionCorrectionParams, shape: tuple[int, int], movie: str, gain: str = ""
) -> list[Block]:
    """Return the tables of one exposure's STAR file.

    Args:
        params: with the number of frames that the movie really has.
        shape: (rows, columns) of the movie as it is stored.
        movie, gain: their paths as RELION finds them.
    """
    spread, first, number = spreadMotion(motion, params)
    upside_down = isReadUpsideDown(motion.kind, params.movie_format, params.undo_eer_flip)
    finer = calcUpsampling(params)
    general: dict[str, Value] = {
        "rlnImageSizeX": shape[1] * finer, "rlnImageSizeY": shape[0] * finer, "rlnImageSizeZ": number,
        "rlnMicrographMovieName": movie,
    }  # fmt: skip
    general |= {"rlnMicrographGainName": gain} if gain else {}
    general |= {"rlnMicrographBinning": calcReduction(params),
                "rlnMicrographOriginalPixelSize": params.pixelsize / finer}  # fmt: skip
    if params.totaldose:
        group = params.options.rendered_frame_size if params.is_eer else 1
        dose = params.totaldose / params.nframes * group
        general |= {"rlnMicrographDoseRate": dose, "rlnMicrographPreExposure": 0.0}
    general |= {"rlnVoltage": float(params.voltage), "rlnMicrographStartFrame": first + 1}
    if params.is_eer:
        general |= {"rlnEERUpsampling": params.options.eer_sampling,
                    "rlnEERGrouping": params.options.rendered_frame_size}  # fmt: skip
    polynomial = fitPolynomial(spread.field, upside_down) if spread.field is not None else None
    general["rlnMotionModelVersion"] = 0 if polynomial is None else 1
    shifts = np.full((number, 2), UNOBSERVED)
    moved = (spread.shifts - spread.shifts[0]) * (1, -1 if upside_down else 1)
    shifts[first : first + len(moved)] = moved + 0.0
    blocks = [
        Block("general", {label: [value] for label, value in general.items()}, single=True),
        Block("global_shift", {
            "rlnMicrographFrameNumber": list(range(1, number + 1)),
            "rlnMicrographShiftX": shifts[:, 0].tolist(), "rlnMicrographShiftY": shifts[:, 1].tolist(),
        }),
    ]  # fmt: skip
    if polynomial is not None:
        blocks.append(Block(
            "local_motion_model",
            {"rlnMotionModelCoeffsIdx": list(range(36)),
             "rlnMotionModelCoeff": polynomial.coefficients.ravel().tolist()},
            comments=(f"what this model misses of the field that was found: RMS {polynomial.rms:.3f}, at most "
                      f"{polynomial.largest:.3f} pixels",),
        ))  # fmt: skip
    return blocks
