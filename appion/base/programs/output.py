"""What a program prints and writes: taken in while it runs, never more than a limit, and of much only both ends."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from appion.base.programs.ready import Copy
from appion.base.store.files import createFile, writeAll

#: Bytes that a program may print, or write into a file of text. Logs of MotionCor2 with many patches have less than a
#: twentieth of it; a program that goes beyond has lost its way, and would fill the disk and the memory of who reads it.
LIMIT = 16 * 2**20

#: Bytes of the beginning and of the end that are kept of what is longer.
ENDS = 64 * 1024

#: Ends of the names of files that hold text, which are watched while a program runs.
TEXTS = (".log", ".txt", ".out", ".err", ".star", ".aln", ".epa", ".csv", ".json")

#: Longest time between two looks at what the program does besides printing (seconds).
LOOK = 1.0


def collectOutput(
    process: subprocess.Popen | Copy,
    source: int,
    keep: Callable[[bytes], object],
    deadline: float,
    limit: int = LIMIT,
    folder: Path | None = None,
) -> tuple[bool, str]:
    """Take in what a program prints, until it has ended, its time is over or it has written too much.

    Args:
        source: the end of a pipe, for reading. keep: gets each piece, together no more than `limit` bytes.
        deadline: by the monotonic clock. folder: where it works; files of text there are watched, too.

    Returns:
        Whether it was in time, and what it wrote too much of, in words (see :func:`describeFlood`), or nothing.
    """
    os.set_blocking(source, False)
    poller = select.poll()
    poller.register(source, select.POLLIN)
    taken, looked, open_ = 0, time.monotonic(), True
    while True:
        ended, now = process.poll() is not None, time.monotonic()
        if folder is not None and (ended or now - looked >= LOOK):
            looked = now
            if found := findFlood(folder, limit):
                return True, found
        if not ended and now >= deadline:
            return False, ""
        wait = 0.0 if ended else min(LOOK, deadline - now)
        if not open_:
            if ended:
                return True, ""
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
        elif poller.poll(wait * 1000):
            piece = os.read(source, 65536)
            open_ = bool(piece)
            keep(piece[: limit - taken])
            taken += len(piece)
            if taken > limit:
                return True, describeFlood(limit)
        elif ended:  # something that it started still has the pipe
            return True, ""


def describeFlood(limit: int = LIMIT, name: str = "") -> str:
    """Return in words that a program wrote more than `limit` bytes, into a file of this name or onto its output."""
    return f"wrote more than {limit / 2**20:g} MB into {name}" if name else f"printed more than {limit / 2**20:g} MB"


def findFlood(folder: Path, limit: int = LIMIT) -> str:
    """Return in words which file of text in a folder is larger than `limit` bytes, or an empty string."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                own = entry.name.lower().endswith(TEXTS) and entry.is_file(follow_symlinks=False)
                if own and entry.stat(follow_symlinks=False).st_size > limit:
                    return describeFlood(limit, entry.name)
    return ""


def readText(path: Path) -> str:
    """Return what a program wrote into a file, whatever the language of this process; of a very long one its ends."""
    return _readEnds(path, LIMIT).decode("utf-8", "replace")


def shortenOutput(path: Path) -> None:
    """Leave of what a program printed too much of the beginning and the end, and how much was there between."""
    ends = _readEnds(path, 2 * ENDS)
    with createFile(path) as file:
        writeAll(file, ends)


def _readEnds(path: Path, limit: int) -> bytes:
    """Return what is in a file; of a longer one than `limit` bytes its ends and between them how much is left out."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= limit:
            return file.read(limit)
        beginning = file.read(ENDS)
        file.seek(-ENDS, os.SEEK_END)
        return beginning + f"\n[{size - 2 * ENDS} bytes are left out here]\n".encode() + file.read(ENDS)
