"""Pictures that were made once are kept in a folder that does not grow beyond its limit."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from appion.base.config import setting
from appion.base.store.files import writeAtomically

#: Pictures that are made at a time, each in some hundred megabytes at most; others wait for so many seconds.
AT_A_TIME, PATIENCE = 1, 60

#: The share of the limit that is left when the folder is tidied.
LEFT = 0.8

_making = threading.BoundedSemaphore(AT_A_TIME)
_tidying = threading.Lock()
_written: dict[Path, int] = {}


class Busy(Exception):
    """So many pictures are being made that this one has to be asked for later."""


def findFolder() -> Path:
    """Return the folder of pictures; it is made, for this user alone, if it is not there."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(setting("web.cache") or home / "appion" / "web").expanduser()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def keepPicture(key: str, make: Callable[[], bytes]) -> Path:
    """Return the file of the picture with this key; it is made if it is not there.

    Raises:
        Busy: others are being made for too long. What `make` raises; OSError: the folder takes nothing.
    """
    folder = findFolder()
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.jpg"
    if isKept(path):
        return path
    if not _making.acquire(timeout=PATIENCE):
        raise Busy
    try:
        if not isKept(path):
            picture = make()
            writeAtomically(path, picture)
            tidyFolder(folder, len(picture))
    finally:
        _making.release()
    return path


def isKept(path: Path) -> bool:
    """Whether a picture is there; it counts as used then."""
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return True
    return False


def tidyFolder(folder: Path, added: int) -> None:
    """Remove what was not used for the longest time, if there may be more than the limit."""
    limit = setting("web.cache_size") * 1e9
    with _tidying:
        known = _written.get(folder)
        _written[folder] = measureFolder(folder) if known is None else known + added
        if _written[folder] <= limit:
            return
        files = sorted((state.st_atime, state.st_size, path) for path, state in listFiles(folder))
        total = sum(size for _, size, _ in files)
        for _, size, path in files[:-1]:
            if total <= LEFT * limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        _written[folder] = total


def measureFolder(folder: Path) -> int:
    return sum(state.st_size for _, state in listFiles(folder))


def listFiles(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return the pictures that are kept."""
    found = []
    for path in folder.glob("*.jpg"):
        with contextlib.suppress(OSError):
            found.append((path, path.stat()))
    return found
