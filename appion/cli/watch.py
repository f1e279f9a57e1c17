"""`--watch`: the same again every few seconds, until somebody interrupts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from appion.base.cli.screen import show
from appion.base.failures import Failure

#: Seconds from one look to the next.
EVERY = 5.0

#: What empties a terminal and begins at its top.
CLEAR = "\x1b[H\x1b[2J"


def watch(look: Callable[[], int], heading: bool = True) -> int:
    """Call what prints, again and again, on an emptied screen where there is one; returns the last exit code.

    A failure is told, as is one that ends a command, and the next look taken all the same: things come back.

    Args:
        heading: whether the time stands above each.
    """
    screen = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    code, first = 0, True
    try:
        while True:
            if heading:
                print(CLEAR if screen else "" if first else "\n", end="")
                show(time.strftime("%Y-%m-%d %H:%M:%S"))
            try:
                code = look()
            except BrokenPipeError:
                raise
            except (Failure, OSError) as error:
                show(f"appion status: {error}", file=sys.stderr)
                code = 2
            sys.stdout.flush()
            first = False
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return code
