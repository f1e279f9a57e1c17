"""Fetches the next movie while a program works on this one: into the page cache, or onto a disk of the node.

A program on a GPU computes for a small part of its time; the rest is reading, decoding and writing. A worker has the
exposure that it computes and the next one, and reads that one's movie ahead, one at a time: what is fetched is bounded
by one movie for each worker.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin

from appion.base.config import setting
from appion.base.failures import ConfigurationFailure
from appion.base.store.scratch import cleanDead, makeScratch
from appion.base.workers.onworker import findWorker

NAME = "appion-stage"
#: Under which the file that an exposure reads is noted with its task.
NOTE = "appion_reads"
NONE, CACHE = "none", "cache"

#: So many bytes are read at one time.
BLOCK = 8 << 20

#: A task that begins within so many seconds needs nothing fetched.
PAUSE = 0.2


@dataclasses.dataclass
class Fetch:
    """What became of a file that was fetched ahead for the task `key`, in so many seconds; `copy`: where it is now."""

    key: Any
    folder: Path | None = None
    copy: Path | None = None
    seconds: float = 0.0
    trouble: str = ""
    used: bool = False
    ended: threading.Event = dataclasses.field(default_factory=threading.Event)

    def remove(self) -> None:
        """Remove the copy; nothing if there is none."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


class Stager(WorkerPlugin):
    """Reads the file of the task that is next on a worker, in a thread of its own.

    Args:
        where: ``cache``, or a folder on a disk of the node.
        spare: bytes that must stay free there.
    """

    name = NAME

    def __init__(self, where: str, spare: float):
        self.where, self.spare = where, spare

    def setup(self, worker: Worker) -> None:
        """Called by Dask on the worker."""
        self._worker, self._closed = worker, False
        self._next: dict[Any, str] = {}  # tasks that wait on this worker -> what they read
        self._begun: set[Any] = set()
        self._fetches: dict[str, Fetch] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name=NAME, daemon=True).start()

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002
        """Called by Dask when the worker ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        for fetch in list(self._fetches.values()):
            fetch.remove()

    def transition(self, key: Any, start: Any, finish: Any, **_: Any) -> None:  # noqa: ARG002
        """Called by Dask whenever a task of this worker changes; must not wait for a disk."""
        with self._changed:
            waited = self._next.pop(key, None)
            if finish == "executing":
                if waited:
                    self._begun.add(key)
            else:
                self._begun.discard(key)
                if finish == "ready" and (path := self._findFile(key)):
                    self._next[key] = path
            self._changed.notify()

    def _findFile(self, key: Any) -> str:
        task = self._worker.state.tasks.get(key)
        return str((task.annotations or {}).get(NOTE, "")) if task is not None else ""

    def _run(self) -> None:
        if self.where != CACHE:
            with contextlib.suppress(OSError):
                cleanDead(self.where)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._choose() or self._findStale())
            time.sleep(PAUSE)
            with self._changed:
                if self._closed:
                    return
                stale = [self._fetches.pop(path) for path in self._findStale()]
                chosen = self._choose()
                if chosen:
                    self._fetches[chosen[1]] = Fetch(chosen[0])
            for fetch in stale:
                fetch.remove()
            if chosen:
                self._fetch(chosen[1], self._fetches[chosen[1]])

    def _choose(self) -> tuple[Any, str] | None:
        """The task that is next and what it reads, if nothing was fetched for it."""
        if any(fetch.key in self._next for fetch in self._fetches.values()):
            return None
        return next(((key, path) for key, path in self._next.items() if path not in self._fetches), None)

    def _findStale(self) -> list[str]:
        """Files whose task has gone elsewhere."""
        return [
            path for path, fetch in self._fetches.items()
            if not fetch.used and fetch.key not in self._next and fetch.key not in self._begun
        ]  # fmt: skip

    def _fetch(self, path: str, fetch: Fetch) -> None:
        start = time.monotonic()
        try:
            if self.where == CACHE:
                readThrough(path, lambda: fetch.key in self._next and not self._closed)
            else:
                self._copy(path, fetch)
        except OSError as error:
            fetch.trouble = f"{type(error).__name__}: {error}"
            fetch.remove()
            fetch.copy = None
        fetch.seconds = time.monotonic() - start
        fetch.ended.set()

    def _copy(self, path: str, fetch: Fetch) -> None:
        """Raises OSError: it cannot be copied, or was changed meanwhile."""
        before = os.stat(path)
        os.makedirs(self.where, mode=0o700, exist_ok=True)
        if shutil.disk_usage(self.where).free < before.st_size + self.spare:
            raise OSError(f"{self.where} has too little free space for {before.st_size / 1e9:.1f} GB more")
        fetch.folder = makeScratch(self.where, "stage")
        copy = fetch.folder / os.path.basename(path)
        with open(copy, "xb") as target:
            whole = readThrough(path, lambda: fetch.key in self._next or fetch.key in self._begun, target.write)
        after = os.stat(path)
        if not whole or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError(f"{path} is not needed any more, or was changed while it was copied")
        fetch.copy = copy

    @contextlib.contextmanager
    def deliver(self, path: str) -> Iterator[Fetch]:
        """What was fetched of the file that a task reads which begins now; it is removed behind a `with` block."""
        with self._changed:
            fetch = self._fetches.get(path)
            if fetch is not None:
                fetch.used = True
        if fetch is None:
            yield Fetch(None)
            return
        try:
            fetch.ended.wait()
            yield fetch
        finally:
            with self._changed:
                self._fetches.pop(path, None)
                self._changed.notify()
            fetch.remove()


def readThrough(
    path: str, goOn: Callable[[], bool], write: Callable[[memoryview], Any] = lambda _piece: None
) -> bool:
    """Read a file from beginning to end and hand on each piece; returns whether it got to the end.

    Raises:
        OSError: as the system gives it.
    """
    piece = memoryview(bytearray(BLOCK))
    with open(path, "rb", buffering=0) as file:
        while goOn():
            number = file.readinto(piece)
            if not number:
                return True
            write(piece[:number])
    return False


@contextlib.contextmanager
def deliverFile(path: str) -> Iterator[Fetch]:
    """What this worker has fetched of a file ahead, for a `with` block; nothing where there is none or no stager."""
    worker = findWorker()
    stager = worker.plugins.get(NAME) if worker is not None and path else None
    if stager is None:
        yield Fetch(None)
        return
    with stager.deliver(path) as fetch:
        yield fetch


def redirect(task: Any, path: str, copy: Path | None) -> Any:
    """A task whose parameters name `copy` wherever they name `path`."""
    if copy is None:
        return task
    names = [field.name for field in dataclasses.fields(task.params) if getattr(task.params, field.name) == path]
    params = dataclasses.replace(task.params, **dict.fromkeys(names, str(copy)))
    return dataclasses.replace(task, params=params)


def constructStager() -> Stager | None:
    """What `appion.stage` asks for; None: nothing.

    Raises:
        ConfigurationFailure: the setting is none of the words and no path.
    """
    where = setting("stage")
    if where == NONE:
        return None
    if where != CACHE and not os.path.isabs(where):
        raise ConfigurationFailure(f"setting appion.stage is {where!r}", f"{NONE}, {CACHE}, or the path of a folder")
    return Stager(where, 1e9 * setting("free_space"))
