"""Which folder is which: a run folder is known by what its daemon wrote into it, not by its path.

Where a file system is not mounted an empty folder, or another one, has the same path. Nothing must be looked for, made
or computed anew there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from appion.base.failures import InfrastructureFailure
from appion.base.records.lockfile import readHolder
from appion.base.records.runfolder import lockPath

#: What a file or folder is to the system of this host while it is mounted: device and number.
Identity = tuple[int, int]

#: Why it is away where something answers at its path.
NOTHING, OTHER = "there is no .appion/lock in it", "another folder is in its place"

REMEDY = "is its file system mounted, and may it be read? It goes on by itself"


def findIdentity(path: Path | str) -> Identity | None:
    """Return what is at a path, None if that cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def constructAway(rundir: Path | str, why: object) -> InfrastructureFailure:
    """Return the failure of a run folder that is not there now; `why`: an error, or words."""
    told = why.strerror or why if isinstance(why, OSError) else why
    return InfrastructureFailure(f"the run folder {rundir} is away: {told}", REMEDY, host=os.uname().nodename)


@dataclass(frozen=True)
class Belonging:
    """What a worker is told of the run folder: where it is, and the word that the daemon wrote into its lock file."""

    rundir: str
    word: str

    def check(self) -> None:
        """Raise InfrastructureFailure unless the run folder is there."""
        found = readBelonging(self.rundir)
        if found is None:
            raise constructAway(self.rundir, NOTHING)
        if found.word != self.word:
            raise constructAway(self.rundir, OTHER)

    @contextlib.contextmanager
    def expect(self) -> Iterator[None]:
        """For the time of a `with` block, in which :func:`checkExpected` asks for this run folder.

        Raises:
            InfrastructureFailure: it is away at the beginning.
        """
        self.check()
        before = _expected.set(self)
        try:
            yield
        finally:
            _expected.reset(before)


#: The run folder that is expected in this thread.
_expected: ContextVar[Belonging | None] = ContextVar("expected", default=None)


def checkExpected(rundir: Path | str) -> None:
    """Raise InfrastructureFailure if `rundir` is to be known by what a worker was told of it, and is another or away.

    To be called before something is made in a run folder.
    """
    expected = _expected.get()
    if expected is not None and os.path.abspath(expected.rundir) == os.path.abspath(rundir):
        expected.check()


def readBelonging(rundir: Path | str) -> Belonging | None:
    """Return by what the run folder that is there now is known, None if no daemon ever had one there.

    Not for the process that holds the lock: where locks go over the network that would give the lock away.

    Raises:
        InfrastructureFailure: it does not answer.
    """
    try:
        fd = os.open(lockPath(rundir), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return Belonging(str(rundir), str(readHolder(fd).get("word", "")))
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise constructAway(rundir, error) from error
