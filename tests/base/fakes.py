"""A step without database, movies or programs, and workers without Dask, to try the loop with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import dask.config
import pytest

from appion.base.step import Candidate, Step
from appion.base.store.journal import saveResult
from appion.base.workers.task import Outcome, runTask

#: Everything that makes a run wait, shortened.
FAST = {
    "appion.poll": 0.05,
    "appion.job_poll": 0.05,
    "appion.recheck": 0.01,
    "appion.recheck_max": 0.05,
    "appion.backoff": 0.01,
    "appion.pause": 0.01,
    "appion.pause_max": 0.05,
    "appion.nowait_patience": 0.3,
    "appion.status_interval": 0.05,
    "appion.stop_timeout": 20,
    "appion.free_space": 0,
}


@pytest.fixture
def fast() -> Iterator[None]:
    """Short waits."""
    with dask.config.set(FAST):
        yield


@dataclass
class Lab:
    """A session in memory: what is there, how each image behaves, and what was stored and computed how often."""

    rundir: Path
    candidates: dict[int, str] = field(default_factory=dict)
    rejected: set[int] = field(default_factory=set)
    stored: dict[int, dict[str, Any]] = field(default_factory=dict)
    computed: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # ids above which candidates were asked for
    bulks: list[int] = field(default_factory=list)  # how many images each retrieveParams was for
    onParams: Callable[[int], Any] | None = None
    onReady: Callable[[int], None] | None = None
    onCalc: Callable[[int], None] | None = None
    onStore: Callable[[int], None] | None = None
    onPoll: Callable[[], None] | None = None
    over: bool = False
    aborted: bool = False

    def add(self, *ids: int) -> None:
        self.candidates.update({image_id: f"img{image_id:05d}" for image_id in ids})

    def step(self) -> Step:
        return Step(
            name="fake",
            retrieveCandidates=self.retrieveCandidates,
            retrieveRejected=lambda: set(self.rejected),
            retrieveDone=lambda: set(self.stored),
            retrieveParams=self.retrieveParams,
            checkReady=lambda params: self.onReady(params["id"]) if self.onReady else None,
            prepare=lambda params: params,
            calc=self.calc,
            store=self.store,
            encode=lambda result: result,
            decode=lambda record: {"id": record["id"]},
            isOver=lambda: self.over,
            isAborted=lambda: self.aborted,
        )

    def retrieveCandidates(self, after: int) -> list[Candidate]:
        self.asked.append(after)
        if self.onPoll:
            self.onPoll()
        return [Candidate(image_id, name) for image_id, name in self.candidates.items() if image_id > after]

    def retrieveParams(self, ids: Any) -> dict[int, Any]:
        self.bulks.append(len(ids))
        params = {image_id: {"id": image_id, "rundir": str(self.rundir)} for image_id in ids}
        for image_id in ids:
            if self.onParams and (instead := self.onParams(image_id)) is not None:
                params[image_id] = instead
        return params

    def calc(self, params: dict[str, Any]) -> dict[str, Any]:
        self.computed.append(params["id"])
        if self.onCalc:
            self.onCalc(params["id"])
        saveResult(params["rundir"], params["id"], {"id": params["id"]})
        return {"id": params["id"]}

    def store(self, result: dict[str, Any]) -> tuple[str, ...]:
        if self.onStore:
            self.onStore(result["id"])
        self.stored[result["id"]] = result
        return ()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """An empty session."""
    return Lab(tmp_path)


class InlinePool:
    """Does everything at once in the daemon itself, but hands it back as the real pool does."""

    lose: Callable[[int], bool] | None = None  # whether the worker dies under an exposure

    def __init__(self, _construct: object, planned: int, _prefix: str, own: bool = True):
        self.planned, self.own = planned, own
        self.flights: dict[int, Outcome] = {}
        self.queue: SimpleQueue[tuple[int, Outcome] | None] = SimpleQueue()

    def start(self) -> None:
        pass

    def prepare(self, wanted: bool) -> bool:  # noqa: ARG002
        return True

    def drop(self) -> None:
        self.close()

    def isBroken(self) -> bool:
        return bool(self.flights) and not self.isAlive()

    def isAlive(self) -> bool:
        return True

    def countWorkers(self) -> int:
        return self.planned

    def tell(self, _demand: Any) -> None:
        pass

    def rest(self) -> bool:
        return False

    def takeNews(self) -> list[dict[str, Any]]:
        return []

    def findLiveJobs(self) -> None:
        return None

    def describe(self) -> dict[str, Any]:
        return {"planned": self.planned, "in_sight": self.planned}

    def submit(self, image_id: int, _attempt: int, calc: Any, params: Any, journal: str, reads: str = "") -> None:  # noqa: ARG002
        from appion.base.failures import InfrastructureFailure

        lost = type(self).lose is not None and type(self).lose(image_id)
        outcome = Outcome(failure=InfrastructureFailure("lost")) if lost else runTask(calc, params, journal)
        self.flights[image_id] = outcome
        self.queue.put((image_id, outcome))

    def collect(self, timeout: float) -> list[tuple[int, Outcome]]:
        from queue import Empty

        items = []
        try:
            items.append(self.queue.get(timeout=max(timeout, 0.001)))
            while True:
                items.append(self.queue.get_nowait())
        except Empty:
            pass
        done = [item for item in items if item is not None]
        for image_id, _ in done:
            del self.flights[image_id]
        return done

    def wakeUp(self) -> None:
        self.queue.put(None)

    def takeOverdue(self, _limit: float) -> list[int]:
        return []

    def recall(self) -> list[int]:
        return []

    def abandon(self) -> list[int]:
        ids = list(self.flights)
        self.flights.clear()
        return ids

    def close(self, at_once: bool = False) -> None:  # noqa: ARG002
        self.abandon()


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> type[InlinePool]:
    """Let the loop work without Dask."""
    monkeypatch.setattr("appion.base.loop.Pool", InlinePool)
    monkeypatch.setattr(InlinePool, "lose", None)
    return InlinePool
