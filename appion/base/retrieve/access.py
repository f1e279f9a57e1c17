"""Whose fault it is that a file of an exposure cannot be read: its path is the evidence.

A file that is not there, or must not be read, while its folder is there says something about this exposure. Whatever
else the system refuses, with whatever number, is the host's: a ticket that ran out, a mount that is gone, a server that
does not answer. A folder that was found to be away is asked once in a while, not once for each file in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator

from appion.base.failures import Failure, ImageFailure, InfrastructureFailure, NotReady, classifyException

#: Seconds for which a folder that is away is not asked again.
REMEMBERED = 3.0

#: How many folders that are away are remembered.
MANY = 100

#: What the system says of a file that is not there.
MISSING = frozenset({errno.ENOENT, errno.ENOTDIR})

#: What it says of a file itself: it must not be read, is none, has no such place, or its name leads nowhere.
OF_FILE = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.EINVAL, errno.ENXIO, errno.EOVERFLOW,
                     errno.ELOOP, errno.ENAMETOOLONG})  # fmt: skip

#: Folders that are away: when they are asked again (monotonic), and what the system said.
_away: dict[str, tuple[float, OSError]] = {}


def recallAway(folder: str) -> OSError | None:
    """Return what was said of a folder a moment ago if it was away then; nothing is asked."""
    until, error = _away.get(folder, (0.0, None))
    return error if time.monotonic() < until else None


def askFolder(folder: str) -> OSError | None:
    """Return what the system says of a folder that is not there, does not answer or must not be entered, else None."""
    known = recallAway(folder)
    if known is not None:
        return known
    try:
        os.stat(os.path.join(folder, "."))  # the dot takes the right to look for names in it
    except OSError as error:
        if len(_away) >= MANY:
            _away.clear()
        _away[folder] = time.monotonic() + REMEMBERED, error
        return error
    _away.pop(folder, None)
    return None


def isFile(path: str) -> bool:
    """Whether a file is there; none is in a folder that was away a moment ago."""
    folder = os.path.dirname(path) or "."
    if recallAway(folder) is not None:
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        askFolder(folder)
        return False


def judgeAccess(path: str, error: OSError) -> Failure:
    """Return the failure that `error` is, met when a file of an exposure was looked at or read.

    NotReady if only this file is not there, ImageFailure if only this file cannot be read, else InfrastructureFailure.
    An error of a library, without a number, is sorted by :func:`classifyException`.
    """
    if error.errno is None:
        return classifyException(error)
    folder = os.path.dirname(path) or "."
    away = askFolder(folder)
    if away is not None:
        return InfrastructureFailure(
            f"{path} cannot be reached: {folder}: {away.strerror or away}",
            "look at its mount, its rights and the server behind it; it is tried again",
            host=os.uname().nodename,
        )
    if error.errno in MISSING:
        return NotReady(f"{path}: no such file")
    if error.errno in OF_FILE:
        reason = f"{path} cannot be read, although its folder can: {error.strerror or error}"
        return ImageFailure(reason, "look at its rights, and whether it is a file")
    return classifyException(error, os.uname().nodename)


@contextlib.contextmanager
def readFile(path: str) -> Iterator[None]:
    """For a `with` block that reads a file of an exposure.

    Raises:
        NotReady, ImageFailure, InfrastructureFailure: instead of an OSError of the block, see :func:`judgeAccess`.
    """
    try:
        yield
    except OSError as error:
        raise judgeAccess(path, error) from error


def tryReading(path: str) -> None:
    """Read the beginning of a file of an exposure. Raises as :func:`readFile`."""
    with readFile(path), open(path, "rb") as file:
        file.read(1)
