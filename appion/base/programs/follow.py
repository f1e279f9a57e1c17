"""What is done around a program: what it printed is kept, and a disk that refuses is found out after it failed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from appion.base.failures import Failure, InfrastructureFailure
from appion.base.records.program import Program
from appion.base.records.stamp import constructLogHeader
from appion.base.store.files import keepOutput, tryWriting


@contextlib.contextmanager
def followProgram(
    program: Program, argv: Sequence[str], output: Path, log: Path | None, folders: Iterable[Path]
) -> Iterator[None]:
    """For the time of a `with` block in which a program runs and what it made is read.

    Args:
        argv: its command line. output: what it prints, kept as `log` unless that is None.
        folders: where it writes, and where what it made is to go.

    Raises:
        Failure: that of the block, with the command line; an InfrastructureFailure instead of an ImageFailure if one of
            the folders cannot be written to: a program often dies of that without a word.
        OSError: what it printed cannot be kept, although nothing failed.
    """
    try:
        yield
    except Failure as failure:
        failure.command = failure.command or " ".join(argv)
        explained = _blameDisk(failure, folders)
        with contextlib.suppress(OSError):
            _keep(program, output, log)
        if explained is failure:
            raise
        raise explained from failure
    except BaseException:
        with contextlib.suppress(OSError):
            _keep(program, output, log)
        raise
    _keep(program, output, log)


def _keep(program: Program, output: Path, log: Path | None) -> None:
    if log is not None and output.exists():
        keepOutput(output, log, constructLogHeader(program))


def _blameDisk(failure: Failure, folders: Iterable[Path]) -> Failure:
    """Return `failure`, or that of the first folder that cannot be written to if it would be held against an image."""
    for folder in dict.fromkeys(folders) if failure.kind == "image" else ():
        try:
            tryWriting(folder)
        except OSError as error:
            return InfrastructureFailure(
                f"{folder} cannot be written to: {error.strerror or error}; {failure.reason}",
                "make room there, or look at its mount; it is tried again",
                failure.command, os.uname().nodename, failure.log_tail,
            )  # fmt: skip
    return failure
