"""Reading the events of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import eventsPath


def readEvents(rundir: Path | str, image_id: int | None = None) -> Iterator[dict[str, Any]]:
    """The events of a run or of one image, oldest first; lines cut short by a crash are passed over."""
    needle = None if image_id is None else str(image_id).encode()
    if not eventsPath(rundir).exists():
        return
    with open(eventsPath(rundir), "rb") as file:
        for line in file:
            if needle is not None and needle not in line:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and (image_id is None or event.get("image") == image_id):
                yield event
