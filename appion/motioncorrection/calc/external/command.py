"""The command line of MotionCor2, MotionCor3 and motioncor-cpu, in classic Appion's order and format.

The three programs share their options, with these differences. MotionCor3 knows no -MaskSize and -MaskCent and
estimates the CTF of every sum unless the spherical aberration is 0; that belongs to a later step here, so it gets
`-Cs 0` unless something else is asked for.

Output and integration file are named relative to the folder the program runs in, and a movie with a long path is linked
there: the programs copy each argument into 256 bytes, and cut the output's name at the first ".mrc" of its path.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.motioncorrection.calc.internal.dose import calcFrameDose, calcRawFrameDose
from appion.motioncorrection.calc.internal.frames import (
    EER_FACTORS,
    FrameSelection,
    calcFrameSelection,
    constructFmIntFile,
    isIntegrated,
)
from appion.motioncorrection.records import MotionCorrectionOptions, MotionCorrectionParams

#: Longest path that is passed to a program; its buffers hold 256 bytes.
MAX_PATH = 240

#: Name of the frame integration file in the scratch folder.
INTFILE = "intfile.txt"

INPUT_FLAGS = {"mrc": "-InMrc", "tif": "-InTiff", "eer": "-InEer"}


def calcUpsampling(params: MotionCorrectionParams) -> int:
    """Return by how much the rendered frames are larger than the camera's (EER only: 1, 2 or 4)."""
    return EER_FACTORS[params.options.eer_sampling] if params.is_eer else 1


def calcReduction(params: MotionCorrectionParams) -> float:
    """Return by how much the aligned image is smaller than the rendered frames: the value of -FtBin."""
    return params.options.bin * calcUpsampling(params)


def selectFrames(params: MotionCorrectionParams) -> FrameSelection:
    """Return which frames of the exposure are used. Raises ConfigurationFailure when none is left."""
    options = params.options
    integrated = isIntegrated(params.is_eer, options.rendered_frame_size)
    return calcFrameSelection(
        params.nframes, options.rendered_frame_size, integrated, options.startframe, options.nframe
    )


def isWeighted(params: MotionCorrectionParams) -> bool:
    """Return whether a dose-weighted sum is made: asked for, and the dose is known."""
    return params.options.doseweight and bool(params.totaldose)


def constructIntFile(params: MotionCorrectionParams) -> str:
    """Return the text of the frame integration file, or an empty string where the exposure needs none."""
    size = params.options.rendered_frame_size
    if not isIntegrated(params.is_eer, size):
        return ""
    return constructFmIntFile(params.nframes, size, calcRawFrameDose(params.totaldose, params.nframes))


def constructInputName(params: MotionCorrectionParams) -> str:
    """Return how the movie is named to the program: its path, or a link in the scratch folder if that is too long."""
    if len(params.movie.encode()) <= MAX_PATH:
        return params.movie
    return f"{params.name[-(MAX_PATH - 20):]}_st{Path(params.movie).suffix}"


def constructOutputName(params: MotionCorrectionParams) -> str:
    """Return the name of the sum relative to the scratch folder. A ".mrc" inside the name would cut it short."""
    return params.name.replace(".mrc", "_mrc")[-(MAX_PATH - 20) :] + "_c.mrc"


def constructMotionCorCmd(
    params: MotionCorrectionParams, input: str, output: str, intfile: str = "", gpu: str | None = None
) -> list[str]:
    """Return the program's command line.

    Args:
        params: the exposure; `dark`, `gain` and `defect_map` are passed where they are not empty.
        input, output: movie and sum as the program shall be given them.
        intfile: name of the frame integration file; needed for EER and for rendered frames of more than one raw frame.
        gpu: number of the GPU to use instead of the first of --gpuids.

    Raises:
        ConfigurationFailure: frames, B-factors or a path that the program cannot take.
    """
    options = params.options
    frames = selectFrames(params)
    flag = "-InTiff" if options.force_tiff else INPUT_FLAGS[params.movie_format]
    command = [params.program.path, flag, input, "-OutMrc", output]
    if calcReduction(params) > 1:
        command += ["-FtBin", str(float(calcReduction(params)))]
    command += _constructAlignment(params, frames)
    if intfile:
        command += ["-FmIntFile", intfile]
    command += _constructDose(params)
    for flag, path in (("-Dark", params.dark), ("-Gain", params.gain), ("-DefectMap", params.defect_map)):
        if path and (flag != "-Dark" or params.gain):
            command += [flag, path]
    command += ["-FlipGain", str(int(params.frame_flip)), "-RotGain", str(params.frame_rotate)]
    command += ["-Gpu", gpu if gpu is not None else str(options.gpuids[0] if options.gpuids else 0)]
    if params.is_eer:
        command += ["-EerSampling", str(options.eer_sampling)]
    if params.leave_out_odd_frames and params.program.kind == "motioncor-cpu":
        command += ["-LeaveOutOdd", "1"]
    _checkLengths(command)
    return command


def _constructAlignment(params: MotionCorrectionParams, frames: FrameSelection) -> list[str]:
    """Return the options that steer the alignment."""
    options = params.options
    command = ["-Bft", str(int(options.bft_global)), str(int(options.bft_local))]
    if frames.throw > 0:
        command += ["-Throw", str(frames.throw)]
    if frames.trunc > 0:
        command += ["-Trunc", str(frames.trunc)]
    if options.iter > 0:
        command += ["-Iter", str(options.iter)]
    if options.tol:
        command += ["-Tol", f"{options.tol:.3f}"]
    if options.patchcols > 0 or options.patchrows > 0:
        command += ["-Patch", str(options.patchcols), str(options.patchrows)]
    if options.nrw:
        command += ["-Group", str(options.nrw)]
    if options.fmref > 0:
        command += ["-FmRef", str(options.fmref)]
    if params.program.kind != "motioncor3":
        if options.maskcentcol > 0 or options.maskcentrow > 0:
            command += ["-MaskCent", str(options.maskcentcol), str(options.maskcentrow)]
        if options.masksizecols > 0 or options.masksizerows > 0:
            command += ["-MaskSize", f"{options.masksizecols:.3f}", f"{options.masksizerows:.3f}"]
    return command


def _constructDose(params: MotionCorrectionParams) -> list[str]:
    """Return the options that make the program weight by dose; none without a dose."""
    command = []
    if isWeighted(params):
        size = params.options.rendered_frame_size
        integrated = isIntegrated(params.is_eer, size)
        dose = calcFrameDose(params.totaldose, params.nframes, size, integrated)
        # three decimals as classic; 0.000 would turn the weighting off
        text = f"{dose:.3f}" if dose is not None and dose >= 0.0005 else f"{dose:.3g}"
        command += ["-FmDose", text, "-PixSize", f"{params.pixelsize / calcUpsampling(params):.3f}"]
        command += ["-kV", f"{params.voltage:g}"]
    if params.program.kind == "motioncor3":
        command += _constructMotionCor3Options(params.options)
    return command


def _constructMotionCor3Options(options: MotionCorrectionOptions) -> list[str]:
    """Return the options for MotionCor3 alone, those about CTFs by -Cs: without it the program would estimate them."""
    command = ["-InSkips", *options.inskips] if options.inskips else []
    command += ["-Cs", f"{options.cs:.3f}" if options.cs else "0"]
    if options.ampcont is not None:
        command += ["-AmpCont", f"{options.ampcont:.3f}"]
    if options.extphase is not None:
        command += ["-ExtPhase", str(options.extphase)]
    return command


def _checkLengths(command: list[str]) -> None:
    for flag, value in pairwise(command):
        if flag.startswith("-") and len(value.encode()) > MAX_PATH:
            raise ConfigurationFailure(
                f"the path after {flag} is longer than {MAX_PATH} bytes, which the program would cut: {value}",
                "use a run folder or reference with a shorter path",
            )
