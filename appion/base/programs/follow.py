"""What is done around a program: what it printed is kept, and a disk that refuses is found out after it failed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from appion.base.failures import Failure, InfrastructureFailure
from appion.base.records.belonging import Identity, findIdentity
from appion.base.records.program import Program
from appion.base.records.stamp import constructLogHeader
from appion.base.retrieve.access import readFile
from appion.base.store.files import keepOutput, tryWriting

#: Folders and what they were when the program began; None: not to be seen.
Before = Mapping[Path, Identity | None]


@contextlib.contextmanager
def followProgram(
    program: Program, argv: Sequence[str], output: Path, log: Path | None, folders: Iterable[Path],
    inputs: Sequence[str] = (),
) -> Iterator[None]:
    """For the time of a `with` block in which a program runs and what it made is read.

    Args:
        argv: its command line. output: what it prints, kept as `log` unless that is None.
        folders: where it writes, and where what it made is to go.
        inputs: files of the exposure that it reads.

    Raises:
        Failure: that of the block, with the command line; instead of an ImageFailure that of a folder which cannot be
            written to, or of an input which cannot be read: a program often dies of that without a word.
        InfrastructureFailure: a folder is not the one that it was: nothing is put into what is in its place.
        OSError: what it printed cannot be kept, although nothing failed.
    """
    before = {folder: findIdentity(folder) for folder in folders}
    try:
        yield
    except Failure as failure:
        failure.command = failure.command or " ".join(argv)
        explained = _blameDisk(failure, before, inputs)
        with contextlib.suppress(OSError, InfrastructureFailure):
            _keep(program, output, log, before)
        if explained is failure:
            raise
        raise explained from failure
    except BaseException:
        with contextlib.suppress(OSError, InfrastructureFailure):
            _keep(program, output, log, before)
        raise
    _keep(program, output, log, before)


def _keep(program: Program, output: Path, log: Path | None, before: Before) -> None:
    _checkFolders(before)
    if log is not None and output.exists():
        keepOutput(output, log, constructLogHeader(program))


def _checkFolders(before: Before) -> None:
    """Raise InfrastructureFailure if one of the folders is away, or another than it was."""
    for folder, identity in before.items():
        if identity is not None and findIdentity(folder) != identity:
            raise InfrastructureFailure(
                f"{folder} is not the folder that it was when the program began", "is its file system still mounted?",
                host=os.uname().nodename,
            )  # fmt: skip


def _blameDisk(failure: Failure, before: Before, inputs: Sequence[str]) -> Failure:
    """Return `failure`, or that of the first folder or file which is away if it would be held against an image."""
    if failure.kind != "image":
        return failure
    try:
        _checkFolders(before)
        for folder in before:
            tryFolder(folder)
        for path in inputs:
            with readFile(path), open(path, "rb") as file:
                file.read(1)
    except Failure as explained:
        explained.reason = f"{explained.reason}; {failure.reason}"
        explained.command, explained.log_tail = failure.command, failure.log_tail
        explained.host = explained.host or os.uname().nodename
        return explained
    return failure


def tryFolder(folder: Path) -> None:
    """Raise InfrastructureFailure if a folder cannot be written to."""
    try:
        tryWriting(folder)
    except OSError as error:
        raise InfrastructureFailure(
            f"{folder} cannot be written to: {error.strerror or error}",
            "make room there, or look at its mount; it is tried again",
        ) from error
