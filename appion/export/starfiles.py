"""`appion export --star`: the files of an export, in the order in which nothing names what is not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appion.base.failures import Failure, ImageFailure, classifyException
from appion.base.store.files import writeAtomically
from appion.export.micrographs import (
    LeftOut,
    Micrograph,
    checkName,
    getTask,
    readFiles,
    readMovieSize,
    requireExposures,
)
from appion.export.motion import Motion, calcTurn, constructMotionBlocks, hasLog, readMotion
from appion.export.optics import assignGroups, clusterShifts
from appion.export.place import Place, replaceBy
from appion.export.relion import Entry, constructCorrected, constructFitted, constructOptics
from appion.export.rowlines import readPositions
from appion.export.session import Exposure
from appion.export.star import formatStar

#: Folders of an export.
MICROGRAPHS, MOVIES, GAINS, MOTION, SPECTRA = "Micrographs", "Movies", "Gain", "Motion", "Spectra"
CORRECTED, FITTED = "corrected_micrographs.star", "micrographs_ctf.star"


@dataclass(frozen=True)
class StarOptions:
    """How to write STAR files.

    Attributes:
        by_image_shift: whether micrographs of different image shift are of different optics groups; µm between them.
        as_movies: whether micrographs are turned to lie as RELION reads the movies; else they lie as Leginon has them.
        contrast: amplitude contrast of micrographs without a fit.
    """

    by_image_shift: float | None = None
    as_movies: bool = False
    contrast: float | None = None


@dataclass(frozen=True)
class Exported:
    """What was written: the STAR files, how many micrographs are in each, and with motion; what was left out."""

    files: tuple[Path, ...]
    corrected: int
    fitted: int
    motions: int
    groups: int
    left_out: tuple[str, ...]


def exportStar(exposures: Sequence[Exposure], place: Place, options: StarOptions) -> Exported:
    """Write the STAR files of some exposures, and links or copies of what they name.

    Raises:
        ConfigurationFailure: there is nothing to export.
        OSError: a file cannot be written.
    """
    left_out = LeftOut()
    micrographs = readFiles(exposures, left_out, options.contrast)
    requireExposures(micrographs, left_out, "no micrograph has all that it takes")
    optics = [one.optics for one in micrographs]
    if options.by_image_shift is not None:
        positions = clusterShifts([getShift(one) for one in micrographs], options.by_image_shift)
        optics = [replace(one, position=position) for one, position in zip(optics, positions, strict=True)]
    groups, numbers = assignGroups(optics)
    known = readStoredPositions(exposures)
    entries = []
    for micrograph, number in zip(micrographs, numbers, strict=True):
        try:
            entries.append(placeMicrograph(micrograph, number, place, options, known, left_out))
        except Failure as failure:
            left_out.add(failure.reason, micrograph.exposure.name)
    requireExposures(entries, left_out, "no micrograph could be placed")
    fitted = [entry for entry in entries if entry.micrograph.hasFit]
    files = [place.folder / CORRECTED]
    table = constructOptics(groups)
    writeAtomically(files[0], formatStar([table, constructCorrected(entries)]))
    if fitted:
        files.append(place.folder / FITTED)
        writeAtomically(files[1], formatStar([table, constructFitted(fitted)]))
    else:
        (place.folder / FITTED).unlink(missing_ok=True)
    motions = sum(bool(entry.metadata) for entry in entries)
    return Exported(tuple(files), len(entries), len(fitted), motions, len(groups), tuple(left_out.describe()))


def getShift(micrograph: Micrograph) -> tuple[float, float] | None:
    """Return the image shift of a micrograph, µm; None if it is not known."""
    x, y = (micrograph.line.get(f"image_shift_{axis}") for axis in "xy")
    task = micrograph.exposure.task
    if (x is None or y is None) and task is not None and not isinstance(task, Failure):
        x, y = task.origin.taken.image_shift  # the line is of an earlier version
    return None if x is None or y is None else (x, y)


def readStoredPositions(exposures: Sequence[Exposure]) -> dict[int, tuple[tuple[float, float], ...]]:
    """Return the positions of frames by rows, of exposures that have no log of any kind; pixels of the sum."""
    found: dict[int, tuple[tuple[float, float], ...]] = {}
    for run in {id(one.motion): one.motion for one in exposures if one.motion is not None}.values():
        tasks = {one.image_id: one.task for one in exposures if one.motion is run and one.task is not None}
        bare = [number for number, task in tasks.items()
                if not isinstance(task, Failure) and not hasLog(run.rundir, task.params.name)]  # fmt: skip
        found |= readPositions(run, bare, tasks)
    return found


def placeMicrograph(
    micrograph: Micrograph,
    group: int,
    place: Place,
    options: StarOptions,
    positions: dict[int, tuple[tuple[float, float], ...]],
    left_out: LeftOut,
) -> Entry:
    """Place the files of a micrograph and write its motion, as far as there is any; what is missing is noted.

    Raises:
        Failure: it is to be turned, and nothing tells how.
    """
    exposure, session = micrograph.exposure, micrograph.session
    task = motion = None
    turn, trouble = (False, 0), ""
    try:
        task = getTask(exposure)
        motion = readMotion(task.origin.rundir, task.params, positions.get(exposure.image_id, ()))
        turn = calcTurn(task.params, motion.kind)
    except Exception as error:
        trouble = classifyException(error).reason
    if options.as_movies and motion is None:
        raise ImageFailure(f"how it lies to its movie is not known: {trouble}")

    def put(source: str) -> str:
        parts = MICROGRAPHS, session, checkName(Path(source).name)
        turned = options.as_movies and turn != (False, 0)
        return place.turn(source, turn, *parts) if turned else place.place(source, *parts)

    entry = Entry(
        micrograph, group, put(micrograph.path), put(micrograph.plain) if micrograph.plain else "",
        turn=turn if options.as_movies else (False, 0),
    )  # fmt: skip
    if micrograph.spectrum and micrograph.hasFit:
        name = Path(micrograph.spectrum).name
        entry = replace(entry, spectrum=place.place(micrograph.spectrum, SPECTRA, session, name))
    if exposure.motion is None:
        return entry
    if motion is not None and turn != (False, 0) and not options.as_movies:
        trouble = "its micrograph lies otherwise than its movie: --orientation=movie turns it, for polishing"
    if trouble or motion is None or task is None:
        left_out.add(f"without motion: {trouble}", exposure.name)
        return entry
    if not Path(task.params.movie).exists():
        left_out.add("nothing but the movie, which is not there: its link leads nowhere", exposure.name)
    try:
        return saveMotion(entry, motion, place, options)
    except Exception as error:
        left_out.add(f"without motion: {classifyException(error).reason}", exposure.name)
        return entry


def saveMotion(entry: Entry, motion: Motion, place: Place, options: StarOptions) -> Entry:
    """Write the STAR file of an exposure's motion, link movie and gain reference; return the entry with their paths."""
    exposure, session = entry.micrograph.exposure, entry.micrograph.session
    task = getTask(exposure)
    number, shape = readMovieSize(task)
    dose = task.params.totaldose and task.params.totaldose * number / task.params.nframes
    params = replace(task.params, nframes=number, totaldose=dose)
    name = checkName(Path(params.movie).name)
    # To RELION a file called .mrc is one image, or a volume.
    movie = place.link(params.movie, MOVIES, session, f"{name}s" if name.endswith(".mrc") else name)
    source, gain = task.origin.references.gain, ""
    if source and Path(source).is_file():
        name = checkName(Path(source).name)
        turned = options.as_movies and entry.turn != (False, 0)
        parts = GAINS, session, name
        gain = place.turn(source, entry.turn, *parts) if turned else place.link(source, *parts)
    blocks = constructMotionBlocks(motion, params, shape, movie, gain)
    text, name = formatStar(blocks), f"{checkName(exposure.name)}.star"
    replaceBy(place.find(MOTION, session, name), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return replace(entry, movie=movie, metadata=place.refer(MOTION, session, name))
