"""Files that are whole or not there: writing under a temporary name, moving, placing without overwriting."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import itertools
import os
import re
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO

_counter = itertools.count()

#: Bytes that are written to find out whether a disk takes them: more than a full one may still have for small files.
TRIAL = 8 * 2**20


def _constructTemporary(path: Path) -> Path:
    """A name beside `path` that no other process or thread uses; hidden, and ending in ``.tmp``."""
    host = os.uname().nodename.split(".")[0]
    return path.with_name(f".{path.name[:150]}.{host}-{os.getpid()}-{threading.get_ident()}-{next(_counter)}.tmp")


def createFile(path: Path | str) -> IO[bytes]:
    """Open a file for writing, without a buffer: new, or emptied if it is there; a link is not followed.

    Raises:
        OSError: as the system gives it.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        descriptor = os.open(path, flags | os.O_TRUNC)
    return open(descriptor, "wb", buffering=0)


def writeAll(file: IO[bytes], content: bytes) -> None:
    """Write to a file at once, so that a disk that refuses is known now."""
    while content:
        content = content[file.write(content) :]


def _sync(path: Path) -> None:
    """Have the disk keep what was written: a rename may survive a power cut that the contents did not."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def writeAtomically(path: Path | str, content: str | bytes | Iterable[bytes]) -> None:
    """Replace `path` by `content` (text as UTF-8, or pieces): a reader sees the old file or the new one, never a part.

    Raises:
        OSError: as the system gives it; the old file is then untouched and no temporary file is left.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    pieces = [data] if isinstance(data, bytes) else data
    temporary = _constructTemporary(path)
    try:
        with createFile(temporary) as file:
            for piece in pieces:
                writeAll(file, piece)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def appendLines(path: Path | str, lines: Iterable[str], sync: bool = False) -> int:
    """Append lines (each with its end) to a file, which is made if there is none; returns its size then.

    A line that a killed writer left unfinished is ended first, so that it spoils no other.

    Raises:
        OSError: disk full and the like; then none of them is there.
    """
    with open(path, "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        torn = False
        if end:
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
        try:
            if torn:
                file.write(b"\n")
            file.writelines(line.encode() for line in lines)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), end)
            file.raw.close()  # what is buffered shall not be written after all
            raise
        return file.tell()


def tryWriting(folder: Path | str) -> None:
    """Write a file of :data:`TRIAL` bytes that cannot be compressed into `folder`, down to the disk, and remove it.

    Raises:
        OSError: as the system gives it: full, over quota, read-only, not there, not reachable.
    """
    path, piece = _constructTemporary(Path(folder) / "trial"), os.urandom(2**20)
    try:
        with createFile(path) as file:
            for _ in range(TRIAL // len(piece)):
                writeAll(file, piece)
            os.fsync(file.fileno())
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def removeTemporaries(folder: Path | str) -> None:
    """Remove the temporary files that processes of this host left in `folder` when they were killed."""
    host = os.uname().nodename.split(".")[0]
    for path in Path(folder).glob(".*.tmp"):
        writer = re.search(rf"\.{re.escape(host)}-(\d+)-\d+-\d+\.tmp$", path.name)
        if writer and not os.path.exists(f"/proc/{writer[1]}"):
            path.unlink(missing_ok=True)


def moveFile(source: Path | str, target: Path | str) -> None:
    """Move a file, also to another disk, replacing what is there: whole under its new name, or not at all.

    Raises:
        OSError: as the system gives it; no partial target is left, but the file may be gone from its old place.
    """
    target = Path(target)
    try:
        os.replace(source, target)
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    temporary = _constructTemporary(target)
    try:
        shutil.move(source, temporary)
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def keepOutput(source: Path | str, target: Path | str, header: str) -> None:
    """Keep what a program printed as `target`, behind the line `header`, which says what program it was.

    It is put together beside `source`, in the scratch folder: of a worker that is killed meanwhile nothing stays where
    results are.

    Raises:
        OSError: as the system gives it; an old `target` is then untouched.
    """
    source = Path(source)
    whole = source.with_name(f"{source.name}.kept")
    with createFile(whole) as file:
        writeAll(file, header.encode("utf-8") + source.read_bytes())
    moveFile(whole, target)
    source.unlink()


def placeFile(source: Path | str, target: Path | str) -> None:
    """Give the file `source` the further name `target`: a hard link, or a copy where a link is not possible.

    Placing the same file a second time does nothing, so that an interrupted store can be repeated.

    Raises:
        FileExistsError: `target` is there and is something else; it is left alone.
        OSError: as the system gives it; no partial target is left.
    """
    source, target = Path(source), Path(target)
    try:
        os.link(source, target)
        return
    except FileExistsError:
        _checkSame(source, target)
        return
    except FileNotFoundError:
        raise
    except OSError:
        pass  # another device, or a file system without links
    if target.exists():
        _checkSame(source, target)
        return
    temporary = _constructTemporary(target)
    try:
        with open(source, "rb") as old, createFile(temporary) as new:
            shutil.copyfileobj(old, new)
        shutil.copystat(source, temporary)
        _sync(temporary)
        try:
            os.link(temporary, target)
        except FileExistsError:
            _checkSame(source, target)
        except OSError:
            os.rename(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _checkSame(source: Path, target: Path) -> None:
    if not (os.path.samefile(source, target) or filecmp.cmp(source, target, shallow=False)):
        raise FileExistsError(f"{target} exists and is not {source}: it is kept; move it away to go on")
