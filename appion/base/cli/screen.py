"""What a command prints, on any screen."""

from __future__ import annotations

import atexit
import io
import os
import select
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TextIO

from appion.base.calc.plain import makePlain


def replaceUnshowable() -> None:
    """Have each character that standard output or standard error cannot show replaced from now on, mostly by ``?``.

    A help text or a file name must not end a command where the locale is plain ASCII. Called once by each command,
    before it prints anything; streams that are no text files (as in tests, or closed) are left alone. At the end of the
    process nothing is said of a reader that has gone before it had read all.
    """
    atexit.unregister(flushQuietly)
    atexit.register(flushQuietly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def show(*lines: object, file: TextIO | None = None) -> None:
    """Print these lines, one each, whatever stands in the names and texts of which they are made."""
    for line in lines:
        print(makePlain(line), file=file, flush=file is not None)


def flushQuietly() -> None:
    """Write out what was printed; if nobody reads it any more, that is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        endQuietly()
    except ValueError:
        pass  # closed


def isReaderGone() -> bool:
    """Whether nobody reads standard output any more, as after ``| head -1``."""
    watch = select.poll()
    watch.register(1, select.POLLERR)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def endQuietly() -> int:
    """Have what is still to be written go nowhere; returns the exit code of a command whose reader has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def bearWithReader(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate the main function of a command so that a reader who has seen enough ends it quietly."""

    @wraps(main)
    def run(*arguments: Any) -> int:
        try:
            return main(*arguments)
        except BrokenPipeError:
            if not isReaderGone():
                raise
            return endQuietly()

    return run
