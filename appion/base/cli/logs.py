"""Where messages go: to a person on the terminal, with the time into the run's log."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from appion.base.calc.plain import PlainFormatter, makePlain
from appion.base.store.logfile import LastingHandler

logger = logging.getLogger(__name__)

#: The packages whose messages are shown.
PACKAGES = ("appion", "sinedon")


#: On a terminal each message first wipes the line that is rewritten in place.
WIPE_LINE = "\r\x1b[K"


class TerminalFormatter(PlainFormatter):
    """The bare message; from warnings on, the level before it."""

    def __init__(self, tty: bool) -> None:
        super().__init__("%(message)s")
        self.start = WIPE_LINE if tty else ""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return self.start + (f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text)


class TerminalHandler(logging.StreamHandler):
    """Standard error, which may be a file on a disk that is full: then there is nowhere to say so."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def constructTerminalHandler(tty: bool, quiet: bool) -> logging.Handler:
    handler = TerminalHandler(sys.stderr)
    handler.setLevel(logging.WARNING if quiet else logging.INFO)
    handler.setFormatter(TerminalFormatter(tty))
    return handler


def setupLogging(rundir: Path | None, program: str = "", argv: Sequence[str] = (), tty: bool | None = None,
                 quiet: bool = False) -> None:
    """Send the messages of this package to standard error and, with a run folder, to ``<rundir>/<program>.log``.

    The log is appended to; each run begins with its command line, each line with the time. Standard error is for
    people: on a terminal (`tty`, looked at if not given) messages replace the line that is rewritten in place; `quiet`
    leaves warnings and errors only. Repeating the call replaces the former destinations.
    """
    closeLogging()
    handlers: list[logging.Handler] = [constructTerminalHandler(sys.stderr.isatty() if tty is None else tty, quiet)]
    if rundir is not None:
        handlers.append(constructFileHandler(rundir / f"{program}.log", program, argv))
    for name in PACKAGES:
        package = logging.getLogger(name)
        package.setLevel(logging.INFO)
        for handler in handlers:
            package.addHandler(handler)


def constructFileHandler(path: Path, program: str, argv: Sequence[str]) -> logging.Handler:
    # Bytes of the command line that are no text are written as they came.
    command = makePlain(shlex.join([program, *argv]))
    handler = LastingHandler(path, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {command}")
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    return handler


def closeLogging() -> None:
    """Take the destinations of :func:`setupLogging` away again."""
    for name in PACKAGES:
        package = logging.getLogger(name)
        for handler in list(package.handlers):
            package.removeHandler(handler)
            handler.close()


def logMessages(messages: Sequence[tuple[int, str]]) -> None:
    """Log what was noticed before there was a log."""
    for level, text in messages:
        logger.log(level, text)
