"""Which exposures of a run failed, and why: read again only when there is something new in the file."""

from __future__ import annotations

import os
import sys

from appion.base.failures import ConfigurationFailure
from appion.base.records.runfolder import attemptsPath, formerAttemptsPath
from appion.base.retrieve.attempts import readAttempts


class Failed:
    """What failed in a run folder.

    Attributes:
        reasons: image -> why it failed last, and whether it is set aside.
        problem: why that cannot be told; empty if it can.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.reasons: dict[int, tuple[str, bool]] = {}
        self.problem = ""
        self._seen: object = ()

    def update(self) -> set[int]:
        """Read what is new and return the images of which something else is known now."""
        if not self.folder:
            return set()
        look = [lookAt(path(self.folder)) for path in (attemptsPath, formerAttemptsPath)]
        if look == self._seen:
            return set()
        before, self.problem = self.reasons, ""
        try:
            attempts = readAttempts(self.folder, details=False)
        except (ConfigurationFailure, OSError) as failure:
            self.problem = str(failure)
            return set()
        self._seen = look
        self.reasons = {image_id: (sys.intern(attempt.reason), attempt.next_try is None)
                        for image_id, attempt in attempts.items()}  # fmt: skip
        return {one for one in before.keys() | self.reasons if before.get(one) != self.reasons.get(one)}


def lookAt(path: os.PathLike[str]) -> tuple[int, int, int] | None:
    """Return what tells that a file has changed; None if it is not there."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns
