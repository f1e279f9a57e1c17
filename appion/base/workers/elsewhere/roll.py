"""The workers of a scheduler elsewhere, as it told them and as they were found to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import Any

from appion.base.failures import ConfigurationFailure

#: Seconds until an unfit worker is looked at again.
AGAIN = 60.0

#: Seconds that a worker may still be at work after its scheduler has lost sight of it.
STRAGGLING = 60.0

#: As many workers are named.
NAMED = 3

REMEDY = ("have the same folders, the program and this package's version under the same paths on the workers, "
          "for the user that they run as")  # fmt: skip


class Roll:
    """Which workers there are, by address.

    Attributes:
        count: all that the scheduler has.
        names: what Dask calls each.
        fit: whether each that is fit has something to do.
        unfit: why others are not, and from when on they are looked at again (monotonic seconds).
        empty: since when there is none at all.
    """

    def __init__(self) -> None:
        self.count = 0
        self.names: dict[str, str] = {}
        self.fit: dict[str, bool] = {}
        self.unfit: dict[str, tuple[str, float]] = {}
        self._strangers: list[str] = []
        self._seen: dict[str, float] = {}
        self._hosts: dict[str, str] = {}
        self.empty: float | None = None

    def update(self, workers: Mapping[str, Mapping[str, Any]], badge: str, now: float) -> None:
        """Take in what the scheduler tells; those that have the badge are fit."""
        self.count = len(workers)
        self.names = {address: str(info.get("name", "")) for address, info in workers.items()}
        fit = {address: info for address, info in workers.items() if (info.get("resources") or {}).get(badge)}
        self.fit = {address: isBusy(info) for address, info in fit.items()}
        self.unfit = {address: why for address, why in self.unfit.items() if address in workers and address not in fit}
        self._hosts = {address: host for address, host in self._hosts.items() if address in fit}
        self._strangers = [address for address in workers if address not in fit]
        self.empty = None if workers else self.empty or now
        self._seen = {address: when for address, when in self._seen.items() if now - when < STRAGGLING}
        self._seen |= dict.fromkeys(workers, now)

    def listStrangers(self, now: float) -> list[str]:
        """Return the workers that are to be looked at."""
        return [address for address in self._strangers if self.unfit.get(address, ("", now))[1] <= now]

    def findOn(self, hosts: Container[str]) -> list[str]:
        """Return the fit workers on these hosts."""
        return [address for address, host in self._hosts.items() if host in hosts]

    def listLive(self, now: float) -> set[str]:
        """Return the workers that may have something in their scratch folders."""
        return {address for address, when in self._seen.items() if now - when < STRAGGLING}

    def note(self, address: str, answer: Any, now: float) -> str:
        """Take in what a worker said of itself, or why it did not; returns what is wrong with it, if that is news."""
        if answer is None:
            return ""  # it went meanwhile
        if isinstance(answer, BaseException):
            host, troubles = address, (f"it cannot be asked: {type(answer).__name__}: {answer}".splitlines()[0],)
        else:
            host, troubles = answer
        if not troubles:
            self.unfit.pop(address, None)
            self.fit.setdefault(address, False)
            self._hosts[address] = host
            return ""
        self.fit.pop(address, None)
        text = f"{host} ({address}): {'; '.join(troubles)}"
        before = self.unfit.get(address, ("", 0.0))[0]
        self.unfit[address] = text, now + AGAIN
        return "" if text == before else text

    def describe(self) -> list[str]:
        """Return what is worth knowing of those that are not used."""
        if not self.unfit:
            return []
        return [f"{len(self.unfit)} of {self.count} workers are not used: {self._name()}"]

    def constructFailure(self, kind: str) -> ConfigurationFailure:
        """Return the error of a scheduler none of whose workers is fit."""
        return ConfigurationFailure(f"no worker of {kind} can be used: {self._name()}", REMEDY)

    def _name(self) -> str:
        """The first few; those of the same trouble once."""
        texts = Counter(text for text, _ in self.unfit.values())
        more = f", and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
        return ", ".join(list(texts)[:NAMED]) + more


def isBusy(info: Mapping[str, Any]) -> bool:
    """Whether a worker computes something, by what its last heartbeat told."""
    counts = (info.get("metrics") or {}).get("task_counts") or {}
    return bool(counts.get("executing") or counts.get("ready"))
