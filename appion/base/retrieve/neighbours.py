"""What lies in the place of a file that is not there: its folder is asked once for all that wait for files in it."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence

#: Seconds for which the list of a folder is remembered, and how many names of one.
REMEMBERED, MANY_NAMES = 30.0, 200_000

#: What is said of a file whose folder is not there either.
NO_FOLDER = "is not there, nor is its folder"

#: What a picture or a movie may end in.
FORMATS = frozenset({"mrc", "mrcs", "tif", "tiff", "eer", "st", "dm4", "raw"})

#: Folders: when they were asked (monotonic), and the names in them in order, None where there is no such folder.
_folders: dict[str, tuple[float, Sequence[str] | None]] = {}


def describeMissing(path: str) -> str:
    """Return in words that `path` is not there, and what is there instead.

    Beside the file it may lie packed (movie.tif.bz2), half copied (.movie.tif.x1y2) or in another format.
    """
    folder, name = os.path.split(path)
    names = _listFolder(folder or ".")
    if names is None:
        return f"{path} {NO_FOLDER}"
    similar = list(_findSimilar(names, name))
    if not similar:
        return f"{path} is not there"
    more = f" and {len(similar) - 3} more" if len(similar) > 3 else ""
    return f"{path} is not there, but {', '.join(similar[:3])}{more} {'is' if len(similar) == 1 else 'are'}"


def _findSimilar(names: Sequence[str], name: str) -> Iterator[str]:
    stem = name.rpartition(".")[0] or name
    for prefix in (f".{name}.", f"{stem}."):
        for i in range(bisect_left(names, prefix), len(names)):
            if not names[i].startswith(prefix):
                break
            ending = names[i][len(prefix) :].partition(".")[0].lower()
            if names[i] != name and (prefix[0] == "." or ending in FORMATS):
                yield names[i]


def _listFolder(folder: str) -> Sequence[str] | None:
    now = time.monotonic()
    asked, names = _folders.get(folder, (float("-inf"), None))
    if now - asked < REMEMBERED:
        return names
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(MANY_NAMES), strict=False))
    except (FileNotFoundError, NotADirectoryError):
        names = None
    except OSError:  # whoever asked has found that the file is not there, and that is enough
        names = ()
    if len(_folders) > 100:
        _folders.clear()
    _folders[folder] = now, names
    return names
