"""A session in memory for benchmarks of the loop: exposures that are names and numbers, programs that only sleep."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appion.base.loop import LoopOptions, LoopSummary, runLoop
from appion.base.step import Candidate, Step
from appion.base.store.journal import saveResult

logging.getLogger("distributed").setLevel(logging.CRITICAL)  # workers that are killed at the end are no news


def calc(params: dict[str, Any]) -> dict[str, Any]:
    """Run a program that sleeps, where it is to take any time, and write the journal record."""
    start = time.time()
    if params["seconds"]:
        subprocess.run(["sleep", str(params["seconds"])], check=True)
    result = {"id": params["id"], "start": start, "end": time.time(), "worker": params.get("worker", "")}
    saveResult(params["rundir"], params["id"], result)
    return result


@dataclass
class Session:
    """What is there, how long each exposure takes, and what was stored; `onStore` is told of each result."""

    rundir: Path
    seconds: Callable[[int], float] = lambda _image_id: 0.0
    calc: Callable[[Any], Any] = calc
    onStore: Callable[[dict[str, Any]], None] = lambda _result: None
    onPoll: Callable[[], None] = lambda: None
    stored: int = 0
    _ids: list[int] = field(default_factory=list)

    def add(self, ids: Iterable[int]) -> None:
        """Further exposures, ascending."""
        self._ids.extend(ids)

    def listNames(self, after: int) -> list[Candidate]:
        """Exposures with an id above `after`, which is near the end."""
        self.onPoll()
        start = len(self._ids)
        while start and self._ids[start - 1] > after:
            start -= 1
        return [Candidate(image_id, f"img{image_id:06d}") for image_id in self._ids[start:]]

    def readParams(self, ids: Iterable[int]) -> dict[int, Any]:
        """What the workers get."""
        return {one: {"id": one, "rundir": str(self.rundir), "seconds": self.seconds(one)} for one in ids}

    def store(self, result: dict[str, Any]) -> tuple[str, ...]:
        """Count a result; there are no files."""
        self.stored += 1
        self.onStore(result)
        return ()

    def constructStep(self) -> Step:
        """The functions for the loop."""
        return Step(
            name="sleep", retrieveCandidates=self.listNames, retrieveRejected=set, retrieveDone=set,
            retrieveParams=self.readParams, checkReady=lambda _params: None, prepare=lambda params: params,
            calc=self.calc, store=self.store, encode=dict, decode=dict,
        )  # fmt: skip

    def run(self, workers: int, wait: bool = False) -> LoopSummary:
        """Have the daemon's loop process it."""
        self.rundir.mkdir(parents=True, exist_ok=True)
        options = LoopOptions(wait=wait, workers=workers)
        return runLoop(
            self.constructStep(), self.rundir, options, isDatabaseAway=lambda _error: False, reconnect=lambda: None
        )
