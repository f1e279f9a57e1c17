"""The real daemon on real databases, stopped and fed with bad movies. Only the program is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import mrcfile
import numpy
import pytest

from sinedon.models import appiondata, leginondata
from tests.services.sessions import MadeSession, makeSession

FRAMES, SIDE = 4, 32


class Daemon:
    """`motioncor2.py` on a made session, started and stopped as a person would."""

    def __init__(self, folder: Path, made: MadeSession, gpus: str = "0,1", **settings: object):
        self.folder, self.made, self.gpus = folder, made, gpus
        self.rundir = folder / "appion" / "ddstack1"
        self.ledger = folder / "ledger.txt"
        self.ledger.touch()
        self.pids = folder / "pids.txt"
        self.pids.touch()
        program = folder / "motioncor2"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -S {Path(__file__).parent / "fakemotioncor2.py"} "$@"\n')
        program.chmod(0o755)
        defaults = {
            "poll": 0.5, "workers": 2, "settle": None, "status_interval": 0.5, "backoff": 0.2, "backoff_max": 0.4,
            "pause": 0.2, "recheck": 0.2, "recheck_max": 0.5, "nowait_patience": 2, "free_space": 0,
            "motioncorrection__executable": str(program), "motioncorrection__settle": 0,
        }  # fmt: skip
        values = {**defaults, **settings}
        self.env = dict(os.environ, FAKE_LEDGER=str(self.ledger), FAKE_PIDS=str(self.pids), PYTHONWARNINGS="default")
        self.env |= {f"DASK_APPION__{key.upper()}": str(value) for key, value in values.items() if value is not None}

    def start(self, *more: str, seconds: float = 0.05) -> subprocess.Popen:
        command = [
            sys.executable, "-m", "appion.motioncorrection.cli.main", "--align", "--doseweight",
            f"--gpuids={self.gpus}", f"--rundir={self.rundir}", "--runname=ddstack1", "--preset=enn",
            f"--session={self.made.name}", f"--projectid={self.made.project_id}", "--no-rejects", "--continue",
            "--parallel", *more,
        ]  # fmt: skip
        env = {**self.env, "FAKE_SECONDS": str(seconds)}
        with open(self.folder / "daemon.txt", "ab") as log:
            return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def finish(self, *more: str, timeout: float = 300, exit_code: int = 0, **options: float) -> None:
        process = self.start(*more, **options)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        assert code == exit_code, self.readLog()

    def readLog(self) -> str:
        return (self.folder / "daemon.txt").read_text()[-8000:]

    def readLedger(self) -> Counter:
        return Counter(line for line in self.ledger.read_text().splitlines())

    def listHanging(self) -> list[int]:
        """Ids of the processes that hung, as far as they still run."""
        return [pid for pid in map(int, self.pids.read_text().split()) if isRunning(pid)]

    def appion(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "appion.cli", *words], env=self.env, capture_output=True, text=True, timeout=600
        )


def writeMovies(made: MadeSession, **faults: int) -> None:
    """Write a small movie and Leginon's picture for each image; `faults` maps a word to how many names get it."""
    frame_path, image_path = Path(made.frame_path), Path(made.image_path)
    frame_path.mkdir(parents=True, exist_ok=True)
    image_path.mkdir(parents=True, exist_ok=True)
    words = [word for word, count in faults.items() for _ in range(count)]
    rng = numpy.random.default_rng(1)
    for filename, word in zip(made.filenames, words + [""] * len(made.filenames), strict=False):
        path = frame_path / f"{filename}.frames.mrc"
        frames = rng.integers(0, 20, (FRAMES, SIDE, SIDE)).astype(numpy.int16)
        with mrcfile.new(image_path / f"{filename}.mrc") as picture:
            picture.set_data(frames.sum(0, dtype=numpy.float32))
        if word == "missing":
            continue
        with mrcfile.new(path) as movie:
            movie.set_data(frames)
        if word == "truncated":
            os.truncate(path, path.stat().st_size - SIDE * SIDE)
        if word == "broken":
            path.write_bytes(b"this is not a movie at all" * 200)


def renameMovies(made: MadeSession, *faults: str) -> dict[str, str]:
    """Have the stand-in fail on the last of the movies; return the fault by the exposure's new name, newest first."""
    names = {}
    for fault, name, image_id in zip(faults, reversed(made.filenames), reversed(made.image_ids), strict=False):
        names[f"{name}__{fault}"] = fault
        for path in (Path(made.frame_path) / f"{name}.frames.mrc", Path(made.image_path) / f"{name}.mrc"):
            if path.exists():
                path.rename(path.with_name(path.name.replace(name, f"{name}__{fault}")))
        renamed = {"filename": f"{name}__{fault}", "mrc_image": f"{name}__{fault}.mrc"}
        leginondata.AcquisitionImageData.objects.filter(def_id=image_id).update(**renamed)
    return names


def isRunning(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def makeExposures(folder: Path, images: int, norm: bool = False, **fields: object) -> MadeSession:
    return makeSession(
        images=images, nframes=FRAMES, root=folder, dimension=(SIDE, SIDE), binning=1, movie_format="mrc", norm=norm,
        **fields,
    )


def checkStoredOnce(made: MadeSession, daemon: Daemon) -> None:
    """Every exposure has its plain and its weighted image, once each, with everything that belongs to them."""
    pairs = list(appiondata.ApDDAlignImagePairData.objects.all())
    assert Counter(pair.source_id for pair in pairs) == dict.fromkeys(made.image_ids, 2)
    results = {pair.result_id for pair in pairs}
    assert len(results) == len(pairs)
    images = list(leginondata.AcquisitionImageData.objects.filter(session_id=made.session_id))
    assert {image.def_id for image in images} == results | set(made.image_ids)
    plain = {image.def_id for image in images if image.filename.endswith("enn-a")}
    for model in (appiondata.ApDDFrameTrajectoryData, appiondata.ApDDAlignStatsData):
        assert Counter(row.image_id for row in model.objects.all()) == dict.fromkeys(plain, 1)
    assert appiondata.ApDDStackRunData.objects.count() == 1
    for image in images:
        assert (Path(made.image_path) / image.mrc_image).is_file()
    assert not list(daemon.rundir.glob("*_c*.mrc"))
    assert not list((daemon.rundir / ".appion" / "journal").glob("*.json"))


@pytest.mark.usefixtures("mariadatabase")
def test_bad_movies_leave_the_good_ones_alone(tmp_path):
    made = makeExposures(tmp_path, 12)
    writeMovies(made, missing=1, truncated=1, broken=1)
    good = list(made.filenames)
    missing, truncated, broken, hanging, crashing = good[:5]
    frames = Path(made.frame_path)
    leginon = leginondata.AcquisitionImageData.objects
    for position, word in ((3, "hang"), (4, "crash")):  # the stand-in does as the movie's name says
        name = f"{good[position]}__{word}"
        (frames / f"{good[position]}.frames.mrc").rename(frames / f"{name}.frames.mrc")
        leginon.filter(def_id=made.image_ids[position]).update(filename=name)
    daemon = Daemon(tmp_path, made, motioncorrection__timeout=10, attempts=1)  # long for one that is well
    daemon.finish("--no-wait", timeout=600)
    done = {pair.source_id for pair in appiondata.ApDDAlignImagePairData.objects.all()}
    assert done == set(made.image_ids[5:]), daemon.readLog()
    told = daemon.appion("failures", str(daemon.rundir)).stdout
    for name in (missing, truncated, broken, hanging, crashing):
        assert name in told, told
    assert "did not end within" in told
    assert "is not there" in told
    assert "bytes instead of" in told
    assert "makes no sense" in told
    assert daemon.listHanging() == []
    told = daemon.appion("explain", str(daemon.rundir), str(made.image_ids[4])).stdout
    assert crashing in told
    assert "motioncor2" in told
    told = daemon.appion("explain", str(daemon.rundir), str(made.image_ids[-1])).stdout
    assert "-OutMrc" in told
    assert f"{good[-1].removesuffix('enn')}enn-a-DW.mrc" in told
    assert daemon.appion("status", str(daemon.rundir)).returncode == 2


@pytest.mark.usefixtures("sqlitedatabase")
def test_gain_reference_is_waited_for_like_a_movie(tmp_path):
    made = makeExposures(tmp_path, 3, norm=True)
    writeMovies(made)
    daemon = Daemon(tmp_path, made)
    daemon.finish("--no-wait", exit_code=1)  # not one was done
    told = daemon.appion("failures", str(daemon.rundir)).stdout
    assert "3 x not ready" in told, told
    assert f"{made.name}_norm_0.mrc does not exist" in told, told
    with mrcfile.new(Path(made.image_path) / f"{made.name}_norm_0.mrc") as gain:
        gain.set_data(numpy.ones((SIDE, SIDE), numpy.float32))
    daemon.finish("--no-wait")
    checkStoredOnce(made, daemon)


@pytest.mark.usefixtures("sqlitedatabase")
def test_a_program_that_fails_on_all_or_a_folder_that_is_not_there_ends_with_1_and_E(tmp_path):
    made = makeExposures(tmp_path, 8)
    writeMovies(made)
    renameMovies(made, *["crash"] * 8)
    daemon = Daemon(tmp_path, made)
    daemon.finish("--no-wait", exit_code=1)
    assert "failed alike and none succeeded: the program was ended by signal SIGSEGV" in daemon.readLog()
    assert appiondata.ApAppionJobData.objects.get().status == "E"
    told = daemon.appion("status", str(daemon.rundir)).stdout
    assert "NOT RUNNING: ended" in told
    assert "failed alike" in told.splitlines()[0]
    assert "set aside" not in told
    Path(made.frame_path).rename(tmp_path / "away")
    daemon.finish("--no-wait", exit_code=1)
    assert f"nothing was done, 8 exposures wait for their input: {made.frame_path}" in daemon.readLog()
    assert "nor is its folder" in daemon.readLog()
    assert appiondata.ApAppionJobData.objects.get().status == "E"
    process = daemon.start()
    try:
        waitForStatus(daemon, waiting=8)
        told = daemon.appion("status", str(daemon.rundir))
        assert told.returncode == 1, told.stdout
        assert "8 exposures wait for their input since" in told.stdout
    finally:
        process.terminate()
        assert process.wait(600) == 0, daemon.readLog()


@pytest.mark.usefixtures("sqlitedatabase")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_second_daemon_names_the_first_and_a_signal_ends_it_cleanly(tmp_path, number):
    made = makeExposures(tmp_path, 3)
    writeMovies(made)
    daemon = Daemon(tmp_path, made)
    ignored = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as under nohup, which a daemon respects
    process = daemon.start()
    signal.signal(signal.SIGHUP, ignored)
    try:
        status = waitForStatus(daemon, done=3)
        assert status["pid"] == process.pid
        second = subprocess.run(process.args, env={**daemon.env}, capture_output=True, text=True, timeout=600)
        assert second.returncode == 2
        assert str(process.pid) in second.stderr
        assert os.uname().nodename in second.stderr
        assert daemon.appion("status", str(daemon.rundir)).returncode == 0
        process.send_signal(number)
        assert process.wait(600) == 0, daemon.readLog()
    finally:
        process.kill()
        process.wait()
    checkStoredOnce(made, daemon)
    assert appiondata.ApAppionJobData.objects.get().status == "D"


@pytest.mark.usefixtures("sqlitedatabase")
def test_a_job_row_set_to_A_ends_the_daemon_and_stays(tmp_path):
    made = makeExposures(tmp_path, 2)
    writeMovies(made)
    daemon = Daemon(tmp_path, made, job_poll=0.5)
    process = daemon.start()
    try:
        waitForStatus(daemon, done=2)
        appiondata.ApAppionJobData.objects.update(status="A")
        assert process.wait(300) == 0, daemon.readLog()
    finally:
        process.kill()
        process.wait()
    assert "the job was ended on the web pages" in daemon.readLog()
    assert appiondata.ApAppionJobData.objects.get().status == "A"


def waitForStatus(daemon: Daemon, timeout: float = 300, **counts: int) -> dict:
    """The status of a running daemon once so many exposures are in these phases."""
    path = daemon.rundir / ".appion" / "status.json"
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if path.exists():
            status = json.loads(path.read_text())
            if status["state"] == "running" and status["counts"] == status["counts"] | counts:
                return status
        time.sleep(0.2)
    raise AssertionError(f"not done in {timeout} s: {daemon.readLog()}")
