"""Reading the failures of a run, and requests to forget them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure
from appion.base.records.attempt import Attempt, applyAttemptLine, decodeAttempt, parseAttemptLine
from appion.base.records.runfolder import attemptsPath, formerAttemptsPath, retryFolder

#: What of an attempt nobody needs but who reads of it.
DETAILS = ("log_tail", "command")


def readAttempts(rundir: Path | str, details: bool = True) -> dict[int, Attempt]:
    """The failures of a run by image id, the latest last; also while a daemon writes more of them.

    Args:
        details: with what the programs printed and their command lines, which is most of it.

    Raises:
        ConfigurationFailure: the file is there but is not what the daemon writes.
    """
    for path, read in ((attemptsPath(rundir), readLines), (formerAttemptsPath(rundir), readFormer)):
        try:
            return {image_id: decodeAttempt(record) for image_id, record in read(path, details).items()}
        except FileNotFoundError:
            continue
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            remedy = "move it away: failures are then forgotten"
            raise ConfigurationFailure(f"{path} cannot be read: {error!r}", remedy) from error
    return {}


def readLines(path: Path, details: bool) -> dict[int, dict[str, Any]]:
    """What the lines of a file say in the end."""
    records: dict[int, dict[str, Any]] = {}
    with open(path, "rb") as file:
        for record in filter(None, map(parseAttemptLine, file)):
            image_id = record["image_id"]
            if not details:
                record |= {name: "" for name in DETAILS if name in record}
            known = applyAttemptLine(records.pop(image_id, None), record)
            if known:
                records[image_id] = known
    return records


def readFormer(path: Path, details: bool) -> dict[int, dict[str, Any]]:
    """What an earlier version wrote."""
    records = {int(image_id): record for image_id, record in json.loads(path.read_bytes()).items()}
    return records if details else {one: {**record, **dict.fromkeys(DETAILS, "")} for one, record in records.items()}


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
