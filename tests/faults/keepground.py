"""A facility in a folder: sessions into which exposures come, a keeper that is started and killed, and what it did."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mrcfile
import numpy
import yaml

from appion.base.records.keeping import Keeping, KeptRun
from appion.base.retrieve.keeping import readKeeping
from appion.base.retrieve.lock import readLockHolder
from sinedon import insertRow
from sinedon.models import appiondata, leginondata
from tests.faults.night import findProcesses
from tests.faults.test_daemon import FRAMES, SIDE, Daemon, writeMovies
from tests.services.sessions import MadeSession, addImages, makeSession

#: What makes daemons and the keeper quick.
QUICK = {"poll": 0.5, "recheck": 0.2, "recheck_max": 0.5, "status_interval": 0.5, "free_space": 0, "pause": 0.2,
         "quit_after_session": 1, "workers": 1}  # fmt: skip

LINE = "motioncor2.py --align --doseweight --gpuids=0 --no-rejects --continue"


class Ground:
    """Sessions, the keeper, and the settings that it and its daemons read."""

    def __init__(self, folder: Path, monkeypatch: Any, profiles: list[dict[str, Any]], seconds: float = 0.05,
                 **settings: Any):  # fmt: skip
        self.folder, self.state = folder, folder / "keeper"
        self.program = folder / "motioncor2"
        fake = Path(__file__).parent / "fakemotioncor2.py"
        self.program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {fake} "$@"\n')
        self.program.chmod(0o755)
        (folder / "ledger").touch()
        (folder / "config").mkdir()
        keep = {"profiles": profiles, "folder": str(self.state), "backoff": 0.2, "backoff_max": 1}
        keep |= settings.pop("keep", {})
        whole = QUICK | settings | {"keep": keep}
        whole |= {"motioncorrection": {"executable": str(self.program), "settle": 0}}
        (folder / "config" / "appion.yaml").write_text(yaml.safe_dump({"appion": whole}))
        self.env = dict(os.environ, FAKE_LEDGER=str(folder / "ledger"), FAKE_SECONDS=str(seconds),
                        FAKE_PIDS=str(folder / "pids"), DASK_CONFIG=str(folder / "config"))  # fmt: skip
        for name in ("FAKE_LEDGER", "FAKE_SECONDS", "FAKE_PIDS", "DASK_CONFIG"):
            monkeypatch.setenv(name, self.env[name])
        self.keeper: subprocess.Popen[bytes] | None = None
        self.made: dict[str, MadeSession] = {}
        self.broken: set[str] = set()  # sessions of which a person has to mend something

    # -- what happens ----------------------------------------------------------------------------------------------

    def addSession(self, name: str, preset: str, days: float = 0, **fields: Any) -> MadeSession:
        """Leginon begins a session and takes two exposures, so many days ago."""
        self.made[name] = makeSession(
            images=0, nframes=FRAMES, root=self.folder, dimension=(SIDE, SIDE), binning=1, movie_format="mrc",
            name=name, preset=preset, **{"norm": False, **fields},
        )  # fmt: skip
        self.expose(name, 2, days)
        return self.made[name]

    def expose(self, name: str, number: int, days: float = 0) -> None:
        """Leginon takes so many exposures."""
        before, start = self.made[name], datetime.datetime.now() - datetime.timedelta(days=days)
        made = self.made[name] = addImages(before, number, start)
        writeMovies(replace(made, filenames=made.filenames[len(before.filenames) :]))

    def breakGain(self, name: str) -> None:
        """The gain reference is that of another camera."""
        self.broken.add(name)
        with mrcfile.new(Path(self.made[name].image_path) / f"{name}_norm_0.mrc") as gain:
            gain.set_data(numpy.ones((SIDE - 3, SIDE), numpy.float32))

    def declareFinished(self, name: str) -> None:
        insertRow(leginondata.SessionDoneLog, session=self.made[name].session_id, done=True)

    def startByHand(self, name: str) -> Daemon:
        """A person types a command line."""
        daemon = Daemon(self.folder, self.made[name])
        daemon.rundir = self.findFolder(name) / "ddstack1"
        daemon.env = self.env
        self.hand = daemon.start()
        return daemon

    def start(self) -> None:
        """Start the keeper, as systemd does."""
        with open(self.folder / "keeper.txt", "ab") as log:
            self.keeper = subprocess.Popen([sys.executable, "-m", "appion.cli", "keep"], env=self.env,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # fmt: skip

    def kill(self) -> None:
        """Kill the keeper; it can do nothing about it."""
        assert self.keeper is not None
        keeper, self.keeper = self.keeper, None
        keeper.kill()
        keeper.wait()

    def appion(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "appion.cli", *words], env=self.env, capture_output=True,
                              text=True, timeout=600)  # fmt: skip

    def killDaemons(self) -> None:
        """All daemons of the keeper die at the same moment, with what started them, as if the host had."""
        for pid in self.findDaemons():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """End all that may still be there, whatever became of the test."""
        processes, self.keeper = (self.keeper, getattr(self, "hand", None)), None
        for process in filter(None, processes):
            process.kill()
            process.wait()
        self.waitFor(lambda: self.killDaemons() or not self.findDaemons(), "the end of all daemons")

    # -- what is there ---------------------------------------------------------------------------------------------

    def findDaemons(self) -> dict[int, str]:
        """What runs with the settings of this ground, by id; the keeper is not one of them."""
        found = findProcesses(f"DASK_CONFIG={self.folder / 'config'}")
        return {pid: line for pid, line in found.items() if "appion.cli" not in line}

    def findFolder(self, name: str) -> Path:
        return self.folder / "appion" / name / "ddstack"

    def read(self) -> Keeping | None:
        return readKeeping(self.state)

    def readRun(self, name: str) -> KeptRun | None:
        """What the keeper says of the run of a session."""
        keeping = self.read()
        return next((run for run in keeping.runs if run.session == name), None) if keeping else None

    def readStates(self) -> dict[str, str]:
        keeping = self.read()
        return {run.session: run.state for run in keeping.runs} if keeping else {}

    def countStored(self, name: str) -> int:
        """How many exposures of a session have results."""
        pairs = appiondata.ApDDAlignImagePairData.objects.filter(source_id__in=self.made[name].image_ids)
        return len(set(pairs.values_list("source_id", flat=True)))

    def waitFor(self, condition: Callable[[], Any], what: str, timeout: float = 600) -> Any:
        deadline = time.monotonic() + timeout
        while not (answer := condition()):
            assert self.keeper is None or self.keeper.poll() is None, self.describe()
            wrong = {name for name, state in self.readStates().items() if state == "refused"} - self.broken
            if wrong or time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {timeout:g} s\n{self.describe()}")
            time.sleep(0.1)
        return answer

    def describe(self) -> str:
        """What a person needs to see when it went wrong."""
        logs = [self.folder / "keeper.txt", *self.folder.glob("appion/*/ddstack/*/*.appionsub.log")]
        texts = [f"{path}:\n{path.read_text()[-1500:]}" for path in logs if path.exists()]
        return "\n".join([json.dumps(vars(run)) for run in (self.read() or Keeping("", 0, 0, 0)).runs] + texts)

    # -- what has to be true ---------------------------------------------------------------------------------------

    def checkStoredOnce(self, name: str) -> None:
        """Each exposure of a session has its two results once, in the only run of that session."""
        made = self.made[name]
        pairs = appiondata.ApDDAlignImagePairData.objects.filter(source_id__in=made.image_ids)
        assert Counter(pairs.values_list("source_id", flat=True)) == dict.fromkeys(made.image_ids, 2), name
        runs = appiondata.ApDDStackRunData.objects.filter(session_id=made.session_id)
        assert list(runs.values_list("runname", "path__path", "params__preset")) == [
            ("ddstack1", str(self.findFolder(name) / "ddstack1"), made.preset)
        ]
        assert set(pairs.values_list("ddstackrun_id", flat=True)) == set(runs.values_list("def_id", flat=True))
        assert appiondata.ApAppionJobData.objects.filter(session_id=made.session_id).count() == 1

    def checkNeverTwice(self, name: str) -> None:
        """No daemon of the run met another one that held it."""
        log = (self.findFolder(name) / "ddstack1" / "ddstack1.appionsub.log").read_text()
        assert "is already worked on" not in log
        assert [path.name for path in self.findFolder(name).iterdir()] == ["ddstack1"]

    def isHeld(self, name: str) -> bool:
        return bool(readLockHolder(self.findFolder(name) / "ddstack1"))
