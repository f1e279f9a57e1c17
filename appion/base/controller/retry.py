"""Having failed exposures tried again: through the daemon if one runs, else in the run folder."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.status import isRunning, readStatus
from appion.base.store.attempts import saveAttempts, saveRetryRequest
from appion.base.store.lock import acquireLock


def forgetFailures(rundir: Path, ids: Collection[int] | None) -> tuple[int, str]:
    """Forget the failures of these images, or all (None); return how many, and on which host a daemon was asked to.

    The host is empty where none runs: they are tried when one is started.

    Raises:
        ConfigurationFailure: nothing ever ran there, or what is there cannot be read.
        OSError: the run folder takes nothing.
    """
    status, attempts = readStatus(rundir), readAttempts(rundir)
    forgotten = attempts.keys() if ids is None else ids
    if isRunning(rundir, status):
        saveRetryRequest(rundir, ids)
        return len(forgotten), status["host"]
    with acquireLock(rundir):
        saveAttempts(rundir, ({"image_id": image_id} for image_id in forgotten))
    return len(forgotten), ""
