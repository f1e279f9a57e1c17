"""Reading the series of a run: the numbers of its stored exposures, all at once or what is new since."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import seriesPath
from appion.base.records.series import COLUMNS, IMAGE
from appion.base.retrieve.events import readEvents

#: Events that earlier versions told numbers with.
STORED = ("stored", "kept")


@dataclass(frozen=True)
class Series:
    """What was read: the last line of each image, in the order in which these were written.

    Attributes:
        lines: by image id.
        offset: where in the file to go on. device, inode: of the file, to know another one in its place.
    """

    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    offset: int = 0
    device: int = 0
    inode: int = 0


def readSeries(rundir: Path | str, since: Series | None = None) -> Series:
    """Return the numbers of a run, or of a run that has no series what its events tell.

    A line that is cut short is passed over; at the end of the file it is read when it is whole. Fields that are not
    known here stay in the lines.

    Args:
        since: an earlier answer; then only what was written since is returned, or all if the file is another one.
    """
    try:
        with open(seriesPath(rundir), "rb") as file:
            state = os.fstat(file.fileno())
            known = since is not None and (since.device, since.inode) == (state.st_dev, state.st_ino)
            start = since.offset if known and since is not None and since.offset <= state.st_size else 0
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return Series(collectLines(readOldSeries(rundir)) if since is None else {})
    end = text.rfind(b"\n") + 1
    return Series(collectLines(parseLines(text[:end])), start + end, state.st_dev, state.st_ino)


def readLast(rundir: Path | str, number: int) -> list[dict[str, Any]]:
    """Return at most so many lines from the end, oldest first; no more of the file is read than that takes."""
    try:
        with open(seriesPath(rundir), "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096 * number))
            text = file.read()
    except FileNotFoundError:
        return []
    return list(collectLines(parseLines(text[: text.rfind(b"\n") + 1])).values())[-number:]


def parseLines(text: bytes) -> Iterator[dict[str, Any]]:
    """Yield the lines that are whole and of an image. They are read at once, and one by one only if that fails."""
    lines = text.split(b"\n")
    try:
        whole = json.loads(b"[%s]" % b",".join(filter(None, lines)))
    except ValueError:
        whole = map(parseLine, lines)
    for found in whole:
        if isinstance(found, dict) and type(found.get(IMAGE)) is int:
            yield found


def parseLine(line: bytes) -> Any:
    """Return what a line says; None for one that is not whole."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def readOldSeries(rundir: Path | str) -> Iterator[dict[str, Any]]:
    """Yield what the events of a run say of its stored exposures, as lines."""
    for event in readEvents(rundir):
        if event.get("what") in STORED and type(event.get(IMAGE)) is int:
            line = {name: value for name, value in event.items() if name in COLUMNS}
            yield line | ({"stored": event["time"]} if "time" in event else {})


def collectLines(lines: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return the last line of each image by its id, in the order of those."""
    found: dict[int, dict[str, Any]] = {}
    for line in lines:
        found.pop(line[IMAGE], None)
        found[line[IMAGE]] = line
    return found


def calcColumns(lines: Iterable[dict[str, Any]], names: Iterable[str] = tuple(COLUMNS)) -> dict[str, list[Any]]:
    """Return each column of some lines as a list, with None where a line has no such field."""
    lines = list(lines)
    return {name: [line.get(name) for line in lines] for name in names}
