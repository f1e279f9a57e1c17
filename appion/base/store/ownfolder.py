"""Folders of this user alone, also where others may write: made with mode 0700, looked at before they are believed.

Everybody may make `/tmp/appion-…` before we do, with links in it that lead elsewhere, or with notes that are not true.
"""

from __future__ import annotations

import contextlib
import glob
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.records.process import findUserName
from appion.base.records.runfolder import FOLDER

#: Bytes of a note that are read.
MAX_NOTE = 1 << 16


def openOwnFolder(folder: Path) -> Path:
    """Return `folder`, made if it is not there, or another one beside it where that name belongs to somebody else.

    The other one is called as `folder` with a word behind it that nobody can guess, and is found again. What is
    returned is a real folder of this user into which nobody else can write.

    Raises:
        ConfigurationFailure: others could put another folder in its place at any moment.
        OSError: as the system gives it.
    """
    if folder.parent.name != FOLDER:  # where that is not there the run folder is away
        os.makedirs(folder.parent, exist_ok=True)
    _checkPlace(folder)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    for own in listOwnFolders(folder):
        return own
    return Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))


def listOwnFolders(folder: Path) -> list[Path]:
    """Return what :func:`openOwnFolder` may return for a folder, as far as it is there; nothing is made."""
    found = [folder, *sorted(folder.parent.glob(f"{glob.escape(folder.name)}-*"))]
    found = [one for one in found if os.path.lexists(one)]
    own = [one for one in found if _secure(one, os.geteuid())]
    if found and not own:
        owner = _findOwnNumber(folder.parent)
        own = [one for one in found if owner != os.geteuid() and _secure(one, owner)]
    return own


def describeStranger(folder: Path) -> str:
    """Return in words what keeps a folder from being ours; empty if nothing does, or if it is not there."""
    try:
        info = os.lstat(folder)
    except FileNotFoundError:
        return ""
    kind = "a folder" if stat.S_ISDIR(info.st_mode) else "a link" if stat.S_ISLNK(info.st_mode) else "a file"
    if kind == "a folder" and info.st_uid == os.geteuid():
        return ""
    return f"{folder} is {kind} of user {findUserName(info.st_uid)}"


def readOwnNote(path: Path) -> bytes:
    """Return what is in a small file of ours in a folder of ours, without following links.

    Raises:
        OSError: it is not there, or somebody else can have written it.
    """
    with _openAs(path.parent, os.O_DIRECTORY) as folder, _openAs(path.name, os.O_NONBLOCK, folder) as file:
        here, note = os.fstat(folder), os.fstat(file)
        if not stat.S_ISREG(note.st_mode) or (here.st_mode | note.st_mode) & 0o002:
            raise PermissionError(f"{path} is no file, or everybody may have written it")
        if not here.st_uid == note.st_uid == os.lstat(path.parent.parent).st_uid:
            raise PermissionError(f"{path} belongs to user {findUserName(note.st_uid)}")
        return os.read(file, MAX_NOTE)


@contextlib.contextmanager
def _openAs(path: Path | str, flags: int, folder: int | None = None) -> Iterator[int]:
    """Open a file for reading for the time of a `with` block, without following a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _secure(folder: Path, owner: int) -> bool:
    """Whether it is a real folder of `owner`; others lose the right to write into it if they had it."""
    try:
        with _openAs(folder, os.O_DIRECTORY) as descriptor:
            info = os.fstat(descriptor)
            if info.st_uid != owner:
                return False
            if info.st_mode & 0o022:
                os.fchmod(descriptor, stat.S_IMODE(info.st_mode) & ~0o022)
            return True
    except OSError:
        return False


def _findOwnNumber(place: Path) -> int:
    """By which number a file system knows this user: a server may know all of them, or root, by another one."""
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            return os.fstat(file.fileno()).st_uid
    except OSError:
        return os.geteuid()


def _checkPlace(folder: Path) -> None:
    """Raise ConfigurationFailure if everybody may rename what is in the folder around this one.

    Within a run folder nobody is a stranger who may write there: results lie beside it.
    """
    place = folder.parent
    mode = os.stat(place).st_mode
    if place.name != FOLDER and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise ConfigurationFailure(
            f"{place}, in which {folder.name} is to be, has mode {stat.S_IMODE(mode):04o}: everybody may rename there"
            " what is not theirs",
            f"set its sticky bit as /tmp has it (chmod +t {place}), or choose another folder",
        )
