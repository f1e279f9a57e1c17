"""GCtfFind: its command line, the file with its fit, how it fails; it is run as a stand-in made after its source."""

import math
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from appion.base.failures import ImageFailure, InfrastructureFailure
from appion.base.programs.find import findProgram
from appion.base.records.program import Program
from appion.ctfestimation.calc.external import calcCTF, constructArgv, listReservations
from appion.ctfestimation.calc.external.gctffind import parseGctffindFile
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.records import CTFOptions, PhaseSearch
from appion.ctfestimation.retrieve.best import EarlierCTF
from appion.ctfestimation.retrieve.search import calcGctffindSearch
from tests.ctfestimation.fakegctffind import HEADER
from tests.ctfestimation.micrographs import makeParams, saveMicrograph

FAKE = Path(__file__).parent / "fakegctffind.py"
SHORT = "26nov22a_02gr_012enn-a"
GCTFFIND = Program("gctffind", "/opt/gctffind", "1.1.2")
PLAIN = (
    f"/opt/gctffind -InMrc {SHORT}.mrc -OutMrc {SHORT}-pow.mrc -OutCtf {SHORT}.ctf.txt -Cs 2.260 -kV 300"
    " -PixSize 1.06000 -TileSize 512 -AmpContrast 0.0700 -AstRange 0.050 -Serial 0 -Gpu 0"
)
ROW = "   0    0.00   14500.12   15000.34   35.20    0.00   0.1234  x.mrc\n"


@pytest.fixture
def place(tmp_path):
    """A folder with the program."""
    script = tmp_path / "GCtfFind"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    script.chmod(0o755)
    return tmp_path


def makeExposure(place, **changes):
    path = str(saveMicrograph(place / "26nov22a_00002gr_00012enn-a.mrc"))
    return makeParams(**{
        "micrograph": path, "input": path, "folder": str(place / "run1"), "scratch": str(place / "scratch" / "12"),
        "program": Program("gctffind", str(place / "GCtfFind"), "1.1.2"), "timeout": 60.0, **changes,
    })  # fmt: skip


def test_command(monkeypatch):
    assert constructArgv(makeParams(program=GCTFFIND, cs=2.26)) == PLAIN.split()
    monkeypatch.setenv("APPION_GPU", "3")
    phase = makeParams(program=GCTFFIND, cs=2.26, phase=PhaseSearch(10.0, 170.0, 0.0))
    expected = PLAIN.replace("-Serial", "-ExtPhase 90.0 160.0 -Serial").replace("-Gpu 0", "-Gpu 3")
    assert constructArgv(phase) == expected.split()


def test_rowOfItsFile():
    assert parseGctffindFile(HEADER + ROW) == Fit(15000.34, 14500.12, 35.2, 0.0, 0.1234, math.inf)
    blanks = HEADER + ROW.replace("x.mrc", "x y z.mrc").replace("   0.00   0.1234", "  90.00   0.1234")
    assert parseGctffindFile(blanks).phase_shift == pytest.approx(math.pi / 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 rows of values"),
        (HEADER, "0 rows of values"),
        (HEADER + ROW + ROW, "2 rows of values"),
        (HEADER + ROW.replace("0.1234", "nan"), "seven finite numbers"),
        (HEADER + ROW.replace("0.1234", "much"), "seven finite numbers"),
        (HEADER + "0 0.0 1.0\n", "seven finite numbers"),
        (HEADER + ROW.replace("14500.12", "-10.00"), "defocus of -10"),
    ],
)
def test_whatIsNoFit(text, reason):
    with pytest.raises(ImageFailure, match=reason):
        parseGctffindFile(text)


def test_resultAndFiles(place):
    params = makeExposure(place, phase=PhaseSearch(10.0, 170.0, 0.0))
    result = calcCTF(params)
    assert (result.defocus1, result.defocus2, result.angle_astigmatism) == pytest.approx((15005.2, 16005.0, 29.92))
    assert (result.cross_correlation, result.confidence_d) == (0.141, 0.3755)
    assert result.extra_phase_shift == pytest.approx(90.0)
    assert result.graphs == (f"{SHORT}-pow.jpg", "", "", "")
    assert (result.tilt_angle, result.thickness, result.answers) == (None, None, ())
    run = place / "run1"
    assert (run / f"{SHORT}.ctf.txt").read_text().startswith("# Idx")
    assert sorted(path.name for path in (run / "opimages").iterdir()) == [f"{SHORT}-pow.jpg", f"{SHORT}-pow.mrc"]
    said = (run / "logfiles" / f"{SHORT}.log").read_text()
    assert "-ExtPhase        90.0 160.0" in said
    assert said.endswith("Total time:  0.3 (s)\n")


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("gpu", InfrastructureFailure, r"exit code 1: Error: Invalid GPU \(0\)"),
        ("silent", InfrastructureFailure, "exit code 1: most likely it found no GPU"),
        ("crash", ImageFailure, "SIGSEGV"),
        ("unwritable", ImageFailure, r"wrote no .*\.ctf\.txt: Error: cannot open"),
        ("nan", ImageFailure, "seven finite numbers"),
        ("short", ImageFailure, "seven finite numbers"),
        ("negative", ImageFailure, "defocus of -10"),
        ("rows", ImageFailure, "2 rows of values"),
    ],
)
def test_faults(place, monkeypatch, fault, kind, reason):
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(kind, match=reason) as caught:
        calcCTF(makeExposure(place))
    assert caught.value.command.startswith(f"{place / 'GCtfFind'} -InMrc {SHORT}.mrc")


def test_whatItCannotReadIsNotGivenToIt(place):
    params = makeExposure(place)
    with mrcfile.new(params.input, overwrite=True) as mrc:
        mrc.set_data(np.random.default_rng(1).normal(size=(48, 64)).astype(np.float16))
    with pytest.raises(ImageFailure, match="mode 12, which GCtfFind does not read"):
        calcCTF(params)
    with mrcfile.new(params.input, overwrite=True) as mrc:
        mrc.set_data(np.random.default_rng(1).normal(size=(3, 48, 64)).astype(np.float32))
    with pytest.raises(ImageFailure, match="3 sections: GCtfFind takes it for a tilt series"):
        calcCTF(params)
    with pytest.raises(ImageFailure, match="too long for GCtfFind"):
        calcCTF(makeExposure(place, name="x" * 238))


def test_program(place):
    assert findProgram("gctffind.py", search_path=f"{place}:/usr/bin:/bin") == makeExposure(place).program


def test_whatIsNotKnownOfAVersionIsSaid():
    assert listReservations(GCTFFIND, phase=True, astig_given=False) == []
    assert "--astig has no effect with GCtfFind 1.1.2" in listReservations(GCTFFIND, False, True)[0]
    for version in ("1.1.6", "", "2.0"):
        program = Program("gctffind", "/opt/gctffind", version)
        assert listReservations(program, phase=False, astig_given=True) == []
        assert "centre and width" in listReservations(program, phase=True, astig_given=False)[0]


def test_expectedDefocusIsPositive():
    best = EarlierCTF(1, 2, 1.4e-6, 1.6e-6, 0.1234)
    plain = calcGctffindSearch(CTFOptions(), best, -2e-6)
    assert (plain.centre, plain.amplitude_contrast) == (pytest.approx(20000.0), 0.07)
    given = calcGctffindSearch(CTFOptions(bestdb=True), best, -2e-6)
    assert (given.centre, given.amplitude_contrast) == (pytest.approx(15000.0), 0.123)
    assert calcGctffindSearch(CTFOptions(), None, None).centre == 0.0
