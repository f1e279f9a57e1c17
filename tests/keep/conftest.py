"""A keeper in this process, and daemons that only hold the lock of their run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dask.config
import pytest

from appion.keep import looking
from appion.keep.keeper import Keeper, constructKeeper
from appion.keep.programs import start
from appion.keep.service import Clock, takeTurn
from appion.keep.store.runs import openFolder
from tests.faults.night import findProcesses
from tests.faults.test_daemon import FRAMES, SIDE, writeMovies
from tests.services.sessions import MadeSession, makeSession

#: Takes the lock as a daemon does, or ends with 2; ends with what stands in the file `end` of the run folder.
DAEMON = """\
#!{python}
import os, signal, sys, time
words = dict(word[2:].partition("=")[::2] for word in sys.argv[1:])
def note(what):
    with open({ledger!r}, "a") as ledger:
        ledger.write(f"{{what}} {{words['session']}}\\n")
note("start")
from appion.base.failures import ConfigurationFailure
from appion.base.store.lock import acquireLock
try:
    lock = acquireLock(words["rundir"])
except ConfigurationFailure as failure:
    note("second")
    sys.exit(f"error: {{failure}}" and 2)
note("locked")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    end = os.path.join(words["rundir"], "end")
    if os.path.exists(end):
        print("error: something is to be mended", file=sys.stderr, flush=True)
        sys.exit(int(open(end).read() or 0))
    time.sleep(0.05)
"""

LINE = "motioncor2.py --align"


@dataclass
class House:
    """Sessions and a keeper in this process; `turn` is one of its turns, as by a clock that runs fast."""

    folder: Path
    ledger: Path
    made: dict[str, MadeSession] = field(default_factory=dict)
    keeper: Keeper | None = None

    def addSession(self, name: str, images: int = 1, **fields: Any) -> MadeSession:
        made = makeSession(images=images, nframes=FRAMES, root=self.folder, dimension=(SIDE, SIDE), binning=1,
                           movie_format="mrc", name=name, norm=False, start=datetime.now(), **fields)  # fmt: skip
        self.made[name] = made
        writeMovies(made)
        return made

    def begin(self) -> Keeper:
        """A keeper starts, knowing only what is on the disk."""
        self.keeper = constructKeeper(openFolder(self.folder / "keeper"))
        return self.keeper

    def turn(self) -> None:
        takeTurn(self.keeper or self.begin(), Clock())

    def turnUntil(self, condition: Any, what: str = "it did not come about") -> None:
        deadline = time.monotonic() + 600
        while not condition():
            assert time.monotonic() < deadline, f"{what}: {self.keeper and self.keeper.runs}"
            self.turn()
            time.sleep(0.05)

    def states(self) -> dict[str, str]:
        return {run.session: run.state for run in self.keeper.runs.values()}

    def run(self, name: str) -> Any:
        return next(run for run in self.keeper.runs.values() if run.session == name)

    def count(self) -> Counter:
        return Counter(self.ledger.read_text().splitlines())


@pytest.fixture
def house(request, tmp_path, monkeypatch):
    """A house with one profile for all sessions; its daemons end with the test."""
    request.getfixturevalue("database")
    ledger = tmp_path / "ledger"
    ledger.touch()
    program = tmp_path / "motioncor2.py"
    program.write_text(DAEMON.format(python=sys.executable, ledger=str(ledger)))
    program.chmod(0o755)
    monkeypatch.setattr(start, "findCommand", lambda _name: str(program))
    monkeypatch.setattr(looking, "APPEARS", 0.3)
    settings = {"profiles": [{"name": "all", "commands": [LINE]}], "folder": str(tmp_path / "keeper"), "backoff": 0.5,
                "backoff_max": 2}  # fmt: skip
    with dask.config.set({"appion.motioncorrection.settle": 0, "appion.free_space": 0,
                          **{f"appion.keep.{key}": value for key, value in settings.items()}}):  # fmt: skip
        yield House(tmp_path, ledger)
    for pid in findProcesses(str(program)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while start._children:
        start._children.pop().wait()
