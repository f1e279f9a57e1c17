"""Whether a movie, by its header, is what the parameters and the program take it for."""

from __future__ import annotations

from dataclasses import replace

from appion.base.failures import ConfigurationFailure, ImageFailure, NotReady
from appion.base.retrieve.eer import checkSampling
from appion.base.retrieve.movieheader import MovieHeader
from appion.motioncorrection.calc.external.command import selectFrames
from appion.motioncorrection.records import MotionCorrectionParams


def checkMovie(header: MovieHeader, params: MotionCorrectionParams) -> None:
    """Look whether the program understands how a movie is stored.

    Raises:
        ImageFailure: only motioncor-cpu reads it right. ConfigurationFailure: its events are not as exact as the
            sampling needs.
    """
    if header.unusual and params.program.kind != "motioncor-cpu":
        raise ImageFailure(
            f"{header.path} holds {header.unusual}, which {params.program.kind} would take for something else",
            "write it anew in a usual way, or use motioncor-cpu, which reads it right",
        )
    if header.format == "eer":
        checkSampling(header.path, header.event_bits, params.options.eer_sampling)


def describeShortage(header: MovieHeader, params: MotionCorrectionParams) -> str:
    """Return in words that a movie has less frames than may be, or an empty text."""
    if header.nframes >= params.nframes - params.missing_frames:
        return ""
    return f"{header.path} has {header.nframes} frames, the camera row says {params.nframes}"


def followMovie(header: MovieHeader, params: MotionCorrectionParams) -> tuple[MotionCorrectionParams, list[str]]:
    """Return the parameters of a movie of which frames are missing that may be, and what to say of it.

    The dose is that of the frames there are. A movie that has all its frames, or more, changes nothing.

    Raises:
        NotReady: more are missing than may be.
        ImageFailure: the choice of frames is impossible with those that are left.
    """
    short = describeShortage(header, params)
    if short:
        raise NotReady(short, "still being written? See appion.motioncorrection.missing_frames")
    if header.nframes >= params.nframes:
        return params, []
    dose = params.totaldose and params.totaldose * header.nframes / params.nframes
    followed = replace(params, nframes=header.nframes, totaldose=dose)
    try:
        selectFrames(followed)
    except ConfigurationFailure as failure:
        raise ImageFailure(f"{header.path} has {header.nframes} frames instead of {params.nframes}: {failure.reason}",
                           failure.remedy) from failure
    missing = params.nframes - header.nframes
    return followed, [
        f"{missing} of the {params.nframes} frames that the camera row says are missing, which is accepted"
        f" (appion.motioncorrection.missing_frames: {params.missing_frames}); dose and rows are those of the rest"
    ]
