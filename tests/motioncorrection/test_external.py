"""One exposure through the program and back: what is made, and how each fault ends."""

import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import astuple, replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure, NotReady
from appion.base.programs.find import findProgram
from appion.base.records.program import Program
from appion.base.records.stamp import readVersion
from appion.base.records.task import encodeComputed
from appion.base.retrieve.journal import readResult
from appion.base.workers.task import computeTask
from appion.demo.writers import writeMovie
from appion.motioncorrection.calc.external import calcMotionCorrection, checkProgram
from appion.motioncorrection.calc.internal.encoding import decodeResult
from appion.motioncorrection.calc.internal.geometry import orientToFrames
from appion.motioncorrection.records import MotionCorrectionTask
from appion.motioncorrection.retrieve.params import constructFiles
from tests.base.programs.disks import fillDisk, mountDisk
from tests.motioncorrection.movies import writeEER
from tests.motioncorrection.samples import makeOptions, makeOrigin, makeParams
from tests.services.waiting import isRunning

FAKE = Path(__file__).parent / "fakemotioncor.py"


@pytest.fixture
def place(tmp_path):
    """A folder with a run folder, and the program under the names of both real ones."""
    for name in ("motioncor2", "motioncor3"):
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\nKIND={name} exec {sys.executable} {FAKE} \"$@\"\n")
        script.chmod(0o755)
    (tmp_path / "run1").mkdir()
    return tmp_path


def makeScene(shape=(48, 64), seed=1):
    """Return an image without any symmetry, as Leginon would show it."""
    generator = np.random.default_rng(seed)
    scene = generator.integers(0, 60, shape).astype(np.float32)
    scene[: shape[0] // 3, : shape[1] // 4] += 60
    return scene


def makeExposure(place, scene=None, suffix="mrc", nframes=10, flip=False, rotate=0, kind="motioncor2", **changes):
    scene = makeScene() if scene is None else scene
    frames = np.array([orientToFrames(scene, flip, rotate)] * nframes).astype(np.uint8)
    movie = writeMovie(place / f"image_00012enn.frames.{suffix}", frames)
    fields = {
        "movie": str(movie), "movie_format": suffix, "nframes": nframes, "frame_flip": flip, "frame_rotate": rotate,
        "files": constructFiles(place / "run1", "image_00012enn", kind), "scratch": str(place / "scratch" / "12"),
        "program": Program(kind, str(place / kind), "1.6.4"),
        "frame_shape": orientToFrames(scene, flip, rotate).shape,
    }
    return makeParams(**{**fields, **changes})


def test_resultAndFiles(place, monkeypatch):
    monkeypatch.setenv("APPION_GPU", "3")
    params = makeExposure(place, pixelsize=1.5, options=makeOptions(doseweight=True))
    result = calcMotionCorrection(params)
    run = place / "run1"
    assert sorted(path.name for path in run.iterdir()) == [
        "image_00012enn_c-DW.mrc", "image_00012enn_c.mrc", "image_00012enn_st_Log.motioncor2.txt",
        "image_00012enn_st_Log.txt", "thumbs",
    ]
    with mrcfile.open(result.sum_file) as mrc:
        np.testing.assert_array_equal(mrc.data, 10 * makeScene())
        assert mrc.voxel_size.x == pytest.approx(1.5)
        labels = mrc.get_labels()
    assert labels[-2:] == ["made by motioncor2 1.6.4", f"written by appion {readVersion()}"]
    assert mrcfile.read(result.dw_file).mean() == pytest.approx(20 * makeScene().mean())
    assert result.shifts[2] == (2.0, -4.0)
    assert result.positions[0] == (5.0, -10.0)
    assert (run / "image_00012enn_st_Log.txt").read_text().splitlines()[1].endswith("shift: 5.00000 -10.00000")
    said = Path(result.program_log_file).read_text()
    assert said.startswith(f"# motioncor2 1.6.4 ({place}/motioncor2), run by appion ")
    assert "\n-InMrc           " in said
    assert result.argv[result.argv.index("-Gpu") + 1] == "3"
    assert list((place / "scratch").iterdir()) == []
    assert result.warnings == ()


def test_recordIsInTheJournalBeforeAnythingComesBack(place):
    origin = makeOrigin(rundir=str(place / "run1"), stored_names=("a",))
    computed = computeTask(calcMotionCorrection, MotionCorrectionTask(origin, makeExposure(place)))
    assert computed.origin == origin
    record = readResult(place / "run1", 12)
    assert record["format"] == 2
    assert decodeResult(record) == computed
    assert decodeResult(json.loads(json.dumps(encodeComputed(computed)))) == computed


@pytest.mark.parametrize(
    ("kind", "version", "middle"), [("motioncor2", "1.5.0", 5), ("motioncor2", "1.6.4", 0), ("motioncor3", "1.1.2", 0)]
)
def test_eachDialectGivesTheSamePositions(place, monkeypatch, kind, version, middle):
    """Versions differ in the frame that is zero and in the table; the log is called after the program that ran."""
    monkeypatch.setenv("VERSION", version)
    result = calcMotionCorrection(makeExposure(place, kind=kind))
    assert result.shifts[0] == (-middle, 2 * middle)
    assert result.positions[0] == (5.0, -10.0)
    assert Path(result.program_log_file).name == f"image_00012enn_st_Log.{kind}.txt"
    assert Path(result.program_log_file).exists()


@pytest.mark.parametrize("rotate", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_sumsHaveLeginonsOrientation(place, flip, rotate):
    result = calcMotionCorrection(makeExposure(place, flip=flip, rotate=rotate))
    np.testing.assert_array_equal(mrcfile.read(result.sum_file), 10 * makeScene())


@pytest.mark.parametrize(
    ("kind", "setting", "upright"),
    [("motioncor2", None, True), ("motioncor3", None, True), ("motioncor2", False, False), ("motioncor3", True, False)],
)
def test_eerIsFlippedBackAsTheProgramNeeds(place, kind, setting, upright):
    scene = (makeScene() > 60).astype(np.float32)
    result = calcMotionCorrection(makeExposure(place, scene, "eer", kind=kind, undo_eer_flip=setting))
    expected = 10 * scene if upright else 10 * np.flipud(scene)
    np.testing.assert_array_equal(mrcfile.read(result.sum_file), expected)


@pytest.mark.parametrize(("suffix", "flip", "rotate"), [("mrc", True, 1), ("tif", False, 3), ("eer", True, 2)])
def test_ownProgramMakesTheSame(place, suffix, flip, rotate):
    """motioncor-cpu, with a gain reference in Leginon's orientation."""
    scene = (makeScene((96, 128)) > 40).astype(np.float32)
    gain = np.ones_like(scene)
    gain[:40, :30] = 1.5
    with mrcfile.new(place / "gain.mrc") as mrc:
        mrc.set_data(gain)
    program = findProgram("motioncor2", "motioncor-cpu")
    params = makeExposure(place, scene, suffix, 4, flip, rotate, program=program, gain=str(place / "gain.mrc"))
    made = mrcfile.read(calcMotionCorrection(params).sum_file)
    assert made.shape == scene.shape
    assert np.corrcoef(made.ravel(), (scene * gain).ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("fault", "failure", "reason"),
    [
        ("segv", ImageFailure, "signal SIGSEGV"),
        ("oom", InfrastructureFailure, "signal SIGKILL"),
        ("cuda", InfrastructureFailure, "out of memory"),
        ("library", InfrastructureFailure, "libcufft.so.10"),
        ("mismatch", ImageFailure, "dimensions mismatch"),
        ("short", ImageFailure, "7 shifts for 10 frames"),
        ("nosum", ImageFailure, "there is no sum"),
        ("nodw", ImageFailure, "there is no dose-weighted sum"),
        ("truncated", ImageFailure, "truncated"),
        ("dims", ImageFailure, "32 x 48 pixels instead of 64 x 48$"),
        ("zeros", ImageFailure, "is 0 everywhere"),
        ("nan", ImageFailure, "1 pixels that are not finite"),
        ("pixel", ImageFailure, "pixel size of 3.0000"),
    ],
)
def test_eachFaultHasItsClass(place, monkeypatch, fault, failure, reason):
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(failure, match=reason) as caught:
        calcMotionCorrection(makeExposure(place, options=makeOptions(doseweight=True)))
    assert "-OutMrc" in caught.value.command
    assert caught.value.host == os.uname().nodename
    assert "-InMrc  " in caught.value.log_tail or "-GpuMemUsage" in caught.value.log_tail
    assert list((place / "scratch").iterdir()) == []
    assert not list((place / "run1").glob("*_c*.mrc"))
    assert (place / "run1" / "image_00012enn_st_Log.motioncor2.txt").exists()


def test_aProgramThatPrintsWithoutEnd(place, monkeypatch):
    monkeypatch.setenv("FAULT", "flood")
    with pytest.raises(ImageFailure, match="printed more than 16 MB and was ended: Align patch 1 25 left"):
        calcMotionCorrection(makeExposure(place))
    said = place / "run1" / "image_00012enn_st_Log.motioncor2.txt"
    assert "-InMrc  " in said.read_text()
    assert said.stat().st_size < 200_000


@pytest.mark.parametrize("full", ["scratch", "run1"])
def test_aFullDiskIsNotTheImages(place, monkeypatch, full):
    """The program cannot even say why it ends; or all is well with its own disk, but not with that of the results."""
    if full == "run1":
        (place / full).rmdir()
    with mountDisk(place / full) as disk:
        monkeypatch.setenv("FAULT", "full" if full == "scratch" else "nosum")
        if full == "run1":
            fillDisk(disk)
        with pytest.raises(InfrastructureFailure, match=r"cannot be (written to|kept in .*): No space left"):
            calcMotionCorrection(makeExposure(place))


def test_theLanguageOfTheDaemonIsNotThatOfTheProgram(place, monkeypatch):
    script = (place / "motioncor2").read_text()
    (place / "motioncor2").write_text(script.replace("KIND", f"env > {place}/asked\nKIND", 1))
    monkeypatch.setenv("LC_NUMERIC", "de_DE.UTF-8")
    monkeypatch.setenv("PYTHONPATH", "/opt/appion")
    calcMotionCorrection(makeExposure(place))
    asked = (place / "asked").read_text().splitlines()
    assert "LC_ALL=C" in asked
    assert not [line for line in asked if line.startswith(("LC_NUMERIC", "DASK_", "PYTHON"))]


def test_gpuThatIsNotFree(place, monkeypatch):
    monkeypatch.setenv("FAULT", "gpubusy")
    with pytest.raises(InfrastructureFailure, match="no GPU is free"):
        calcMotionCorrection(makeExposure(place, kind="motioncor3"))


def test_hangingProgramIsKilledWithItsChildren(place, monkeypatch):
    monkeypatch.setenv("FAULT", "hang")
    monkeypatch.setenv("PIDS", str(place / "pids"))
    monkeypatch.setattr("appion.base.programs.run.GRACE", 0.5)
    with pytest.raises(ImageFailure, match="did not end within 2 s"):
        calcMotionCorrection(makeExposure(place, timeout=2.0))
    assert not any(isRunning(int(pid)) for pid in (place / "pids").read_text().split())


def test_programEndsWithAKilledWorker(place, monkeypatch):
    """Nobody but the guard is left to end the program and its children when a worker is killed."""
    monkeypatch.setenv("FAULT", "hang")
    monkeypatch.setenv("PIDS", str(place / "pids"))
    script = "import pickle, sys\nfrom appion.motioncorrection.calc.external import calcMotionCorrection\n"
    script += "calcMotionCorrection(pickle.load(sys.stdin.buffer))"
    worker = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    worker.stdin.write(pickle.dumps(makeExposure(place)))
    worker.stdin.close()
    deadline = time.monotonic() + 600
    while not ((place / "pids").exists() and len((place / "pids").read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    pids = [int(pid) for pid in (place / "pids").read_text().split()]
    while any(isRunning(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def dieBeforeRenaming(number, params):
    """In a forked child: correct the movie and be killed before the renaming of this number."""
    left, plain = [number], os.replace

    def rename(*names):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        plain(*names)

    os.replace = rename
    code = 1
    try:
        calcMotionCorrection(params)
        code = 0
    finally:
        os._exit(code)


def test_nothingButWholeFilesIsAmongResultsWhereverAWorkerIsKilled(place):
    """Killed before each renaming in turn, until it gets through: they are all by which a file comes to the results."""
    params = makeExposure(place, options=makeOptions(doseweight=True))
    for number in itertools.count(1):
        child = os.fork()
        if not child:
            dieBeforeRenaming(number, params)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        names = {path.name for path in (place / "run1").rglob("*") if path.is_file()}
        assert names <= {Path(path).name for path in astuple(params.files)}, names
        if code != -signal.SIGKILL:
            break
    assert code == 0
    assert number > 7
    assert len(names) == 6


def test_unknownDoseIsMentioned(place):
    result = calcMotionCorrection(makeExposure(place, totaldose=None, options=makeOptions(doseweight=True)))
    assert result.dw_file == ""
    assert "the dose is unknown" in result.warnings[0]


def test_workersNeedNeitherDatabaseNorScheduler():
    code = "import sys, appion.motioncorrection.calc.external; print({'django', 'dask', 'sinedon'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_missingProgram(place):
    with pytest.raises(ConfigurationFailure, match="cannot run /nowhere/motioncor2"):
        calcMotionCorrection(makeExposure(place, program=Program("motioncor2", "/nowhere/motioncor2")))


def test_missingAndIncompleteMovies(place):
    with pytest.raises(NotReady, match="no such file"):
        calcMotionCorrection(makeExposure(place, movie=str(place / "other.mrc")))
    with pytest.raises(NotReady, match="10 frames, the camera row says 12"):
        calcMotionCorrection(replace(makeExposure(place), nframes=12))


def test_framesThatAreRenderedAndLeftOut(place):
    options = makeOptions(rendered_frame_size=4, startframe=2, nframe=4, doseweight=True)
    result = calcMotionCorrection(makeExposure(place, options=options))
    assert len(result.shifts) == 1
    assert Path(result.log_file).read_text().splitlines() == [
        "Sum Frame #000 - #003 (Reference Frame #001):", "......Add Frame #001 with xy shift: -0.00000 -0.00000"]


def test_movieWithAFrameMoreThanTheCameraRowSays(place):
    result = calcMotionCorrection(replace(makeExposure(place, nframes=11), nframes=10))
    assert len(result.shifts) == 11
    assert "11 frames, the camera row says 10" in result.warnings[0]


@pytest.mark.parametrize("options", [{}, {"rendered_frame_size": 4}])
def test_framesThatMayBeMissing(place, options):
    """Dose and rows are those of the frames there are: 50 e/Å² of 10 frames are 40 of 8."""
    params = makeExposure(place, nframes=8, options=makeOptions(doseweight=True, **options))
    result = calcMotionCorrection(replace(params, nframes=10, missing_frames=2))
    assert (result.params.nframes, result.params.totaldose) == (8, pytest.approx(40))
    assert float(result.argv[result.argv.index("-FmDose") + 1]) == pytest.approx(20 if options else 5)
    assert len(result.shifts) == (2 if options else 8)
    assert "2 of the 10 frames that the camera row says are missing" in result.warnings[0]
    with pytest.raises(NotReady, match="missing_frames"):
        calcMotionCorrection(replace(params, nframes=11, missing_frames=2))


def test_aChoiceOfFramesThatTheRestOfThemDoesNotGive(place):
    params = makeExposure(place, nframes=7, options=makeOptions(rendered_frame_size=4, startframe=4))
    with pytest.raises(ImageFailure, match="7 frames instead of 8: --ddstartframe = 4 cuts"):
        calcMotionCorrection(replace(params, nframes=8, missing_frames=1))


def test_finerEventsThanTheMovieTells(place):
    params = makeExposure(place, (makeScene() > 60).astype(np.float32), "eer", options=makeOptions(eer_sampling=2))
    writeEER(Path(params.movie), np.ones((10, 48, 64), np.uint8), 65002, np.zeros((10, 48, 64), int), (0, 0))
    with pytest.raises(ConfigurationFailure, match="use a sampling of 1"):
        calcMotionCorrection(params)


def test_oddFramesAreToldAndLeftOut(place):
    """motioncor-cpu says so, and the result warns of it; shifts and dose stay those of all frames."""
    generator = np.random.default_rng(3)
    frames = generator.poisson(3, (6, 96, 128)).astype(np.float32)
    frames[2] = np.nan
    frames[4] *= 30
    program = findProgram("motioncor2", "motioncor-cpu")
    params = makeExposure(place, makeScene((96, 128)), nframes=6, program=program, options=makeOptions(doseweight=True))
    with warnings.catch_warnings(action="ignore"):
        writeMovie(Path(params.movie), frames)
    with pytest.raises(ImageFailure, match=r"one frame is no numbers.*: number 3 .*leave_out_odd_frames"):
        calcMotionCorrection(params)
    result = calcMotionCorrection(replace(params, leave_out_odd_frames=True))
    assert len(result.shifts) == 6
    assert sorted(result.warnings) == ["one frame is much brighter than the others: number 5 (left out)",
                                       "one frame is no numbers (NaN, or beyond any count): number 3 (left out)"]
    assert mrcfile.read(result.sum_file).mean() == pytest.approx(12, rel=0.02)


def test_wrongOrientationIsReportedLoudly(place):
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:300, :300] / 60
    scene = 30 + 10 * np.sin(3 * x + y * y) + 10 * np.cos(x * y) + 30 * (np.hypot(x - 4, y - 1) < 0.5)
    picture = str(place / "image_00012enn.mrc")
    with mrcfile.new(picture) as mrc:
        mrc.set_data((scene + generator.normal(0, 3, scene.shape)).astype(np.float32))
    right = calcMotionCorrection(makeExposure(place, scene, picture=picture))
    assert right.orientation == 0
    assert right.warnings == ()
    wrong = calcMotionCorrection(makeExposure(place, np.rot90(scene, -1), picture=picture))
    assert wrong.orientation == 1
    assert "turned by 90°" in wrong.warnings[0]
    (place / "image_00012enn.mrc").unlink()
    missing = calcMotionCorrection(makeExposure(place, scene, picture=picture))
    assert "orientation not checked" in missing.warnings[0]


def test_knownBadAndUnknownVersions(caplog):
    bad = Program("motioncor3", "/opt/motioncor3", "1.2.2")
    with pytest.raises(ConfigurationFailure, match=r"1\.2\.2 .* wrong dose-weighted images"):
        checkProgram(bad, makeOptions(doseweight=True))
    checkProgram(Program("motioncor2", "/opt/motioncor2", "1.6.4"), makeOptions(doseweight=True))
    assert not caplog.records
    checkProgram(Program("motioncor2", "/opt/motioncor2", "1.9.0"), makeOptions())
    checkProgram(Program("motioncor2", "/opt/motioncor2"), makeOptions())
    assert "1.9.0" in caplog.text
    assert "unknown" in caplog.text
