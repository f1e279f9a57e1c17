"""What acts when a daemon was killed: a shell that waits for the daemon's end and then becomes another program."""

from __future__ import annotations

import contextlib
import subprocess
import sys

#: Takes words line by line. At the end of its input, unless it was told that all is over, it becomes its arguments.
WAIT = """trap '' HUP INT TERM
while read -r word; do
    [ "$word" = over ] && exit
    set -- "$@" "$word"
done
exec "$@" """

#: Those that wait for the end of this process.
_staying: list[Warden] = []


class Warden:
    """The waiting shell. It needs some 2 MB, and is there until `dismiss`, or until this process ends in any way.

    Args:
        module: what it runs then, with these arguments and all that was noted.
    """

    def __init__(self, module: str, *arguments: str):
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", WAIT, "appion", *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, text=True,
        )  # fmt: skip

    def note(self, word: str) -> None:
        """Take in the number of a job that was submitted, or the name of what is about to be made."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # somebody ended it; the next start of the run does its work
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def dismiss(self) -> None:
        """All is over: whoever closes has removed what it made."""
        self.note("over")
        self._process.communicate()

    def stay(self) -> None:
        """Something is left: it is removed once this process has ended."""
        _staying.append(self)
