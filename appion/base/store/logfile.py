"""A log that outlives its disk: what cannot be written waits, is written later, and nothing is said but once.

Python's own handlers print a traceback for each line that a full disk refuses, and raise where a file cannot be opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import deque
from pathlib import Path

from appion.base.calc.plain import makePlain

#: As many lines wait for a disk that takes nothing; older ones are lost, and counted.
MANY_LINES = 5000


class LastingHandler(logging.Handler):
    """Appends lines to a file; the file is made when it is opened first, and never again in the place of one lost.

    Args:
        path: of the file, in a folder that is there.
        header: a first line to be appended, without the end of the line.
        late: open it with the first line that there is.
    """

    def __init__(self, path: Path, header: str = "", late: bool = False):
        super().__init__()
        self.path = path
        self._fd: int | None = None
        self._made = False
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._trouble = ""
        if header:
            self._append(header)
        elif not late:
            self._write()

    def emit(self, record: logging.LogRecord) -> None:
        """Append the line of a record, behind all that wait."""
        try:
            self._append(self.format(record))
        except Exception:  # a message that cannot be put together
            self.handleError(record)

    def _append(self, line: str) -> None:
        self._waiting.append(f"{line}\n".encode(errors="surrogateescape"))
        if len(self._waiting) > MANY_LINES:
            self._waiting.popleft()
            self._lost += 1
        self._write()

    def _write(self) -> None:
        """Write what waits, as far as the disk takes it."""
        try:
            self._open()
            while self._waiting:
                self._writeFirst()
        except OSError as error:
            self._reopen()
            if not self._trouble:
                _tell(f"{self.path} cannot be written: {error.strerror or error}; its lines wait for better times")
            self._trouble = self._trouble or str(error.strerror or error)
            return
        if self._trouble:
            told = f"{self.path} could not be written for a while ({self._trouble}): {self._lost} lines were lost"
            self._trouble, self._lost = "", 0
            _tell(told)
            self._append(told)

    def _writeFirst(self) -> None:
        """Write the line that waits longest; of one that does not fit the rest stays. Raises OSError."""
        assert self._fd is not None
        line = self._waiting[0]
        written = os.write(self._fd, line)
        self._waiting.popleft()
        if written < len(line):
            self._waiting.appendleft(line[written:])

    def _open(self) -> None:
        if self._fd is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (0 if self._made else os.O_CREAT)
            self._fd = os.open(self.path, flags, 0o666)
            self._made = True

    def _reopen(self) -> None:
        """Let go of a file that may be lost with its mount if there is one at its path again."""
        if self._fd is not None and self._made and os.path.exists(self.path):
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = None

    def close(self) -> None:
        """Write what waits, if that is possible now, and close the file."""
        with self.lock or contextlib.nullcontext():
            if self._waiting:
                self._write()
            if self._waiting:
                _tell(f"{self.path}: {self._lost + len(self._waiting)} lines could not be written and are lost")
                self._waiting.clear()
            if self._fd is not None:
                with contextlib.suppress(OSError):
                    os.close(self._fd)
                self._fd = None
        super().close()


def _tell(text: str) -> None:
    """Say a line on standard error, if that takes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(makePlain(text), file=sys.stderr, flush=True)
