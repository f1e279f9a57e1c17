"""Reading the failures of a run, and requests to forget them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from appion.base.failures import ConfigurationFailure
from appion.base.records.attempt import Attempt, decodeAttempt
from appion.base.records.runfolder import attemptsPath, retryFolder


def readAttempts(rundir: Path | str) -> dict[int, Attempt]:
    """The failures of a run by image id.

    Raises:
        ConfigurationFailure: the file is there but is not what the daemon writes.
    """
    path = attemptsPath(rundir)
    try:
        records = json.loads(path.read_bytes())
        return {int(key): decodeAttempt(record) for key, record in records.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        remedy = "move it away: failures are then forgotten"
        raise ConfigurationFailure(f"{path} cannot be read: {error!r}", remedy) from error


def takeRetryRequests(rundir: Path | str) -> list[set[int] | None]:
    """The requests that wait, oldest first; each is removed. None stands for all images that failed.

    What cannot be read or removed now waits for the next call.

    Raises:
        OSError: the folder cannot be listed.
    """
    folder = retryFolder(rundir)
    if not folder.is_dir():
        return []
    requests: list[set[int] | None] = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError):
            text = path.read_bytes()
            try:
                ids = json.loads(text)["ids"]
                request = None if ids is None else {int(image_id) for image_id in ids}
            except (ValueError, KeyError, TypeError):
                path.replace(path.with_suffix(".bad"))
                continue
            path.unlink()
            requests.append(request)
    return requests
