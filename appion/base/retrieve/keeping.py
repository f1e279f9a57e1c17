"""What the keeper of sessions says of itself."""

from __future__ import annotations

import json
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import Keeping, KeptRun, NotStarted, keepingPath


def readKeeping(folder: Path | str) -> Keeping | None:
    """Return what the keeper last wrote; None if there never was one in this folder.

    Raises:
        ConfigurationFailure: it cannot be read.
    """
    path = keepingPath(folder)
    try:
        words = json.loads(path.read_bytes())
        runs = tuple(KeptRun(**one) for one in words.pop("runs"))
        skipped = tuple(NotStarted(**one) for one in words.pop("skipped"))
        return Keeping(**words, runs=runs, skipped=skipped)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationFailure(f"{path} cannot be read: {error}", "is it of another version?") from error
