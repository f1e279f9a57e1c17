"""Whether a micrograph, or the movie used in its place, is complete."""

from __future__ import annotations

from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.settled import checkSettled
from appion.ctfestimation.records import CTFParams


def checkReady(params: CTFParams, settle: float) -> None:
    """Return if the input and the micrograph are there, unchanged for `settle` seconds and as long as headers say.

    Raises:
        NotReady: one is missing, changing or truncated.
        ImageFailure: one can never be read.
        InfrastructureFailure: the disk does not answer.
    """
    for path in dict.fromkeys((params.micrograph, params.input)):
        checkSettled(path, settle)
        readMovieHeader(path)
