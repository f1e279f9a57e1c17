"""Reading the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import journalPath


class UnreadableRecord(ValueError):
    """A journal file that is not a JSON object."""


def readResult(rundir: Path | str, image_id: int) -> dict[str, Any] | None:
    """The record of one image, or None if there is none.

    Raises:
        UnreadableRecord: the file is there but is not a JSON object.
    """
    path = journalPath(rundir, image_id)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        record = json.loads(text)
    except ValueError as error:
        raise UnreadableRecord(f"{path}: {error}") from error
    if not isinstance(record, dict):
        raise UnreadableRecord(f"{path}: not a JSON object")
    return record


def retrieveResultIds(rundir: Path | str) -> list[int]:
    """Ids of all images with a journal record, ascending; the records are not read."""
    folder = journalPath(rundir, 0).parent
    if not folder.is_dir():
        return []
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())


def readResults(rundir: Path | str) -> Iterator[tuple[int, dict[str, Any] | UnreadableRecord]]:
    """(image id, record) of each journal file, one at a time; an unreadable one comes as its error."""
    for image_id in retrieveResultIds(rundir):
        try:
            record = readResult(rundir, image_id)
        except UnreadableRecord as error:
            yield image_id, error
            continue
        if record is not None:
            yield image_id, record
