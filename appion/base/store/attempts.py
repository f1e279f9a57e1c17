"""Keeping the failures of a run over restarts, and requests to forget them.

They are written down as they happen, a line for each, and never rewritten but for leaving out what counts no more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from appion.base.records.attempt import TAIL, applyAttemptLine, formatAttemptLine, parseAttemptLine
from appion.base.records.runfolder import attemptsPath, formerAttemptsPath, retryFolder
from appion.base.store.files import appendLines, writeAtomically


def saveAttempts(rundir: Path | str, changes: Iterable[dict[str, Any]]) -> int:
    """Write down what changed (see :mod:`appion.base.records.attempt`), down to the disk; returns the file's size.

    Raises:
        OSError: disk full and the like; then nothing of it is there.
        ValueError: see :func:`compactAttempts`.
    """
    if formerAttemptsPath(rundir).exists():
        compactAttempts(rundir)
    return appendLines(attemptsPath(rundir), map(formatAttemptLine, changes), sync=True)


def compactAttempts(rundir: Path | str) -> int:
    """Leave out what counts no more; what an earlier version wrote is taken over. Returns the file's size.

    Raises:
        OSError: as the system gives it; nothing is lost.
        ValueError: the file is not what the daemon writes.
    """
    path, former = attemptsPath(rundir), formerAttemptsPath(rundir)
    try:
        with open(path, "rb") as file:
            places, lines = findLines(file)
            if lines > len(places):
                writeAtomically(path, mergeLines(file, places))
    except FileNotFoundError:
        if not former.exists():
            return 0
        records = json.loads(former.read_bytes()).values()
        kept = ({**record, "log_tail": record["log_tail"][-TAIL:]} for record in records)
        writeAtomically(path, "".join(map(formatAttemptLine, kept)))
    former.unlink(missing_ok=True)
    return path.stat().st_size


def findLines(file: BinaryIO) -> tuple[dict[int, list[int]], int]:
    """Where the lines begin that count, by image, and how many lines there are."""
    places: dict[int, list[int]] = {}
    number = start = 0
    for line in file:
        record = parseAttemptLine(line)
        if record is not None:
            known = places.pop(record["image_id"], [])
            whole = applyAttemptLine({}, record)
            if whole is not None:  # a change counts only behind what it changes
                places[record["image_id"]] = [start] if whole is record else [*known, start] if known else []
        number, start = number + 1, start + len(line)
    return {image_id: found for image_id, found in places.items() if found}, number


def mergeLines(file: BinaryIO, places: dict[int, list[int]]) -> Iterator[bytes]:
    """One line for each image, of those that begin at these places."""
    for starts in places.values():
        known: dict[str, Any] | None = None
        for start in starts:
            file.seek(start)
            record = parseAttemptLine(file.readline())
            known = applyAttemptLine(known, record or {})
        if known is not None:
            yield formatAttemptLine(known).encode()


def saveRetryRequest(rundir: Path | str, ids: Iterable[int] | None) -> Path:
    """Ask a running daemon to try these images again, or all that failed (None). It takes note at its next poll."""
    folder = retryFolder(rundir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.time_ns()}.json"
    writeAtomically(path, json.dumps({"ids": None if ids is None else sorted(ids)}))
    return path
