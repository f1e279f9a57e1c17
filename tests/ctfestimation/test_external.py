"""One micrograph through the program and back: what is made, and how each fault ends."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure, NotReady
from appion.base.programs.find import findProgram
from appion.base.records.program import Program
from appion.base.records.task import encodeComputed
from appion.base.retrieve.journal import readResult
from appion.base.workers.task import computeTask
from appion.ctfestimation.calc import internal
from appion.ctfestimation.calc.external import analysis, calcCTF, checkProgram, constructAnswers, conversation
from appion.ctfestimation.calc.external.analysis import AVERAGES, DIAGNOSTIC, PLOTS, POWERSPEC, constructGraphs
from appion.ctfestimation.calc.internal.encoding import decodeResult
from appion.ctfestimation.records import CTFOptions, CTFTask, PhaseSearch
from tests.base.programs.disks import fillDisk, mountDisk
from tests.ctfestimation.micrographs import makeOrigin, makeParams, saveMicrograph
from tests.ctfestimation.simulated import simulateMicrograph
from tests.services.waiting import isRunning

FAKE = Path(__file__).parent / "fakectffind.py"
SHORT = "26nov22a_02gr_012enn-a"


@pytest.fixture
def place(tmp_path):
    """A folder with the program."""
    script = tmp_path / "ctffind"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} "$@"\n')
    script.chmod(0o755)
    return tmp_path


def makeExposure(place, image=None, **changes):
    path = str(saveMicrograph(place / "26nov22a_00002gr_00012enn-a.mrc", image))
    return makeParams(**{
        "micrograph": path, "input": path, "folder": str(place / "run1"), "scratch": str(place / "scratch" / "12"),
        "program": Program("ctffind", str(place / "ctffind"), "4.1.14"), "timeout": 600.0, **changes,
    })  # fmt: skip


@pytest.fixture
def nopictures(monkeypatch):
    """Pictures are left out."""
    monkeypatch.setattr(analysis, "drawPictures", lambda *_: (set(), []))


def test_resultAndFiles(place):
    params = makeExposure(place)
    result = calcCTF(params)
    assert (result.defocus1, result.defocus2) == pytest.approx((15005.2, 16005.0))
    assert result.angle_astigmatism == pytest.approx(29.92)
    assert result.cross_correlation == 0.85431
    assert result.confidence_d == result.confidence == 0.92429
    assert result.ctffind4_resolution == 2.5
    assert result.extra_phase_shift == 0.0
    assert (result.tilt_angle, result.tilt_axis_angle, result.thickness) == (None, None, None)
    assert result.ice_ring == pytest.approx(0.35 + 0.36 + 0.37 + 0.38), "0.25, 0.26, 0.27 and 0.28 1/Å"
    assert result.graphs == (f"{SHORT}-pow.jpg", f"{SHORT}-pow_avrot.png", "", "")
    assert result.warnings == ()
    assert dict(result.answers) == constructAnswers(params)
    run = place / "run1"
    assert sorted(path.name for path in run.iterdir()) == [
        f"{SHORT}-pow.txt", f"{SHORT}-pow_avrot.txt", "logfiles", "opimages"
    ]  # fmt: skip
    assert sorted(path.name for path in (run / "opimages").iterdir()) == [
        f"{SHORT}-pow.jpg", f"{SHORT}-pow.mrc", f"{SHORT}-pow_avrot.png"
    ]  # fmt: skip
    said = (run / "logfiles" / f"{SHORT}.log").read_text()
    assert "Version : 4.1.14" in said
    assert f"{SHORT}-pow.mrc\n" in said
    assert list((place / "scratch").iterdir()) == []


def test_recordIsInTheJournalBeforeAnythingComesBack(place):
    origin = makeOrigin(rundir=str(place / "run1"), options=CTFOptions(phase=PhaseSearch(10.0, 170.0, 10.0)))
    computed = computeTask(calcCTF, CTFTask(origin, makeExposure(place)))
    assert computed.origin == origin
    record = readResult(place / "run1", 12)
    assert record["format"] == 2
    assert decodeResult(record) == computed
    assert decodeResult(json.loads(json.dumps(encodeComputed(computed)))) == computed


def test_withoutAFolderNothingIsKept(place):
    result = calcCTF(makeExposure(place, folder="", local=None))
    assert result.defocus1 == pytest.approx(15005.2)
    assert (result.graphs, result.warnings) == (("", "", "", ""), ())
    assert {path.name for path in place.iterdir()} == {"26nov22a_00002gr_00012enn-a.mrc", "ctffind", "scratch"}
    assert list((place / "scratch").iterdir()) == []


def test_analysisAndItsPictures(place, monkeypatch):
    scene = simulateMicrograph((1024, 1024), defocus1=1.50052e-6, defocus2=1.6005e-6, angle=29.92, snr=1.0)
    params = makeExposure(place, scene, analyse=True, dimension=(1024, 1024), pixelsize=1.0, micrograph_pixelsize=1.0)
    result = calcCTF(params)
    assert result.warnings == ()
    assert result.analysis.confidence_5_peak > 0.7
    assert result.analysis.resolution_80_percent < 20
    assert result.confidence == max(0.92429, result.analysis.confidence_5_peak, result.analysis.confidence_30_10)
    ends = ("-powerspec.jpg", "-plots.png", "-pow.jpg", "-pow_avrot.png")
    assert result.graphs == tuple(f"{SHORT}{end}" for end in ends)
    assert all((place / "run1" / "opimages" / name).stat().st_size > 100 for name in result.graphs)
    monkeypatch.setattr(internal, "drawPowerSpectrum", None)
    monkeypatch.setattr(internal, "drawPlots", None)
    again = calcCTF(params)
    assert again.analysis == result.analysis
    assert again.graphs == (*result.graphs[2:], "", "")
    assert [line.split(":")[0] for line in again.warnings] == [f"no picture {name}" for name in result.graphs[:2]]
    monkeypatch.setattr(internal, "calcCTFAnalysis", None)
    last = calcCTF(params)
    assert last.analysis is None
    assert last.confidence == last.confidence_d == 0.92429
    assert last.warnings == ("not analysed: TypeError: 'NoneType' object is not callable",)


def test_imageTooSmallForAnAnalysis(place):
    result = calcCTF(makeExposure(place, analyse=True))
    assert result.analysis is None
    assert result.warnings[0].startswith("not analysed: ImageFailure: the micrograph is 48 x 64 pixels")


@pytest.mark.parametrize(
    ("made", "graphs"),
    [
        ({POWERSPEC, PLOTS, DIAGNOSTIC, AVERAGES}, (POWERSPEC, PLOTS, DIAGNOSTIC, AVERAGES)),
        ({POWERSPEC, PLOTS, DIAGNOSTIC}, (POWERSPEC, PLOTS, DIAGNOSTIC, None)),
        ({PLOTS, DIAGNOSTIC, AVERAGES}, (PLOTS, None, DIAGNOSTIC, AVERAGES)),
        ({DIAGNOSTIC, AVERAGES}, (DIAGNOSTIC, AVERAGES, None, None)),
        ({AVERAGES}, (DIAGNOSTIC, AVERAGES, None, None)),
        (set(), (DIAGNOSTIC, None, None, None)),
    ],
)
def test_thereIsAlwaysAFirstGraph(made, graphs):
    assert constructGraphs("a", made) == tuple(f"a{end}" if end else "" for end in graphs)


@pytest.mark.parametrize("bare", [False, True], ids=["defaults", "bare"])
@pytest.mark.parametrize("phase", [None, PhaseSearch(10.0, 170.0, 10.0)], ids=["plain", "phase"])
@pytest.mark.parametrize("version", ["4.0.17", "4.1.14", "5.0.1"])
@pytest.mark.usefixtures("nopictures")
def test_everyVersionGetsItsAnswers(place, monkeypatch, version, phase, bare):
    monkeypatch.setenv("VERSION", version)
    monkeypatch.setattr(conversation, "SETTLE", 0.02)
    if bare:
        monkeypatch.setenv("BARE", "1")
    params = makeExposure(place, phase=phase, program=Program("ctffind", str(place / "ctffind"), version))
    result = calcCTF(params)
    expected = constructAnswers(params)
    if version.startswith("4.0"):  # which says it without the unit
        expected = {text.removesuffix(" (rad)"): answer for text, answer in expected.items()}
    assert dict(result.answers) == expected
    assert [text for text, _ in result.answers] == list(expected)
    assert result.extra_phase_shift == pytest.approx(10.0 if phase else 0.0, abs=1e-4)


@pytest.mark.usefixtures("nopictures")
def test_movieAndStack(place):
    frames = np.random.default_rng(1).normal(100, 10, (3, 48, 64))
    movie = str(saveMicrograph(place / "movie.mrc", frames))
    answers = dict(calcCTF(makeExposure(place, input=movie, is_movie=True, frame_average=2)).answers)
    assert answers["Input image file name"] == f"{SHORT}.mrc"
    assert answers["Input is a movie (stack of frames)"] == "yes"
    assert answers["Number of frames to average together"] == "2"
    result = calcCTF(makeExposure(place, frames))
    assert dict(result.answers)["Input is a movie (stack of frames)"] == "no"
    assert result.defocus2 == pytest.approx(16005.0)
    assert [line.partition(" has ")[2] for line in result.warnings] == ["3 sections: the fit of the last one is used"]


@pytest.mark.parametrize("resolution", ["inf", "nan", "0", "-1"])
@pytest.mark.usefixtures("nopictures")
def test_noResolutionIsANumber(place, monkeypatch, resolution):
    monkeypatch.setenv("RESOLUTION", resolution)
    assert calcCTF(makeExposure(place)).ctffind4_resolution == 100000.0


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("ask", ImageFailure, "the program asks something unknown: 'Colour of the sample holder'"),
        ("exit", ImageFailure, "ended with exit code 255: Error: Opening of file failed!! - Exiting.."),
        ("six", ImageFailure, "row of 6 columns instead of 7 to 10"),
        ("constant", ImageFailure, "score is inf"),
        ("nothing", ImageFailure, f"the program wrote no {SHORT}-pow.txt"),
        ("memory", InfrastructureFailure, "bad_alloc"),
        ("flood", ImageFailure, "the program printed more than 16 MB and was ended: still searching"),
        ("floodblank", ImageFailure, "the program printed more than 16 MB and was ended"),
        ("floodask", ImageFailure, "the program printed more than 16 MB and was ended"),
    ],
)
def test_faultsOfTheProgram(place, monkeypatch, fault, kind, reason):
    monkeypatch.setenv("FAULT", fault)
    if not fault.startswith("flood"):  # which is no silence, however slowly it comes
        monkeypatch.setattr(conversation, "PATIENCE", 0.3)
    with pytest.raises(kind) as caught:
        calcCTF(makeExposure(place))
    assert reason in caught.value.reason
    assert caught.value.command == str(place / "ctffind")
    assert caught.value.host == os.uname().nodename
    said = place / "run1" / "logfiles" / f"{SHORT}.log"
    assert "Input image file name" in said.read_text()
    assert said.stat().st_size < 200_000
    assert list((place / "scratch").iterdir()) == []


@pytest.mark.parametrize("full", ["scratch", "run1"])
def test_aFullDiskIsNotTheImages(place, monkeypatch, full):
    """The program cannot even say why it ends; or all is well with its own disk, but not with that of the results."""
    with mountDisk(place / full) as disk:
        monkeypatch.setenv("FAULT", "full" if full == "scratch" else "exit")
        if full == "run1":
            for name in ("logfiles", "opimages"):
                (disk / name).mkdir()
            fillDisk(disk)
        with pytest.raises(InfrastructureFailure, match=r"cannot be (written to|kept in .*): No space left"):
            calcCTF(makeExposure(place))


def test_theLanguageOfTheDaemonIsNotThatOfTheProgram(place, monkeypatch):
    (place / "ctffind").write_text(f"#!/bin/sh\nenv > {place}/asked\nexec {sys.executable} -S {FAKE}\n")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("DASK_APPION__POLL", "3")
    calcCTF(makeExposure(place))
    asked = (place / "asked").read_text().splitlines()
    assert "LC_ALL=C" in asked
    assert not [line for line in asked if line.startswith(("LANG", "DASK_", "PYTHON"))]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"resmin": 60.0}, "does not accept '60.0' as the answer to 'Minimum resolution': "
                           "Error: Number outside of acceptable range (0 to 50), please try again"),
        ({"fieldsize": 64}, "does not accept '64' as the answer to 'Size of amplitude spectrum to compute'"),
    ],
)  # fmt: skip
def test_answersThatAreNotAccepted(place, changes, reason):
    with pytest.raises(ImageFailure, match="acceptable range") as caught:
        calcCTF(makeExposure(place, **changes))
    assert reason in caught.value.reason


@pytest.mark.parametrize("bare", [False, True])
def test_hangingProgramEndsWithItsChildren(place, monkeypatch, bare):
    monkeypatch.setenv("FAULT", "hang")
    monkeypatch.setenv("PIDS", str(place / "pids"))
    monkeypatch.setattr("appion.base.programs.run.GRACE", 0.3)
    if bare:
        monkeypatch.setenv("BARE", "1")
    with pytest.raises(ImageFailure, match="did not end within 10 s and was killed") as caught:
        calcCTF(makeExposure(place, timeout=10.0))
    assert "it last wrote: Reading beam position" in caught.value.reason
    assert not any(isRunning(pid) for pid in (place / "pids").read_text().split())


def test_killedWorkerLeavesNoProgram(place):
    params = makeExposure(place)
    code = (
        "from appion.ctfestimation.calc.external import calcCTF\n"
        "from appion.base.records.encoding import decodeRecord\n"
        "from appion.ctfestimation.records import CTFParams\n"
        "import json, sys\n"
        "calcCTF(decodeRecord(CTFParams, json.load(open(sys.argv[1]))))\n"
    )
    (place / "params.json").write_text(json.dumps(asdict(params)))
    pids = place / "pids"
    environment = {**os.environ, "FAULT": "hang", "PIDS": str(pids)}
    worker = subprocess.Popen([sys.executable, "-c", code, str(place / "params.json")], env=environment)
    deadline = time.monotonic() + 600
    while not (pids.exists() and len(pids.read_text().split()) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    while any(isRunning(pid) for pid in pids.read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_inputIsChecked(place):
    params = makeExposure(place, np.full((48, 64), 3.0))
    with pytest.raises(ImageFailure, match="is 3 everywhere"):
        calcCTF(params)
    with pytest.raises(ImageFailure, match="has 3072 pixels that are not finite numbers"):
        calcCTF(makeExposure(place, np.full((48, 64), np.nan)))
    os.truncate(params.input, 9000)
    with pytest.raises(NotReady, match="9000 bytes instead of"):
        calcCTF(params)
    os.unlink(params.input)
    with pytest.raises(NotReady, match="no such file"):
        calcCTF(params)
    with pytest.raises(ImageFailure, match="cannot be given to the program"):
        calcCTF(makeExposure(place, name="two\nlines"))
    assert "its database row says 10 x 10" in calcCTF(makeExposure(place, dimension=(10, 10))).warnings[0]


def test_programThatIsNotThere(place):
    with pytest.raises(ConfigurationFailure, match="cannot run /nowhere/ctffind"):
        calcCTF(makeExposure(place, program=Program("ctffind", "/nowhere/ctffind")))


def test_pictureThatCannotBeMade(place):
    (place / "run1" / "opimages" / f"{SHORT}-pow.jpg").mkdir(parents=True)
    result = calcCTF(makeExposure(place))
    assert result.graphs == (f"{SHORT}-pow.jpg", f"{SHORT}-pow_avrot.png", "", "")
    assert result.warnings[0].startswith(f"no picture {SHORT}-pow.jpg: IsADirectoryError")


def test_picturesOnADiskThatIsFull(place):
    """They are not left out: an exposure without them would be done, and stay so."""
    (place / "run1").mkdir()
    with mountDisk(place / "run1" / "opimages", 1) as disk:
        fillDisk(disk)
        with pytest.raises(InfrastructureFailure, match="opimages cannot be written to: No space left on device"):
            calcCTF(makeExposure(place))
    assert calcCTF(makeExposure(place)).warnings == ()


def test_fitThatIsNotPlausibleIsNotAnalysed(place):
    result = calcCTF(makeExposure(place, analyse=True, cs=8.9, amplitude_contrast=0.6))
    assert result.analysis is None
    assert result.warnings == ("not analysed: amplitude contrast 0.6 is not within 0 to 0.5",)


def test_ownProgram(place):
    script = place / "ctffind-cpu"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -m appion.ctfestimation.cli.ctffindcpu\n")
    script.chmod(0o755)
    program = findProgram("ctffind4", str(script))
    assert program.kind == "ctffind-cpu"
    assert program.version
    scene = simulateMicrograph((1024, 1024), defocus1=1.2e-6, defocus2=1.3e-6, angle=30.0, snr=1.0)
    params = makeExposure(
        place, scene, analyse=True, dimension=(1024, 1024), pixelsize=1.0, micrograph_pixelsize=1.0, program=program,
        resmin=30.0, resmax=5.0,
    )  # fmt: skip
    result = calcCTF(params)
    assert (result.defocus1, result.defocus2) == pytest.approx((12000.0, 13000.0), rel=0.002)
    assert result.angle_astigmatism == pytest.approx(30, abs=1)
    assert dict(result.answers) == constructAnswers(params)
    assert result.warnings == ()


@pytest.mark.parametrize("version", ["4.0.17", "4.1.14", "5.0.1", "6.0"])
def test_programByItsBanner(place, monkeypatch, caplog, version):
    monkeypatch.setenv("VERSION", version)
    (place / "ctffind").rename(place / "ctffind4")
    program = findProgram("ctffind4", search_path=str(place))
    assert program == Program("ctffind", str(place / "ctffind4"), version)
    assert ("is used in its place" in caplog.text) == (version[0] != "4")
    checkProgram(program)
    assert ("are not known for certain (known: 4.0, 4.1, 5.0)" in caplog.text) == (version == "6.0")
