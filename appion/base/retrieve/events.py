"""Reading the events of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import eventsPath


def readEvents(rundir: Path | str, image_id: int | None = None, also: str = "") -> Iterator[dict[str, Any]]:
    """The events of a run or of one image, oldest first; lines cut short by a crash are passed over.

    Args:
        also: with those of an image what is called so, of whatever else.
    """
    needles = [needle.encode() for needle in (str(image_id), also) if needle and image_id is not None]
    if not eventsPath(rundir).exists():
        return
    with open(eventsPath(rundir), "rb") as file:
        for line in file:
            if needles and not any(needle in line for needle in needles):
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not isinstance(event, dict):
                continue
            if image_id is None or event.get("image") == image_id or (also and event.get("what") == also):
                yield event
