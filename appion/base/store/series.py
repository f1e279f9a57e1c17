"""Writing the series of a run: one JSON line per stored exposure, appended and never rewritten."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from appion.base.records.runfolder import seriesPath
from appion.base.store.files import appendLines


def saveSeries(rundir: Path | str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Append lines; a later one of an image stands for the earlier ones.

    Raises:
        OSError: disk full and the like; then none of them is there.
        ValueError: a number is not finite, which no other program reads.
    """
    texts = [json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n" for line in lines]
    texts = [text.replace("\x7f", "\\u007f") for text in texts]  # the one control character that JSON leaves as it is
    if texts:
        appendLines(seriesPath(rundir), texts)
