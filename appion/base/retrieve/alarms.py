"""What alarms are asked for, and what a run is like when they are judged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from appion.base.calc.alarmrules import ENVIRONMENT, FILE, parseAddress, parseReceivers, parseRules
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.records.alarm import Alarms, Facts, Receiver, Rule
from appion.base.records.runfolder import seriesPath
from appion.base.records.series import COLUMNS, IMAGE
from appion.base.retrieve.series import Series, readSeries
from appion.base.retrieve.status import MANY_WAIT, formatSince

#: Bytes of a file with an address that are read.
MOST = 65536

#: Exposures that are the session which the last ones are compared with, and bytes of a series that hold so many.
EXPOSURES, TAIL = 5000, 8 * 2**20


def readAlarms() -> Alarms:
    """Return what the settings ask for.

    Raises:
        ConfigurationFailure: something in them is not possible; with its name, its value and the remedy.
    """
    rules, receivers = parseRules(setting("alarms.rules")), parseReceivers(setting("alarms.receivers"))
    for receiver in receivers:
        if not receiver.command:
            readService(receiver)
    return Alarms(rules, receivers, parseAddress(setting("alarms.address")), setting("alarms.settle"))


def readService(receiver: Receiver) -> str:
    """Return the address of a service, which is not to be shown.

    Raises:
        ConfigurationFailure: it stands elsewhere, and is not there.
    """
    service = receiver.service
    if service.startswith(ENVIRONMENT):
        name = service.removeprefix(ENVIRONMENT)
        if not (found := os.environ.get(name, "").strip()):
            remedy = "set it for daemons and commands, to an address as apprise documents it"
            raise ConfigurationFailure(f"appion.alarms.receivers: the variable {name!r} is not set", remedy)
        return found
    if not service.startswith(FILE):
        return service
    path = Path(service.removeprefix(FILE))
    remedy = "write the address of the service into it, in one line, and let nobody else read it"
    try:
        with open(path, "rb") as file:
            lines = file.read(MOST).decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationFailure(f"appion.alarms.receivers: {path} cannot be read: {reason}", remedy) from None
    if not (found := lines[0].strip()):
        raise ConfigurationFailure(f"appion.alarms.receivers: {path} is empty", remedy)
    return found


class Follower:
    """Follows the series of a run: of its last :data:`EXPOSURES` the numbers that rules look at, and nothing else."""

    def __init__(self, rundir: Path | str, rules: Iterable[Rule]):
        self.rundir = rundir
        self.numbers = tuple(sorted({rule.subject for rule in rules if rule.subject in COLUMNS}))
        self.last_stored: float | None = None
        self.values: dict[str, list[float]] = {}
        self._series: Series | None = None
        self._lines: dict[int, tuple[float, tuple[float | None, ...]]] = {}

    def read(self) -> None:
        """Take in what was added.

        Raises:
            OSError: as the system gives it.
        """
        before = self._series or findTail(self.rundir)
        found = readSeries(self.rundir, before)
        if before is None or (found.device, found.inode) != (before.device, before.inode):
            self._lines, self.last_stored = {}, None
        self._series = Series({}, found.offset, found.device, found.inode)
        for line in found.lines.values():
            stored = line.get("stored", 0.0)
            self.last_stored = max(stored, self.last_stored or 0.0)
            self._lines[line[IMAGE]] = line.get("exposed", stored), tuple(line.get(name) for name in self.numbers)
        if found.lines:
            self._sort()

    def _sort(self) -> None:
        """Put the exposures into the order in which they were taken."""
        latest = sorted(self._lines.items(), key=lambda item: item[1][0])[-EXPOSURES:]
        if len(self._lines) > 1.2 * EXPOSURES:
            self._lines = dict(latest)
        columns = zip(*(numbers for _, (_, numbers) in latest), strict=True)
        self.values = {name: [value for value in column if isinstance(value, (int, float))]
                       for name, column in zip(self.numbers, columns, strict=False)}  # fmt: skip


def findTail(rundir: Path | str) -> Series | None:
    """Return where to begin in a series that is longer than what is kept of it; None where there is none yet."""
    try:
        state = os.stat(seriesPath(rundir))
    except FileNotFoundError:
        return None
    return Series({}, max(0, state.st_size - TAIL), state.st_dev, state.st_ino)


def collectFacts(rundir: Path | str, status: Mapping[str, Any], running: bool, follower: Follower) -> Facts:
    """Return what a run is like, by its last status, its series and its disk.

    Raises:
        OSError: as the system gives it.
    """
    follower.read()
    space = os.statvfs(rundir)
    counts = status.get("counts", {})
    end, unexpected = ("", False) if running else describeEnd(status)
    return Facts(
        now=time.time(), running=running, end=end, unexpected=unexpected, to_do=countWork(status) if counts else None,
        last_stored=follower.last_stored, set_aside=counts.get("set aside"),
        free=space.f_bavail * space.f_frsize / 1e9 if space.f_blocks else None, values=follower.values,
    )  # fmt: skip


def describeEnd(status: Mapping[str, Any]) -> tuple[str, bool]:
    """Return why no daemon works on a run, and whether nobody asked for that."""
    if status.get("state") == "ended":
        return str(status.get("ended", "")), bool(status.get("broken"))
    since = formatSince(status.get("heartbeat"))
    return f"its daemon was killed or its host died, there was no sign of life{since}", True


def countWork(status: Mapping[str, Any]) -> int:
    """Return how many exposures there are to be stored.

    Those whose movie is not there count as long as exposures come, or if they are more than a late movie or two.
    """
    if status.get("state") == "ended":
        return 0
    counts = status["counts"]
    work = sum(counts.get(phase, 0) for phase in ("queued", "running", "storing", "backing off"))
    waiting = counts.get("waiting", 0)
    return work + (waiting if waiting >= MANY_WAIT or status.get("arriving_per_hour") else 0)
