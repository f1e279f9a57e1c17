"""The keeper's memory: a file for each of its runs, written before anything is done; wishes of people; what it says."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from appion.base.calc.plain import formatJson
from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import Keeping, keeperEventsPath, keepingPath, preferredFolder
from appion.base.records.lockfile import encodeHolder, openLock, readHolder, tryLock
from appion.base.store.files import appendLines, writeAtomically
from appion.keep.records import PROGRAMS, OwnRun, againFolder, runsFolder

#: Seconds for which a run is remembered to which nothing happens.
REMEMBERED = 400 * 86400.0


def saveRun(folder: Path, run: OwnRun) -> None:
    """Write down what is known of a run, to the disk: what it says is done after it, never before.

    Raises:
        OSError: as the system gives it.
    """
    place = runsFolder(folder)
    writeAtomically(place / f"{quote(run.key, safe='')}.json", formatJson(asdict(run)))
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the name, too, is to outlive a power cut
    finally:
        os.close(descriptor)


def removeRun(folder: Path, run: OwnRun) -> None:
    """Forget a run that was never started. Raises OSError."""
    (runsFolder(folder) / f"{quote(run.key, safe='')}.json").unlink(missing_ok=True)


def loadRuns(folder: Path) -> dict[str, OwnRun]:
    """Return the keeper's runs by key.

    Raises:
        ConfigurationFailure: a file cannot be read: nothing is started before it is known what was.
    """
    runs = {}
    for path in sorted(runsFolder(folder).glob("*.json")):
        try:
            run = OwnRun(**json.loads(path.read_bytes()))
            if run.program not in PROGRAMS:
                raise ValueError(f"program {run.program!r} is none that is kept")
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationFailure(f"{path} cannot be read: {error}", "look at the disk; move it away if its run is"
                                       " not to be kept") from error  # fmt: skip
        runs[run.key] = run
    return runs


def openFolder(folder: Path) -> Path:
    """Return the keeper's folder, made with all that belongs into it if need be; what is very old in it goes.

    Raises:
        ConfigurationFailure: it cannot be made or written to.
    """
    try:
        for one in (folder, runsFolder(folder), preferredFolder(folder), againFolder(folder)):
            one.mkdir(parents=True, exist_ok=True)
        for one, mode in ((folder, 0o755), (runsFolder(folder), 0o700)):  # what stands in there is executed
            if stat.S_IMODE(one.stat().st_mode) & ~mode:
                one.chmod(mode)
        for path in runsFolder(folder).glob("*.json"):
            if time.time() - path.stat().st_mtime > REMEMBERED:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationFailure(f"the keeper's folder {folder} cannot be made: {error.strerror or error}",
                                   "set keep.folder to one that this account may write to") from error  # fmt: skip
    return folder


def lockFolder(path: Path) -> int:
    """Take the keeper's lock for as long as this process lives; returns its descriptor.

    Raises:
        ConfigurationFailure: another keeper has it.
    """
    fd = openLock(path)
    deadline = time.monotonic() + 2
    while not tryLock(fd, path):
        if time.monotonic() > deadline:
            holder = readHolder(fd)
            os.close(fd)
            raise ConfigurationFailure(f"a keeper is at work already: process {holder.get('pid', '?')} on host "
                                       f"{holder.get('host', '?')}", "one is enough; keep.folder is its folder")
        time.sleep(0.1)
    content = encodeHolder(os.uname().nodename, os.getpid(), time.time())
    os.pwrite(fd, content, 0)
    os.ftruncate(fd, len(content))
    return fd


def saveKeeping(folder: Path, keeping: Keeping) -> None:
    """Write what the keeper says of itself. Raises OSError."""
    writeAtomically(keepingPath(folder), formatJson(asdict(keeping)))


def saveEvent(folder: Path, what: str, **more: Any) -> None:
    """Append an event; a disk that takes none of it keeps nothing from being done."""
    event: Mapping[str, Any] = {"time": round(time.time(), 3), "what": what, **more}
    with contextlib.suppress(OSError):
        appendLines(keeperEventsPath(folder), [formatJson(event) + "\n"])


def addWish(place: Path, session: str) -> None:
    """Name a session in a folder of wishes. Raises OSError."""
    place.mkdir(parents=True, exist_ok=True)
    writeAtomically(place / quote(session, safe=""), formatJson({"session": session, "since": time.time()}))


def removeWishes(place: Path, sessions: Iterable[str]) -> None:
    """Take sessions out of a folder of wishes."""
    for session in sessions:
        (place / quote(session, safe="")).unlink(missing_ok=True)


def listWishes(place: Path) -> set[str]:
    """Return the sessions that are named in a folder of wishes."""
    try:
        return {unquote(name) for name in os.listdir(place) if not name.startswith(".")}
    except FileNotFoundError:
        return set()
