"""The lock file of a run folder: how it is locked and what stands in it, for those who take it and those who look."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from appion.base.failures import ConfigurationFailure


def tryLock(fd: int, path: Path, shared: bool = False) -> bool:
    """Lock an open file without waiting; False if somebody holds it. Who only looks takes the `shared` lock.

    Raises:
        ConfigurationFailure: the file system has no locks.
    """
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise ConfigurationFailure(
            f"{path} cannot be locked: {error.strerror}",
            "mount the file system with locks (Lustre: -o flock) or choose a run folder elsewhere",
        ) from error
    return True


def encodeHolder(host: str, pid: int, since: float, word: str = "") -> bytes:
    """What the holder writes into the file; `since` in seconds since the epoch, `word` of its own (see belonging)."""
    return json.dumps({"host": host, "pid": pid, "since": since, "word": word}).encode()


def readHolder(fd: int) -> dict[str, Any]:
    """Host, pid, since and word as they stand in the open file; empty if that makes no sense. Raises OSError."""
    try:
        holder = json.loads(os.pread(fd, 4096, 0))
        return holder if isinstance(holder, dict) else {}
    except ValueError:
        return {}
