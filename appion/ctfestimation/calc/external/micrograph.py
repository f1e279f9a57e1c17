"""What is given to the program, checked before it runs: programs make plausible fits of half an image, or of none."""

from __future__ import annotations

from appion.base.retrieve.movies import MovieHeader, readMovieHeader
from appion.base.retrieve.picture import readMicrograph
from appion.ctfestimation.records import CTFParams


def checkInput(params: CTFParams) -> list[str]:
    """Check what the program is going to read; return warnings about it.

    Raises:
        NotReady, ImageFailure: see readMicrograph; of a movie only the headers are looked at.
    """
    header = readMovieHeader(params.input)
    if params.is_movie:
        return []
    readMicrograph(params.input)
    return _compareHeader(params, header)


def _compareHeader(params: CTFParams, header: MovieHeader) -> list[str]:
    lines = [f"{params.input}: {warning}" for warning in header.warnings]
    rows, columns = header.shape
    if (columns, rows) != params.dimension:
        given = " x ".join(map(str, params.dimension))
        lines.append(f"{params.input} has {columns} x {rows} pixels, its database row says {given}")
    if header.nframes > 1:
        lines.append(f"{params.input} has {header.nframes} sections: the fit of the last one is used")
    return lines
