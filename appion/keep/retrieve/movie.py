"""Whether a movie is there and whole, for the exposures that a run would begin with."""

from __future__ import annotations

from collections.abc import Sequence

from appion.base.config import setting
from appion.base.failures import Failure
from appion.base.retrieve.movies import readMovieHeader
from appion.base.retrieve.paths import constructFrameFolder, listMovies
from appion.base.retrieve.settled import checkSettled
from appion.keep.calc.words import readOption
from appion.keep.records import Want


def explainIncomplete(want: Want, names: Sequence[str]) -> str:
    """Return why none of these exposures has a complete movie; empty if one of them has."""
    given = readOption(want.command.words, "framepath")
    session = want.session
    folders = [given] if given else [constructFrameFolder(session.frame_path, session.image_path)]
    if want.preset.buffer and not given:
        folders.insert(0, want.preset.buffer)
    formats = (want.preset.format, *(one for one in ("mrc", "tif", "eer") if one != want.preset.format))
    first = "it has no exposure"
    for name in names:
        reasons = []
        for path, _ in listMovies(folders, name, formats):
            try:
                checkSettled(path, setting("motioncorrection.settle"))
                readMovieHeader(path)
                return ""
            except Failure as failure:
                reasons.append(failure.reason)
        first = reasons[0] if first == "it has no exposure" else first
    return first
