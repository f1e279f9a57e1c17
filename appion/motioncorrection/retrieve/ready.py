"""Whether a movie is complete: there, no longer changing, consistent in itself, with all its frames."""

from __future__ import annotations

from appion.base.failures import ImageFailure, NotReady, Outdated
from appion.base.retrieve.access import isFile
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.settled import checkSettled, forgetFile
from appion.motioncorrection.calc.external.movie import checkMovie, describeShortage
from appion.motioncorrection.records import MotionCorrectionTask

#: Seconds without a change after which a movie that is whole but short of frames is taken for what it will stay.
SHORT_FOR_GOOD = 600.0


def checkReady(task: MotionCorrectionTask, settle: float) -> None:
    """Return if the movie is complete.

    It has to be unchanged for `settle` seconds, and its size or directory has to agree with its header. A TIFF or EER
    movie is consistent after every frame that is appended, and an MRC movie may be written frame by frame too, so it
    also needs as many frames as the camera row says, but for those that may be missing. More are no fault: a count made
    from times is truncated.

    Raises:
        NotReady: it is not there, changing, truncated or short of frames; Outdated: it is elsewhere.
        ImageFailure: it is none of the formats, another one than its name says, short of frames for good, or written in
            a way that the program does not know.
        ConfigurationFailure: its events are not as exact as the sampling needs.
        InfrastructureFailure: the disk does not answer.
    """
    params = task.params
    movie = params.movie
    elsewhere = findElsewhere(task)
    if elsewhere:
        raise Outdated(f"{movie} is not there, but {elsewhere} is")
    age = checkSettled(movie, settle)
    header = readMovieHeader(movie)
    if header.format != params.movie_format and not params.options.force_tiff:
        raise ImageFailure(
            f"{movie} contains a movie in {header.format} format, its name says {params.movie_format}",
            "rename it, or use --forceTiff if it is TIFF",
        )
    checkMovie(header, params)
    short = describeShortage(header, params)
    if short:
        if age < SHORT_FOR_GOOD:
            raise NotReady(short, "still being written?")
        raise ImageFailure(
            f"{short}, and it has not changed for {age / 60:.0f} minutes",
            f"it was not saved completely; up to appion.motioncorrection.missing_frames (now {params.missing_frames})"
            " may be missing",
        )
    forgetFile(movie)


def findElsewhere(task: MotionCorrectionTask) -> str:
    """Return where the movie is if it is not in its place but in another, else an empty text."""
    if not task.origin.other_movies or isFile(task.params.movie):
        return ""
    return next(filter(isFile, task.origin.other_movies), "")
