"""What is known of one exposure of a run, in words: for `appion explain` and for pages."""

from __future__ import annotations

import glob
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appion.base.calc.numbers import formatNumber
from appion.base.calc.plain import makePlainLines
from appion.base.failures import ConfigurationFailure
from appion.base.records import series
from appion.base.records.runfolder import journalPath
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.base.retrieve.journal import UnreadableRecord, readResult
from appion.base.retrieve.series import readSeries

#: Fields of an event that stand in a column of their own.
COLUMNS = frozenset({"time", "image", "name", "what"})

#: Numbers that are told with the events, or only make sense to programs.
TIMES = frozenset({"exposed", "stored"})

#: Fields of a journal record whose own fields are shown in their place.
PARTS = ("origin", "result")


def readStory(rundir: Path, image_id: int) -> Iterator[dict[str, Any]]:
    """The events of one exposure, and the start of a daemon while it was out: that is why it was handed out again."""
    out = False
    for event in readEvents(rundir, image_id, also="started"):
        if event.get("image") == image_id:
            out = event.get("what") == "submitted"
            yield event
        elif out and event.get("what") == "started":
            out = False
            yield {"time": event["time"], "what": "started", "reason": "a new daemon; the last one did not see its end"}


def findImage(rundir: Path, image: str) -> tuple[int, str]:
    """Id and name of the exposure that is meant by an id or a name."""
    name = Path(image).name.removesuffix(".mrc")
    image_id = int(image) if image.isdecimal() else None
    found = None
    for event in readEvents(rundir, image_id):
        if "image" in event and (image_id is not None or event.get("name") == name):
            found = event["image"], event.get("name", "") or (found[1] if found else "")
    if found is None:
        for attempt in readAttempts(rundir).values():
            if image_id == attempt.image_id or name == attempt.filename:
                return attempt.image_id, attempt.filename
        raise ConfigurationFailure(
            f"{rundir} knows nothing of image {image}",
            "it was done before this run folder's first event, is not selected, or was never handed out",
        )
    return found


def describeEvent(event: dict[str, Any]) -> str:
    """One line: when, what, and whatever else was noted but numbers."""
    told = {key: ", ".join(value) if isinstance(value, list) else value for key, value in event.items()}
    left_out = COLUMNS | series.COLUMNS.keys()
    fields = [f"{key}={value}" for key, value in told.items() if key not in left_out and value not in ("", None)]
    day = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["time"]))
    return f"  {day}  {event['what']:<12} {'  '.join(fields)}".rstrip()


def describeNumbers(rundir: Path, image_id: int) -> Iterator[str]:
    """What is in the series of its stored result, a line each."""
    line = readSeries(rundir).lines.get(image_id, {})
    for name, column in series.COLUMNS.items():
        if column.digits is not None and name not in TIMES and isinstance(line.get(name), (int, float)):
            yield f"  {formatNumber(name, line[name])}"


def describeAttempt(rundir: Path, image_id: int) -> Iterator[str]:
    """The last failure in full."""
    attempt = readAttempts(rundir).get(image_id)
    if attempt is None:
        return
    fate = "set aside" if attempt.next_try is None else f"tried again at {formatClock(attempt.next_try)}"
    yield f"  {attempt.reason}  [{attempt.kind}], failures {attempt.count}, {fate}"
    if attempt.remedy:
        yield f"  -> {attempt.remedy}"
    if attempt.command:
        yield f"  command: {attempt.command}"
    yield from (f"  | {line}" for line in makePlainLines(attempt.log_tail.rstrip()))


def describeRecord(rundir: Path, image_id: int) -> Iterator[str]:
    """The record, one field a line, cut where long."""
    path = journalPath(rundir, image_id)
    try:
        record = readResult(rundir, image_id)
    except UnreadableRecord as error:
        yield f"  unreadable: {error}"
        return
    bad = path.with_name(path.name + ".bad")
    if bad.exists():
        yield f"  an unusable one was set aside as {bad}"
    if record is not None:
        yield f"  {path}"
        for part in (record, *(record[key] for key in PARTS if isinstance(record.get(key), dict))):
            for key, value in part.items():
                text = json.dumps(value)
                if part is not record or key not in PARTS:
                    yield f"    {key}: {text if len(text) <= 200 else text[:200] + '...'}"


def describeFiles(rundir: Path, name: str) -> Iterator[str]:
    """Files whose name begins with that of the exposure: logs, and sums that are not stored."""
    for path in sorted(Path(rundir).glob(f"{glob.escape(name)}*")) if name else []:
        if path.is_file():
            state = path.stat()
            yield f"  {path}  {state.st_size} bytes, {formatClock(state.st_mtime)}"


def formatClock(seconds: float) -> str:
    """A Unix time as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
