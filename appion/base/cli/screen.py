"""What a command prints, on any screen."""

from __future__ import annotations

import io
import sys


def replaceUnshowable() -> None:
    """Have each character that standard output or standard error cannot show replaced from now on, mostly by ``?``.

    A help text or a file name must not end a command where the locale is plain ASCII. Called once by each command,
    before it prints anything; streams that are no text files (as in tests, or closed) are left alone.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
