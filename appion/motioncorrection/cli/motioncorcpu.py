"""motioncor-cpu: MotionCor2's command line, files and log, without a GPU.

Differences: local motion is one smooth field, fitted to all pixels, not patch by patch; the first frame kept has shift
0 (as in MotionCor3) unless -FmRef says otherwise; _DWS is made only if -SumRange is given; _DW is scaled to the plain
sum's noise and mean.

Exit codes: 0 done, 2 wrong options, 3 the movie cannot be read (yet), 4 the output cannot be written, 6 failed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appion.base.cli.numerics import prepareNumerics
from appion.base.cli.screen import bearWithReader, replaceUnshowable
from appion.base.cli.waiting import readOptions
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, InfrastructureFailure, NotReady
from appion.base.records.stamp import readVersion
from appion.motioncorrection.cli.motioncortags import CommandLine, formatHelp, formatValues, parseCommandLine

if TYPE_CHECKING:
    import numpy as np

    from appion.base.retrieve.movies import MovieHeader
    from appion.motioncorrection.calc.internal.correct import Correction
    from appion.motioncorrection.calc.internal.integration import RenderedFrame

#: Columns and rows of patches, at most.
MOST_PATCHES = 30
#: Decoded frames of a compressed movie are kept in memory up to so many bytes, else decoded anew for each pass.
KEPT_BYTES = 600 << 20
#: Seconds after which a thread that waits for its turn to run Python gets it: they work on blocks of a millisecond.
TURN = 0.0005


class OutputFailure(InfrastructureFailure):
    """The output cannot be written."""

#: What is loaded before a movie or micrograph is known, where the program is kept ready.
NEEDED = (
    "appion.base.retrieve.movies", "appion.motioncorrection.calc.internal.correct",
    "appion.motioncorrection.cli.motioncorlogs",
)  # fmt: skip


@bearWithReader
def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    argv = readOptions(argv, NEEDED)
    if argv is None:
        return 0
    replaceUnshowable()
    if [word.lower() for word in argv] == ["--version"]:
        print(f"motioncor-cpu version {readVersion()}")
        return 0
    if not argv or [word.lower() for word in argv] == ["--help"]:
        print(formatHelp())
        return 0 if argv else 2
    start = time.perf_counter()
    code = 0
    try:
        runCommand(parseCommandLine(argv))
    except Failure as failure:
        codes: tuple[tuple[type[Failure], int], ...] = ((ConfigurationFailure, 2), (NotReady, 3), (OutputFailure, 4))
        code = next((number for kind, number in codes if isinstance(failure, kind)), 6)
        print(f"Error: {failure}", file=sys.stderr)
    except (MemoryError, OSError) as error:
        code = 6
        print(f"Error: {type(error).__name__}: {error}", file=sys.stderr)
    print(f"Total time: {time.perf_counter() - start:.6f} sec", flush=True)
    return code


def say(line: str = "") -> None:
    print(line, flush=True)


def runCommand(command: CommandLine) -> None:
    """Correct the movie of a command line and write its sums.

    Raises:
        Failure: see the exit codes.
    """
    say(f"motioncor-cpu version {readVersion()}\n\n{formatValues(command)}\n")
    for line in command.warnings:
        say(line)
    if "Gpu" in command.given:
        say("-Gpu: no GPU is used.")
    patches = readPatches(command)
    if patches == (0, 0) and max(command.values["Patch"][:2]) > 1:
        say("-Patch: whole frames are aligned, local motion takes 2 or more columns and rows.")
    output, logs = checkOutput(command), checkLogFolder(command)
    threads = countThreads(command.get("Threads"))
    prepareNumerics()  # before they are imported
    sys.setswitchinterval(TURN)
    from appion.base.retrieve import movies
    from appion.motioncorrection.calc.internal import correct
    from appion.motioncorrection.calc.internal.threads import Threads
    from appion.motioncorrection.cli import motioncorlogs

    movie = findMovie(command)
    header = movies.readMovieHeader(movie)
    for line in header.warnings:
        say(f"Warning: {line}.")
    frames, before = selectFrames(command, header)
    say(f"{'EER' if header.format == 'eer' else header.format.upper()} stack: "
        f"{header.shape[1]}  {header.shape[0]}  {header.nframes}")
    correction = constructCorrection(command, header, frames, before, threads)
    say(f"Rendered stack: {correction.shape[1]}  {correction.shape[0]}  {len(frames)}\n")
    start = time.perf_counter()
    reader = constructReader(header, frames, command.get("EerSampling"), threads)
    corrected = correct.correctMovie(reader, correction, say)
    local = None
    if patches != (0, 0):
        local = motioncorlogs.calcPatchShifts(corrected.field, patches, correction.shape, len(frames))
    tables = motioncorlogs.formatShifts(corrected.shifts) + (motioncorlogs.formatPatches(*local) if local else [])
    say("\n".join(tables))
    say(f"\nComputation time: {time.perf_counter() - start:.6f} sec\n")
    pixelsize = (command.get("PixSize") or header.pixelsize) * max(1.0, command.get("FtBin"))
    say("Saving motion corrected images ......")
    images = {output.with_name(f"{output.name[:-4]}{suffix}.mrc"): image for suffix, image in
              (("", corrected.total), ("_DW", corrected.weighted), ("_DWS", corrected.ranged)) if image is not None}
    with Threads(threads) as pool:
        pool.map(saveImage, images, images.values(), [pixelsize] * len(images))
    for path in images:
        say(f"   {path}")
    say("Saving motion corrected images done.\n")
    if logs:
        try:
            motioncorlogs.writeLogs(logs, Path(movie).stem, corrected.shifts, local)
        except OSError as error:
            raise OutputFailure(f"cannot write into {logs}: {error}") from error


def readPatches(command: CommandLine) -> tuple[int, int]:
    """Return the patches (across, down) of -Patch; (0, 0), for whole frames, unless both are 2 or more."""
    across, down = command.values["Patch"][:2]
    if not (0 <= across <= MOST_PATCHES and 0 <= down <= MOST_PATCHES):
        raise ConfigurationFailure(f"-Patch {across} {down}", f"give 0 to {MOST_PATCHES} columns and rows")
    return (across, down) if min(across, down) > 1 else (0, 0)


def checkLogFolder(command: CommandLine) -> Path | None:
    """Return the folder of -LogDir, which must be writable, or None."""
    if not command.get("LogDir"):
        return None
    path = Path(command.get("LogDir"))
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        raise OutputFailure(f"cannot write into {path} (-LogDir)", "the folder does not exist or is not writable")
    return path


def checkOutput(command: CommandLine) -> Path:
    """Return the path of the plain sum, which must end in .mrc, lie in a writable folder and not be the movie."""
    name = command.get("OutMrc")
    if not name:
        raise ConfigurationFailure("-OutMrc is missing", "name the file to write, ending in .mrc")
    path = Path(name if name.lower().endswith(".mrc") else name + ".mrc")
    if any(source and os.path.realpath(source) == os.path.realpath(path)
           for source in (command.get("InMrc"), command.get("InTiff"), command.get("InEer"))):
        raise ConfigurationFailure(f"{path} is both movie and output", "choose another -OutMrc")
    if not os.access(path.parent, os.W_OK | os.X_OK) or path.is_dir():
        raise OutputFailure(f"cannot write {path}", "the folder does not exist or is not writable")
    return path


def countThreads(wanted: int) -> int:
    """Return how many threads to use."""
    environment = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted if wanted > 0 else int(environment) if environment.isdigit() and int(environment) else available


def findMovie(command: CommandLine) -> str:
    """Return the one movie that is given."""
    movies = [command.get(name) for name in ("InMrc", "InTiff", "InEer") if command.get(name)]
    if len(movies) != 1:
        raise ConfigurationFailure(f"{len(movies)} movies are given", "give one of -InMrc, -InTiff, -InEer")
    return movies[0]


def selectFrames(command: CommandLine, header: MovieHeader) -> tuple[list[RenderedFrame], float]:
    """Return the rendered frames of -FmIntFile without those of -Throw and -Trunc, and the dose (e/Å²) before them."""
    from appion.motioncorrection.calc.internal import integration
    from appion.motioncorrection.retrieve import camera

    text, size = None, 1
    if command.get("FmIntFile"):
        text = camera.readText(command.get("FmIntFile"), "-FmIntFile")
    elif header.format == "eer":
        size = max(1, header.nframes // integration.EER_FRAMES)
        say(f"-FmIntFile is missing: {size} raw frames are summed to one.")
    frames = integration.constructFrames(header.nframes, command.get("FmDose"), text, size)
    used = sum(frame.last - frame.first for frame in frames)
    if used < header.nframes:
        say(f"Warning: {header.nframes - used} of {header.nframes} raw frames are in no rendered frame.")
    throw, trunc = command.get("Throw"), command.get("Trunc")
    if throw < 0 or trunc < 0 or throw + trunc >= len(frames):
        raise ConfigurationFailure(f"-Throw {throw} -Trunc {trunc} leave nothing of {len(frames)} frames")
    before = command.get("InitDose") + sum(frame.dose for frame in frames[:throw])
    return frames[throw : len(frames) - trunc], before


def constructCorrection(command: CommandLine, header: MovieHeader, frames: list[RenderedFrame], before: float,
                        threads: int) -> Correction:
    """Read the references and put together what is to be done."""
    from appion.motioncorrection.calc.internal import correct, doseweight
    from appion.motioncorrection.retrieve import camera

    sampling = command.get("EerSampling")
    if sampling not in (1, 2, 3):
        raise ConfigurationFailure(f"-EerSampling {sampling}", "give 1, 2 or 3")
    factor = 2 ** (sampling - 1) if header.format == "eer" else 1
    shape = header.shape[0] * factor, header.shape[1] * factor
    if command.get("FtBin") < 1:
        raise ConfigurationFailure(f"-FtBin {command.get('FtBin')}", "give a factor of 1 or more")
    if command.get("Bft") <= 0 or command.get("Iter") < 1:
        raise ConfigurationFailure(f"-Bft {command.get('Bft')} -Iter {command.get('Iter')}", "give positive numbers")
    reference = command.get("FmRef")
    first = command.get("Throw")
    if reference > 0 and not first < reference <= first + len(frames):
        raise ConfigurationFailure(f"-FmRef {reference} is none of the frames {first + 1} to {first + len(frames)}")
    doses = [frame.dose for frame in frames]
    weighted = command.get("PixSize") > 0 and command.get("kV") > 0 and all(dose > 0 for dose in doses)
    references = camera.readReferences(
        shape, gain=command.get("Gain"), dark=command.get("Dark"), rotate=command.get("RotGain") % 4,
        flip=command.get("FlipGain"), invert=bool(command.get("InvGain")), defectmap=command.get("DefectMap"),
        defectfile=command.get("DefectFile"), report=say)
    return correct.Correction(
        shape, len(frames), *references, bin=command.get("FtBin"), group=command.get("Group"),
        bfactor=command.get("Bft"), iterations=command.get("Iter"), tolerance=command.get("Tol"),
        align=bool(command.get("Align")), patches=readPatches(command),
        reference=reference - first - 1 if reference > 0 else 0,
        exposures=doseweight.calcExposures(doses, before) if weighted else None,
        pixelsize=command.get("PixSize"), kv=command.get("kV"),
        sumrange=command.values["SumRange"][:2] if "SumRange" in command.given else None,
        first=first + 1, leave_out_odd=bool(command.get("LeaveOutOdd")), threads=threads)


def constructReader(header: MovieHeader, frames: list[RenderedFrame], sampling: int,
                    threads: int) -> Callable[[], Iterator[np.ndarray]]:
    """Return a function that yields the rendered frames, however often it is called."""
    from appion.base.retrieve import movies
    from appion.motioncorrection.calc.internal.packing import PackedFrame, packFrame, unpackFrame

    groups = [range(frame.first, frame.last) for frame in frames]
    kept: list[PackedFrame | np.ndarray] = []

    def read() -> Iterator[np.ndarray]:
        if len(kept) == len(groups):
            yield from map(unpackFrame, kept)
            return
        kept.clear()
        for i, frame in enumerate(movies.readFrames(header, groups, sampling, threads)):
            if header.format != "mrc" and len(kept) == i:
                packed = packFrame(frame)
                if packed.nbytes * len(groups) <= KEPT_BYTES:
                    kept.append(packed)
                else:
                    kept.clear()
            yield frame

    return read


def saveImage(path: Path, image: Any, pixelsize: float) -> None:
    """Write a float32 MRC file under a temporary name, then rename it.

    Raises:
        OutputFailure: it cannot be written.
        ImageFailure: the image has values that are no numbers, or is constant.
    """
    import mrcfile
    import numpy as np

    from appion.base.records.stamp import cleanLabel

    if not np.isfinite(image).all():
        raise ImageFailure(f"{path}: the sum is not finite", "look at the movie and the gain reference")
    if image.min() == image.max():
        raise ImageFailure(f"{path}: the sum is {image.flat[0]:g} everywhere", "look at movie and gain reference")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with mrcfile.new(temporary, overwrite=True) as mrc:
            mrc.set_data(image)
            mrc.voxel_size = pixelsize
            mrc.add_label(cleanLabel(f"made by motioncor-cpu {readVersion()} of appion {readVersion()}"))
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputFailure(f"cannot write {path}: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
