"""Gctf: its command line, its log, its files. The logs are written after its format; the program cannot be had."""

import sys
from pathlib import Path

import numpy as np
import pytest

from appion.base.failures import ImageFailure, InfrastructureFailure
from appion.base.programs.find import findProgram
from appion.base.records.program import Program
from appion.ctfestimation.calc.external import calcCTF, constructArgv
from appion.ctfestimation.calc.external.gctf import parseGctfLog
from appion.ctfestimation.calc.external.star import calcRaster, constructRasterStar, parseLocalStar
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.calc.internal.localplot import calcDefocusMap
from appion.ctfestimation.records import ComputedCTF, LocalRefinement, PhaseSearch
from appion.ctfestimation.store.result import constructFields
from tests.ctfestimation.micrographs import makeOrigin, makeParams, saveMicrograph

FAKE = Path(__file__).parent / "fakegctf.py"
SHORT = "26nov22a_02gr_012enn-a"
GCTF = Program("gctf", "/opt/gctf", "1.06")
PLAIN = (
    "/opt/gctf --apix 1.06 --kv 300.0 --cs 2.7 --ac 0.07 --boxsize 512 --mdef_ave_type 0 --mdef_aveN 1 --resL 50.0"
    f" --resH 4.0 --defL 1000.0 --defH 40000.0 --defS 1000.0 --astm 500.0 {SHORT}.mrc"
)
VALUES = "Defocus_U   Defocus_V       Angle         CCC\n  {}  Final Values\n"


@pytest.fixture
def place(tmp_path):
    """A folder with the program."""
    script = tmp_path / "gctfCurrent"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {FAKE} "$@"\n')
    script.chmod(0o755)
    return tmp_path


def makeExposure(place, **changes):
    path = str(saveMicrograph(place / "26nov22a_00002gr_00012enn-a.mrc"))
    return makeParams(**{
        "micrograph": path, "input": path, "folder": str(place / "run1"), "scratch": str(place / "scratch" / "12"),
        "program": Program("gctf", str(place / "gctfCurrent"), "1.06"), "timeout": 60.0, **changes,
    })  # fmt: skip


def test_plainCommand():
    assert constructArgv(makeParams(program=GCTF)) == PLAIN.split()
    inexact = makeParams(program=GCTF, pixelsize=4.13e-11 * 2 * 1e10)
    assert constructArgv(inexact) == PLAIN.replace("1.06", "0.826").split()


def test_commandWithEverything():
    params = makeParams(
        program=GCTF, epa=True, hires_refine=True, is_movie=True, frame_average=7, phase=PhaseSearch(10.0, 170.0, 5.0),
        local=LocalRefinement(),
    )  # fmt: skip
    expected = PLAIN.replace("512", "512 --do_EPA --do_Hres_ref").replace("0 --mdef_aveN 1", "1 --mdef_aveN 7")
    expected += " --phase_shift_H 170.0 --phase_shift_L 10.0 --phase_shift_S 5.0 --do_local_refine"
    expected += " --boxsuffix _raster.star --local_radius 1024 --local_boxsize 512 --local_overlap 0.5"
    assert constructArgv(params) == expected.split()


@pytest.mark.parametrize(
    ("values", "rest", "fit"),
    [
        ("16005.00  15005.20  -60.08  0.141", "", Fit(16005.0, 15005.2, -60.08, 0.0, 0.141, float("inf"))),
        ("16005.00  15005.20  -60.08  90.00  0.141", "Resolution limit estimated by EPA: RES_LIMIT 3.25 \n",
         Fit(16005.0, 15005.2, -60.08, 1.5708, 0.141, 3.25)),
        ("16005.00  15005.20  -60.08  0.141", "\nResolution limit estimated by EPA: 4.01\n",
         Fit(16005.0, 15005.2, -60.08, 0.0, 0.141, 4.01)),
        ("16005.00  15005.20  -60.08  0.141", "\x1b[1mResolution limit estimated by EPA:\x1b[0m RES_LIMIT\x1b[32m 3.5",
         Fit(16005.0, 15005.2, -60.08, 0.0, 0.141, 3.5)),
        ("\x1b[31m16005.00\x1b[0m 15005.20 -60.08 0.141", "\rResolution limit: none\r\n",
         Fit(16005.0, 15005.2, -60.08, 0.0, 0.141, float("inf"))),
        ("16005.00\t15005.20  -60.08  0.141",
         "Resolution limit estimated by EPA: RES_LIMIT 3.25A\nResolution range: 50 to 4\n",
         Fit(16005.0, 15005.2, -60.08, 0.0, 0.141, 3.25)),
        ("16005.00  15005.20  -60.08  0.141", "Defocus_U Defocus_V Angle CCC\n  1.0 2.0 3.0 0.4\n",
         Fit(16005.0, 15005.2, -60.08, 0.0, 0.141, float("inf"))),
        ("16005.00  15005.20  -60.08  0.141",
         "Defocus_U Defocus_V Angle CCC\n9000.0 8000.0 10.0 0.2 Final   Values\n",
         Fit(9000.0, 8000.0, 10.0, 0.0, 0.2, float("inf"))),
    ],
)  # fmt: skip
def test_log(values, rest, fit):
    assert parseGctfLog("Some banner\n" + VALUES.format("1.0 2.0 3.0 0.004") + VALUES.format(values) + rest) == fit


FIRST = "Defocus_U   Defocus_V       Angle         CCC\n   23878.12    23554.28       61.28    0.116735  Final Values\n"
REFINED = "   23846.26    23525.42       61.84    0.521613  Final Values (Hres refine)\n"
LIMIT = "Resolution limit estimated by EPA: RES_LIMIT {}\n"
NAMES = "Defocus_U   Defocus_V       Angle         CCC\n"


@pytest.mark.parametrize("again", ["", NAMES, "Refining with the high resolution rings\n\n"])
@pytest.mark.parametrize(
    ("between", "end", "resolution"),
    [
        ("", LIMIT.format(3.25), 3.25), (LIMIT.format(5.5), LIMIT.format(3.25), 3.25),
        (LIMIT.format(5.5), "", float("inf")), ("", "", float("inf")),
    ],
)  # fmt: skip
def test_logOfARefinement(between, end, resolution, again):
    """Values and resolution are of the fit that was refined, whatever is said of it in brackets."""
    fit = Fit(23846.26, 23525.42, 61.84, 0.0, 0.521613, resolution)
    assert parseGctfLog(FIRST + between + again + REFINED + end) == fit
    for words in ("Final Values(Hres)", "Final Values [Hres]", "Final  Values (2nd: local, 3.0 A)  ", "final values"):
        assert parseGctfLog(FIRST + between + again + REFINED.replace("Final Values (Hres refine)", words) + end) == fit
    phase = REFINED.replace("61.84", "61.84  90.0")
    assert parseGctfLog(FIRST + between + again + phase + end).phase_shift == 1.5708


def test_logOfARefinementAlone():
    text = f"{NAMES}{REFINED}\nResolution limit estimated by EPA: RES_LIMIT 3.25\n"
    assert parseGctfLog(text) == Fit(23846.26, 23525.42, 61.84, 0.0, 0.521613, 3.25)


def test_logOfARefinementThatFailed():
    """The values before it are not taken for those after it."""
    with pytest.raises(ImageFailure, match=r"not four or five finite numbers: nan nan 61\.84"):
        parseGctfLog(FIRST + NAMES + REFINED.replace("23846.26    23525.42", "nan nan"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no line of 'Final Values'"),
        ("Defocus_U Defocus_V\n", "no line of 'Final Values'"),
        (VALUES.format("1.0 2.0 3.0"), "not four or five finite numbers: 1.0 2.0 3.0"),
        (VALUES.format("1.0 2.0 3.0 nan"), "not four or five finite numbers"),
        (VALUES.format("1.0 2.0 -- 0.3"), "not four or five finite numbers"),
    ],
)
def test_logWithoutValues(text, reason):
    with pytest.raises(ImageFailure, match=reason):
        parseGctfLog(text)


def test_resultAndFiles(place, monkeypatch):
    monkeypatch.setenv("APPION_GPU", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    params = makeExposure(place, epa=True, local=LocalRefinement(raster=16), phase=PhaseSearch(10.0, 170.0, 5.0))
    result = calcCTF(params)
    assert (result.defocus1, result.defocus2, result.angle_astigmatism) == pytest.approx((15005.2, 16005.0, 29.92))
    assert (result.confidence, result.confidence_d, result.ctffind4_resolution) == (0.3755, 0.3755, 3.25)
    assert result.extra_phase_shift == pytest.approx(90.0, abs=1e-3)
    assert constructFields(ComputedCTF(makeOrigin(), result), 1)["extra_phase_shift"] == 1.5708
    assert result.graphs == (f"{SHORT}-pow.jpg", "", "", "")
    assert (result.localplot, result.localCTFstarfile) == (f"{SHORT}_localDF.png", f"{SHORT}_local.star")
    assert result.warnings == ()
    assert result.answers == ()
    run = place / "run1"
    assert sorted(path.name for path in run.iterdir()) == [
        f"{SHORT}_gctf.log", f"{SHORT}_local.star", f"{SHORT}_raster.star", "logfiles", "opimages"
    ]  # fmt: skip
    assert sorted(path.name for path in (run / "opimages").iterdir()) == [
        f"{SHORT}-pow.jpg", f"{SHORT}-pow.mrc", f"{SHORT}_localDF.png"
    ]  # fmt: skip
    assert (run / f"{SHORT}_gctf.log").read_text().startswith("GPU 7\n")
    assert "Gctf_v1.06" in (run / "logfiles" / f"{SHORT}.log").read_text()


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("empty", ImageFailure, "no line of 'Final Values'"),
        ("short", ImageFailure, "no line of 'Final Values'"),
        ("gpu", InfrastructureFailure, "no CUDA-capable device"),
        ("flood", ImageFailure, f"wrote more than 16 MB into {SHORT}_gctf.log and was ended"),
    ],
)
def test_faults(place, monkeypatch, fault, kind, reason):
    monkeypatch.setenv("FAULT", fault)
    with pytest.raises(kind, match=reason) as caught:
        calcCTF(makeExposure(place))
    assert caught.value.command.startswith(f"{place / 'gctfCurrent'} --apix 1.06")


def test_program(place):
    assert findProgram("gctf", search_path=f"{place}:/usr/bin:/bin") == makeExposure(place).program


def test_rasterCoversTheImage():
    points = calcRaster((1000, 500), 300)
    assert len(points) == 5 * 3
    assert points[0] == (0.0, 0.0)
    assert points[1] == (0.0, 249.0)
    assert points[-1] == (999.0, 499.0)


def test_localStar():
    text = constructRasterStar([(1.0, 2.0), (3.5, 4.0)], "a.mrc")
    assert [line.split() for line in text.splitlines() if "a.mrc" in line] == [
        ["1.000000", "2.000000", "a.mrc"], ["3.500000", "4.000000", "a.mrc"]
    ]  # fmt: skip
    with pytest.raises(ValueError, match="rlnDefocusU"):
        parseLocalStar(text)
    head = "data_\nloop_\n_rlnDefocusU #1\n_rlnDefocusV #2\n_rlnCoordinateX #3\n_rlnCoordinateY #4\n"
    np.testing.assert_array_equal(parseLocalStar(head + "10 20 1 2\n30 50 3 4\n"), [[1, 2, 15], [3, 4, 40]])
    others = "data_optics\n_rlnVersion 3\nloop_\n_rlnOpticsGroup #1\n1 # the only one\n\n"
    for more in ("data_rest\n_rlnComment none\n", "loop_\n_rlnOther\n1\n2\n"):
        found = parseLocalStar(f"{others}{head}10 20 1 2\n\n30 50 3 4\n{more}")
        np.testing.assert_array_equal(found, [[1, 2, 15], [3, 4, 40]])
    for rows in ("", "10 20 1\n", "10 20 1 nan\n", "10 20 1 x\n"):
        with pytest.raises(ValueError, match=r"columns instead|not finite|could not convert"):
            parseLocalStar(head + rows)


def test_mapHasRowsDownwards():
    points = np.array([[x, y, 15000.0 + x + 10 * y] for x in (0, 500, 999) for y in (0, 250, 499)], dtype=float)
    defocus = calcDefocusMap(points, (1000, 500))
    assert defocus.shape == (512, 512)
    assert defocus[0, 0] == pytest.approx(15000)
    assert defocus[0, 511] == pytest.approx(15999)
    assert defocus[510, 0] == pytest.approx(19990)
    for few in (points[:3], points[points[:, 0] == 0]):
        with pytest.raises(ValueError, match="do not span"):
            calcDefocusMap(few, (1000, 500))
