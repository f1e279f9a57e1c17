"""A night at the microscope: a daemon on Slurm and MariaDB with the real program, what goes wrong, and its story."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mrcfile
import numpy
import pytest

from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.events import readEvents
from appion.demo.simulate import Exposure, simulateMovie
from sinedon.models import appiondata, leginondata
from tests.faults.test_daemon import Daemon
from tests.services.sessions import MadeSession, addImages, makeSession
from tests.services.slurm import Slurm

FRAMES, SIDE = 4, 128

#: One worker takes a whole node. Failures are answered at once, so that the night is short.
SETTINGS = {
    "DASK_APPION__CLUSTER": "slurm",
    "DASK_APPION__SLURM__MAXIMUM": "4",
    "DASK_APPION__SLURM__POLL": "0.5",
    "DASK_APPION__SLURM__LATENCY": "1",
    "DASK_JOBQUEUE__SLURM__MEMORY": "7500MB",
    "DASK_JOBQUEUE__SLURM__INTERFACE": "lo",
    "DASK_JOBQUEUE__SLURM__WALLTIME": "08:00:00",
}

#: The real program; a line for each movie that it starts on, and while there is a brake it goes no further.
PROGRAM = """\
#!/bin/sh
if test "$1" = -InMrc; then
    basename "$2" .frames.mrc >> {ledger}
    while test -e {brake}; do sleep 0.1; done
fi
exec {program} "$@"
"""


class Night:
    """A session into which exposures come, its daemon, and who breaks what."""

    def __init__(self, folder: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch):
        for name, value in SETTINGS.items():
            monkeypatch.setenv(name, value)
        self.folder, self.slurm = folder, slurm
        self.made: MadeSession = makeSession(
            images=0, nframes=FRAMES, root=folder, dimension=(SIDE, SIDE), binning=1, movie_format="mrc", norm=False
        )
        for path in (self.made.frame_path, self.made.image_path):
            Path(path).mkdir(parents=True)
        self.means: dict[str, float] = {}  # of the sum of a movie's frames, by the exposure's name; all different
        program = self.program = folder / "program"
        real = shutil.which("motioncor-cpu") or shutil.which("motioncor-cpu", path=sysconfig.get_path("scripts"))
        assert real, "motioncor-cpu is not installed"
        self.daemon = Daemon(folder, self.made, motioncorrection__executable=program)
        self.brake = folder / "brake"
        program.write_text(PROGRAM.format(ledger=self.daemon.ledger, brake=self.brake, program=real))
        program.chmod(0o755)
        self.process: subprocess.Popen | None = None

    # -- what is there ---------------------------------------------------------------------------------------------

    def readEvents(self) -> list[dict[str, Any]]:
        return list(readEvents(self.daemon.rundir))

    def count(self, what: str) -> int:
        return sum(event["what"] == what for event in self.readEvents())

    def countRecords(self) -> int:
        return len(list((self.daemon.rundir / ".appion" / "journal").glob("*.json")))

    def waitFor(self, condition: Callable[[], Any], what: str, timeout: float = 600) -> Any:
        """Wait until a condition holds and return what it says; the daemon lives all the while."""
        deadline = time.monotonic() + timeout
        while not (answer := condition()):
            alive = self.process is None or self.process.poll() is None
            if not alive or time.monotonic() > deadline:
                raise AssertionError(f"{what}: {f'not within {timeout:g} s' if alive else 'the daemon has ended'}")
            time.sleep(0.05)
        return answer

    def waitForEvent(self, what: str, times: int = 1) -> None:
        self.waitFor(lambda: self.count(what) >= times, f"event {what!r}, {times} times")

    def waitForStored(self, number: int) -> None:
        self.waitFor(lambda: self.count("stored") >= number, f"{number} exposures stored")

    def describe(self) -> str:
        """What a person needs to see when the night went wrong."""
        events = self.readEvents()
        counts = dict(Counter(event["what"] for event in events))
        last = "\n".join(json.dumps(event)[:300] for event in events[-60:])
        jobs = self.slurm.run("squeue", "--states=all", "--format=%i %j %T %N %r").stdout
        processes = "\n".join(f"{pid} {line[:200]}" for pid, line in findProcesses(str(self.program)).items())
        log = self.daemon.readLog()
        status = self.daemon.appion("status", str(self.daemon.rundir)).stdout
        return f"events: {counts}\n{last}\n\n{status}\njobs:\n{jobs}\nprocesses:\n{processes}\n\ndaemon:\n{log}"

    # -- what happens ----------------------------------------------------------------------------------------------

    def expose(self, number: int) -> None:
        """Leginon takes so many exposures: rows first, movies after them."""
        before = len(self.made.filenames)
        self.made = addImages(self.made, number)
        self.daemon.made = self.made
        for index, name in enumerate(self.made.filenames[before:], before):
            exposure = Exposure(
                shape=(SIDE, SIDE), nframes=FRAMES, dose=2 + index / 50, drift_total=4.0, diameter=40.0, seed=index
            )
            frames = simulateMovie(exposure)[0].astype(numpy.int16)
            self.means[name] = float(frames.sum(0).mean())
            with mrcfile.new(Path(self.made.frame_path) / f"{name}.frames.mrc") as movie:
                movie.set_data(frames)
            with mrcfile.new(Path(self.made.image_path) / f"{name}.mrc") as picture:
                picture.set_data(frames.sum(0, dtype=numpy.float32))

    def start(self) -> None:
        """Start the daemon, the same command line each time."""
        self.process = self.daemon.start()

    def kill(self) -> None:
        """Kill the daemon; it can do nothing about it."""
        assert self.process is not None
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def end(self) -> None:
        """Tell the daemon to stop, as in the morning; it ends well."""
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(600) == 0
        finally:
            process.kill()
            process.wait()

    def killAnyWorkers(self, most: int) -> None:
        """Kill two workers or more, whatever they are doing."""
        self.slurm.resumeNodes()
        for pid in self.waitFor(lambda: self._listWorkers(min(2, most)), "workers")[:most]:
            os.kill(pid, signal.SIGKILL)

    def _listWorkers(self, least: int) -> list[int]:
        workers = [pid for pid, line in findProcesses(str(self.program)).items() if "dask_worker" in line]
        return workers if len(workers) >= least else []

    @contextmanager
    def holdPrograms(self) -> Iterator[None]:
        """Have programs go no further, from when there is one until the end of the block: who runs one stays busy."""
        self.brake.touch()
        try:
            self._waitForBusy(())
            yield
        finally:
            self.brake.unlink()

    def killBusyWorkers(self, number: int) -> None:
        """Kill workers in the middle of their program, which then ends as well. To be called while these are held."""
        killed: set[int] = set()
        for _ in range(number):
            owner = self._waitForBusy(killed)
            os.kill(owner["pid"], signal.SIGKILL)
            killed.add(owner["pid"])
            self.waitFor(lambda owner=owner: not isRunning(owner["program"]), "the end of the killed worker's program")

    def _waitForBusy(self, but: Collection[int]) -> dict[str, Any]:
        return self.waitFor(lambda: next(self._findBusy(but), None), "a worker that runs a program")

    def _findBusy(self, but: Iterable[int]) -> Any:
        for path in (self.daemon.rundir / ".appion" / "scratch").glob("*/owner.json"):
            try:
                owner = json.loads(path.read_text())
            except (OSError, ValueError):
                continue  # it is gone by now, or hardly there
            if owner["program"] and owner["pid"] not in but and isRunning(owner["pid"]) and isRunning(owner["program"]):
                yield owner

    def cancelJobs(self, most: int) -> None:
        """Cancel two jobs or more that work (one, if no more are to be), as an administrator would."""
        self.slurm.resumeNodes()
        jobs = self.waitFor(lambda: self._listRunning(min(2, most)), "running jobs")
        self.slurm.run("scancel", *map(str, jobs[:most]))

    def _listRunning(self, least: int) -> list[int]:
        running = [job for job, state in self.slurm.listJobs().items() if state == "RUNNING"]
        return running if len(running) >= least else []


def isRunning(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def findProcesses(word: str) -> dict[int, str]:
    """Command lines, by id, of the processes other than this one that have `word` there or in their environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in line + environment and isRunning(int(folder.name)):
            found[int(folder.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    found.pop(os.getpid(), None)
    return found


# -- the morning after ---------------------------------------------------------------------------------------------


def checkSums(night: Night) -> None:
    """Each stored sum is that of its own movie, whole and under its own name; there is nothing else beside them."""
    names = {}
    pairs = {pair.result_id: pair.source_id for pair in appiondata.ApDDAlignImagePairData.objects.all()}
    sources = dict(zip(night.made.image_ids, night.made.filenames, strict=True))
    for image in leginondata.AcquisitionImageData.objects.filter(def_id__in=pairs):
        names[image.mrc_image] = sources[pairs[image.def_id]]
    assert len(names) == 2 * len(sources)
    present = {path.name for path in Path(night.made.image_path).iterdir()}
    assert present == set(names) | {f"{name}.mrc" for name in sources.values()}
    for file, source in names.items():
        assert file in (f"{source}-a.mrc", f"{source}-a-DW.mrc")
        with mrcfile.open(Path(night.made.image_path) / file) as image:
            assert image.data.shape == (SIDE, SIDE)
            assert image.data.std() > 0
            assert image.data.mean() == pytest.approx(night.means[source], rel=1e-3), file


def checkNothingLeft(night: Night) -> None:
    """No job, no process, no scratch folder, no temporary file, no record, no failure."""
    night.waitFor(lambda: not night.slurm.listJobs(), "the end of all jobs")
    night.waitFor(lambda: not findProcesses(str(night.program)), "the end of all processes")
    hidden = {path.name for path in night.folder.rglob(".*")} | {path.name for path in night.folder.rglob("*.tmp")}
    assert hidden == {".appion"}
    folder = night.daemon.rundir / ".appion"
    assert list((folder / "scratch").iterdir()) == []
    assert list((folder / "journal").iterdir()) == []
    assert readAttempts(night.daemon.rundir) == {}
    assert night.daemon.appion("failures", str(night.daemon.rundir)).stdout == "Nothing failed.\n"


def checkStory(night: Night) -> Counter:
    """Every step of every exposure follows from the one before it; returns how often each was lost.

    An exposure that was out when the daemon was killed is found in the journal by its successor, or goes out again.
    """
    after = {"submitted": {"", "lost"}, "computed": {"out"}, "failed": {"out"}, "handed back": {"out"},
             "recovered": {"adrift", "computed", "lost"}, "stored": {"computed"}}  # fmt: skip
    becomes = {"submitted": "out", "failed": "lost", "handed back": "lost", "recovered": "computed"}
    states: dict[int, str] = dict.fromkeys(night.made.image_ids, "")
    lost: Counter = Counter()
    for event in night.readEvents():
        what, image_id = event["what"], event.get("image")
        if what == "started":
            for one, state in states.items():
                states[one] = "adrift" if state == "out" else state
        elif what in after:
            state = states[image_id]
            if what == "submitted" and state == "adrift":
                state, lost[image_id] = "lost", lost[image_id] + 1
            assert state in after[what], f"image {image_id} is {state or 'new'}, then {event}"
            assert event.get("class", "infrastructure") == "infrastructure", event
            lost[image_id] += what == "failed"
            states[image_id] = becomes.get(what, what)
        assert what != "set aside", event
    assert set(states.values()) == {"stored"}
    return lost


def checkJobs(night: Night) -> None:
    """Of each job of the last daemon it is told what became of it; every job that computed or died is one of them."""
    submitted: set[str] = set()
    ended: set[str] = set()
    workers = set()
    for event in night.readEvents():
        if event["what"] == "started":
            ended |= submitted  # by itself, or cancelled by the next daemon
        elif event["what"] == "job submitted":
            submitted.add(event["job"])
        elif event["what"] in ("job lost", "jobs cancelled", "jobs retired"):
            ended |= {event["job"]} if "job" in event else set(event["jobs"])
        elif event["what"] in ("computed", "failed"):
            workers.add((event.get("worker"), event.get("host")))
    assert submitted <= ended  # what a killed daemon had submitted and not told is cancelled as well
    assert {host for _, host in workers} <= {*night.slurm.nodes, os.uname().nodename}
    assert {worker for worker, _ in workers} <= submitted | {None}


def checkRuns(night: Night, lost: Counter) -> None:
    """The program ran once for each exposure and once more for each loss at most."""
    runs = night.daemon.readLedger()
    names = dict(zip(night.made.filenames, night.made.image_ids, strict=True))
    assert set(runs) == set(names)
    for name, number in runs.items():
        assert number <= 1 + lost[names[name]], f"{name} ran {number} times, was lost {lost[names[name]]} times"
