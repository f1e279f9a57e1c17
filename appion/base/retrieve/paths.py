"""Where Leginon keeps an exposure's movie and its reference images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from appion.base.failures import ImageFailure
from appion.base.retrieve.access import isFile

VARIABLE = re.compile(r"\$\{(\w+)\}")

#: Folders of read-only copies of session folders, separated by colons, that are looked at before the session's own.
READONLY = "LEGINON_READONLY_IMAGE_PATH"

#: Cameras that save in one format, whatever the camera row says.
FIXED_FORMATS = {"DE": "mrc", "Apollo": "tif", "Appion": "mrc"}


def expandVariables(path: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a path with ``${NAME}`` replaced by environment variables; other uses of ``$`` and unknown names stay."""
    return VARIABLE.sub(lambda match: environment.get(match[1], match[0]), path)


def constructImagePath(image_path: str, session: str, name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the path of a session's image file `name`: in a read-only copy if it is there, else in `image_path`."""
    name = name if name.endswith(".mrc") else f"{name}.mrc"
    for copy in filter(None, environment.get(READONLY, "").split(":")):
        for folder in (os.path.join(copy, session, "rawdata"), os.path.join(copy, session), copy):
            if isFile(os.path.join(folder, name)):
                return os.path.join(folder, name)
    return os.path.join(expandVariables(image_path, environment), name)


def constructFrameFolder(frame_path: str | None, image_path: str) -> str:
    """Return the folder of a session's movies: `frame_path`, else the image path, its last 'leginon' now 'frames'."""
    if frame_path:
        return expandVariables(frame_path)
    before, found, after = expandVariables(image_path).rpartition("leginon")
    return f"{before}frames{after}" if found else after


def constructMovieFormats(camera: str, tiff: bool | None, eer: bool | None) -> tuple[str, ...]:
    """Return the formats a movie may have, the likeliest first.

    There is one as soon as the camera's class or its row tells. Rows of old databases do not (None); then the file
    that exists decides.
    """
    if camera in FIXED_FORMATS:
        return (FIXED_FORMATS[camera],)
    if eer:
        return ("eer",)
    if tiff:
        return ("tif",)
    return ("mrc", *(name for name, flag in (("tif", tiff), ("eer", eer)) if flag is None))


def listMovies(folders: Iterable[str], filename: str, formats: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the paths and formats under which a movie may be, the likeliest first."""
    return [(os.path.join(folder, f"{filename}.frames.{name}"), name) for folder in folders for name in formats]


def findMovie(folders: Iterable[str], filename: str, formats: tuple[str, ...], camera: str) -> tuple[str, str]:
    """Return path and format of a movie: the first that exists, else where it is expected.

    Raises:
        ImageFailure: the camera saved a folder of single frames.
    """
    candidates = listMovies(folders, filename, formats)
    if len(candidates) > 1 or camera == "Falcon2":
        for path, name in candidates:
            if isFile(path):
                return path, name
    folder = Path(candidates[0][0]).with_suffix("")
    if camera == "Falcon2" and folder.is_dir():
        raise ImageFailure(
            f"{folder} is a folder of single frames", f"join them into one file, {folder}.mrc, to have them aligned"
        )
    return candidates[0]
