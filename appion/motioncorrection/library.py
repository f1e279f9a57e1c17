"""Motion correction for anybody: one movie in, its sum and the shifts out. No database, no run folder, no journal.

What is slow to import is imported when a movie is corrected.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from appion.base.calc.limits import BINNING, FRAME_DOSE, HIGH_TENSION, PIXEL_SIZE
from appion.base.failures import ConfigurationFailure, Failure
from appion.base.programs.named import findNamed
from appion.base.retrieve.arguments import checkCount, checkFile, checkNumber, checkQuantity, makeFolder
from appion.motioncorrection.records import (
    MotionCorrectionFiles,
    MotionCorrectionOptions,
    MotionCorrectionParams,
    MotionCorrectionResult,
    References,
)

if TYPE_CHECKING:
    from appion.base.retrieve.movies import MovieHeader

#: Anything that names a file.
AnyPath = str | os.PathLike[str]

#: What may be given as program.
PROGRAMS = "give the name or path of MotionCor2 or MotionCor3, or program='motioncor-cpu', which needs no GPU"


def correctMovie(
    movie: AnyPath,
    output: AnyPath,
    *,
    pixelsize: float,
    voltage: float = 300.0,
    dose_per_frame: float | None = None,
    gain: AnyPath | None = None,
    dark: AnyPath | None = None,
    dark_frames: int = 1,
    defects: AnyPath | None = None,
    flip: bool = False,
    rotate: int = 0,
    patches: int | Sequence[int] | None = None,
    bin: float = 1.0,
    first_frame: int = 0,
    frames: int | None = None,
    frames_per_sum: int = 1,
    eer_sampling: int = 1,
    group: int = 1,
    iterations: int = 7,
    tolerance: float = 0.5,
    bfactor: float = 500.0,
    patch_bfactor: float = 150.0,
    gpu: int = 0,
    program: AnyPath | None = None,
    threads: int | None = None,
    timeout: float = 3600.0,
    scratch: AnyPath | None = None,
) -> MotionCorrectionResult:
    """Correct the motion in a movie, write the sum of its frames, and return what was made.

    Beside the sum ``NAME.mrc`` stand ``NAME_DW.mrc`` (weighted by dose, if the dose is given), ``NAME_shifts.txt`` (the
    place of each frame) and ``NAME_log.txt`` (what the program said). They replace what was there, each at once and as
    a whole. Several calls may run at the same time, in threads, processes or on other hosts, if their outputs differ.

    Args:
        movie: MRC, TIFF or EER; the number of frames and their size are read from it.
        output: where the sum goes; ends in .mrc. Its folder is made if need be.
        pixelsize: of the movie's frames, Å; of EER before they are sampled more finely.
        voltage: kV.
        dose_per_frame: of each frame in the movie (of an EER movie: each raw frame), e/Å²; None or 0: unknown, and
            nothing is weighted.
        gain: gain reference, MRC or TIFF, that frames are multiplied by; None: they are corrected already.
        dark: dark image, MRC or TIFF, that is subtracted before; None: none. Only with a gain reference, not of EER.
        dark_frames: number of frames that the dark image sums up.
        defects: MRC as large as a frame and lying as the frames do, not 0 where a pixel is bad; None: all are good.
        flip, rotate: how the frames lie to the gain reference R: numpy.rot90(R, -rotate), turned upside down with
            `flip`. The sum is turned back, so that it lies as the gain reference does.
        patches: patches for local motion: their number in each direction, or (x, y); None: whole frames.
        bin: factor by which the sum is binned, 1 or more; need not be a whole number.
        first_frame: first frame to use, counted from 0.
        frames: number of frames to use; None: all.
        frames_per_sum: frames of the movie that are summed into one before anything else, for EER and many faint ones.
        eer_sampling: 1, 2 or 3: EER frames 1, 2 or 4 times finer than the camera's pixels.
        group: frames that are aligned together.
        iterations: of the alignment, at most. tolerance: change of shifts (pixels) at which it ends.
        bfactor, patch_bfactor: of the alignment of whole frames and of patches, Å².
        gpu: number of the GPU; the variable APPION_GPU goes before it. Nothing to a program without one.
        program: name or path: MotionCor2, MotionCor3, or ``motioncor-cpu``, which ships with this package and needs no
            GPU; None: searched for as the commands do it.
        threads: for a program without GPU; None: by the variable OMP_NUM_THREADS, else all processors.
        timeout: seconds after which the program is killed.
        scratch: folder for temporary files; None: that of the system (TMPDIR, else /tmp).

    Raises:
        ConfigurationFailure: an argument is impossible, or there is no program; says what to do.
        NotReady: the movie is not complete.
        ImageFailure: the program failed on this movie, or what it made is not right.
        InfrastructureFailure: the host, its GPU or a disk failed.
    """
    from appion.base.retrieve.movies import readMovieHeader
    from appion.motioncorrection.calc.external import calcMotionCorrection, checkProgram
    from appion.motioncorrection.store.references import writeReferences

    path, target = checkFile("movie", movie), _checkOutput(output, movie)
    header = readMovieHeader(path)
    options = _constructOptions(
        header.nframes, bin, patches, first_frame, frames, frames_per_sum, eer_sampling, group, iterations, tolerance,
        bfactor, patch_bfactor, gpu, bool(dose_per_frame),
    )  # fmt: skip
    dose = None if dose_per_frame is None else checkQuantity("dose_per_frame", dose_per_frame, FRAME_DOSE, 1.0) or None
    params = MotionCorrectionParams(
        name=target.stem.lstrip("-") or "movie",
        movie=path,
        movie_format=header.format,
        nframes=header.nframes,
        pixelsize=checkQuantity("pixelsize", pixelsize, PIXEL_SIZE, 0.83),
        voltage=checkQuantity("voltage", voltage, HIGH_TENSION, 300),
        program=findNamed(program, "motioncor2", ("motioncor3",), PROGRAMS),
        files=_constructFiles(target),
        scratch="",
        options=options,
        totaldose=None if dose is None else dose * header.nframes,
        frame_flip=bool(flip),
        frame_rotate=checkCount("rotate", rotate, 0, 3, 1),
        defect_map="" if defects is None else _checkDefects(checkFile("defects", defects), header, eer_sampling),
        threads=0 if threads is None else checkCount("threads", threads, 1, 4096, 4),
        timeout=checkNumber("timeout", timeout, "s", 1, 1e7, 3600),
    )
    checkProgram(params.program, options)
    references = _constructReferences(gain, dark, dark_frames, params, header)
    place = None if scratch is None else makeFolder("scratch", scratch)
    with tempfile.TemporaryDirectory(prefix="appion-", dir=place, ignore_cleanup_errors=True) as folder:
        named = writeReferences(params, references, Path(folder) / "references")
        named = replace(named, defect_map=params.defect_map, scratch=f"{folder}/{params.name[-100:]}")
        return calcMotionCorrection(named)


def _checkOutput(output: AnyPath, movie: AnyPath) -> Path:
    """Return the absolute path of the sum; its folder is there."""
    try:
        target = Path(os.path.abspath(os.fspath(output)))
    except TypeError:
        raise ConfigurationFailure(f"output={output!r} is not a path", "give where the sum goes: NAME.mrc") from None
    if target.suffix != ".mrc" or target.is_dir() or os.path.realpath(target) == os.path.realpath(movie):
        raise ConfigurationFailure(f"output={output!s} cannot be the sum", "give another file that ends in .mrc")
    makeFolder("output", target.parent)
    return target


def _constructFiles(target: Path) -> MotionCorrectionFiles:
    ends = ("_DW.mrc", "_shifts.txt", "_log.txt")
    return MotionCorrectionFiles(str(target), *(str(target.with_name(f"{target.stem}{end}")) for end in ends))


def _constructOptions(
    nframes: int, bin: float, patches: int | Sequence[int] | None, first_frame: int, frames: int | None,
    frames_per_sum: int, eer_sampling: int, group: int, iterations: int, tolerance: float, bfactor: float,
    patch_bfactor: float, gpu: int, doseweight: bool,
) -> MotionCorrectionOptions:  # fmt: skip
    columns, rows = _readPatches(patches)
    start = checkCount("first_frame", first_frame, 0, nframes - 1, 0)
    return MotionCorrectionOptions(
        bin=checkQuantity("bin", bin, BINNING, 2),
        startframe=start,
        nframe=None if frames is None else checkCount("frames", frames, 1, nframes - start, nframes - start),
        doseweight=doseweight,
        gpuids=(checkCount("gpu", gpu, 0, 1000, 0),),
        nrw=checkCount("group", group, 1, 1000, 1),
        iter=checkCount("iterations", iterations, 1, 1000, 7),
        tol=checkNumber("tolerance", tolerance, "pixels", 0.001, 100, 0.5),
        patchrows=rows,
        patchcols=columns,
        bft_global=checkNumber("bfactor", bfactor, "Å²", 1, 1e5, 500),
        bft_local=checkNumber("patch_bfactor", patch_bfactor, "Å²", 1, 1e5, 150),
        rendered_frame_size=checkCount("frames_per_sum", frames_per_sum, 1, 10**5, 1),
        eer_sampling=checkCount("eer_sampling", eer_sampling, 1, 3, 1),
    )


def _readPatches(patches: int | Sequence[int] | None) -> tuple[int, int]:
    """Return patches as (columns, rows), (0, 0) for whole frames."""
    if patches is None:
        return 0, 0
    pair = (patches, patches) if not isinstance(patches, Sequence) or isinstance(patches, str) else tuple(patches)
    if len(pair) != 2:
        raise ConfigurationFailure(f"patches={patches!r} is not possible", "give a number, or (x, y)")
    columns, rows = (checkCount("patches", number, 1, 100, 5) for number in pair)
    return columns, rows


def _constructReferences(
    gain: AnyPath | None, dark: AnyPath | None, dark_frames: int, params: MotionCorrectionParams, header: MovieHeader
) -> References:
    """Return what reference files are made from, having looked whether it can be used."""
    nframes = checkCount("dark_frames", dark_frames, 1, 10**6, 1)
    if gain is not None:
        _checkGain(checkFile("gain", gain), params, header)
    if dark is None:
        return References(gain="" if gain is None else checkFile("gain", gain))
    if gain is None or params.is_eer:
        what = "of an EER movie" if params.is_eer else "without a gain reference"
        raise ConfigurationFailure(f"dark={dark!s} {what} is not subtracted", "leave it out, or give gain as well")
    _readHeader("dark", checkFile("dark", dark))
    return References(checkFile("gain", gain), checkFile("dark", dark), nframes)


def _checkGain(gain: str, params: MotionCorrectionParams, header: MovieHeader) -> None:
    """Raise ConfigurationFailure unless the gain reference, turned as the frames are, divides them evenly."""
    from appion.motioncorrection.calc.external.command import calcUpsampling
    from appion.motioncorrection.store.references import fitsFrames, isReadable

    if not isReadable(gain):
        return
    found = _readHeader("gain", gain)
    frame = tuple(side * calcUpsampling(params) for side in header.shape)
    if not fitsFrames(found.shape, frame, params.frame_rotate % 2 == 1):
        raise ConfigurationFailure(
            f"gain={gain} has {found.shape[1]} x {found.shape[0]} pixels, the frames have {frame[1]} x {frame[0]}",
            "give the gain reference of this camera, and how it is turned with rotate",
        )


def _checkDefects(path: str, header: MovieHeader, sampling: int) -> str:
    """Return the path of a map of defects that marks no more than a camera has."""
    from appion.motioncorrection.calc.internal.frames import EER_FACTORS
    from appion.motioncorrection.calc.internal.references import checkDefects
    from appion.motioncorrection.retrieve.camera import readImage

    factor = EER_FACTORS.get(sampling, 1) if header.format == "eer" else 1
    frame = header.shape[0] * factor, header.shape[1] * factor
    checkDefects(readImage(path, "defects", frame) != 0, f"defects={path}")
    return path


def _readHeader(name: str, path: str) -> MovieHeader:
    from appion.base.retrieve.movies import readMovieHeader

    try:
        return readMovieHeader(path)
    except Failure as error:
        raise ConfigurationFailure(
            f"{name}={path} cannot be used: {error.reason}", "give an MRC or TIFF image"
        ) from error
