"""The analysis of a fit: known numbers, stage by stage and in the end, what must not change them, and bad input."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal import calcCTFAnalysis, calcCTFConfidence
from appion.ctfestimation.calc.internal.spectrum import Workspace, calcTileSpectrum
from appion.ctfestimation.records import CTFConfidence
from tests.ctfestimation.simulated import simulateMicrograph

REFERENCE = json.loads((Path(__file__).parent / "data" / "confidence.json").read_text())
SMALL = {"shape": (1100, 1300), "pixelsize": 1.2, "defocus1": 1.1e-6, "defocus2": 1.2e-6, "angle": 20.0}
NOTHING = CTFConfidence(0.0, 0.0, 0.0, 0.0, 100.0, 100.0)


@cache
def constructMicrograph(name: str) -> np.ndarray:
    return simulateMicrograph(**REFERENCE["cases"][name]["make"])


def calcFitConfidence(micrograph, **changes):
    """Return the numbers of the small micrograph's fit with `changes`."""
    fit = {key: value for key, value in SMALL.items() if key != "shape"} | changes
    optics = {"cs": 2.7, "high_tension": 300e3, "amplitude_contrast": 0.07}
    return calcCTFConfidence(micrograph, **(optics | fit))


@pytest.mark.parametrize("name", ["A", "B", "F", "J"])
def test_wellFittingMicrographsHaveTheNumbersTheyAlwaysHad(name):
    case = REFERENCE["cases"][name]
    micrograph = constructMicrograph(name)
    for pixel, value in zip(((0, 0), (100, 200)), REFERENCE["pixels"].get(name, ()), strict=False):
        assert micrograph[pixel] == pytest.approx(value, abs=1e-4)
    found = asdict(calcFitConfidence(micrograph, **{"phase_shift": 0.0, **case["fit"]}))
    for field, expected in case["result"].items():
        assert found[field] == pytest.approx(expected, abs=0.05 if "resolution" in field else 0.01), field


def test_stagesOfTheAnalysis():
    micrograph = constructMicrograph("A")
    tile = calcTileSpectrum(micrograph[:1024, :1024], Workspace(1024), 512)
    assert (tile.mean(), tile.min(), tile.max()) == pytest.approx((8.414228, 7.371404, 10.38226), abs=1e-5)
    analysis = calcCTFAnalysis(micrograph, 1.0, 1.5e-6, 1.6e-6, 30, 2.7, 300e3, 0.07)
    assert analysis.spectrum.shape == (704, 704)
    assert analysis.frequency_step == 1 / 1024
    frequency, peaks = analysis.judged.profile.frequency, analysis.judged.profile.peaks
    assert (len(frequency), frequency[0], frequency[-1]) == pytest.approx((473, 0.03843595, 0.49198016), abs=1e-7)
    assert peaks[:3] * 1024 == pytest.approx([40.53465, 71.33181, 92.41799], abs=1e-4)
    assert len(peaks) == 69
    background, envelope = analysis.judged.normalised.background, analysis.judged.normalised.envelope
    assert [start for start, _ in background.fit.sections] == [19, 93, 159, 229, 303, 375]
    assert [end for _, end in background.fit.sections] == [139, 208, 280, 351, 421, 472]
    assert [start for start, _ in envelope.fit.sections] == [2, 71, 144, 212, 283, 353]
    assert [end for _, end in envelope.fit.sections] == [124, 189, 259, 333, 401, 471]
    assert len(analysis.judged.centres) == 139
    assert analysis.judged.centres[:4] == pytest.approx([0.04035775, 0.05669303, 0.06726291, 0.0778328], abs=1e-7)
    assert analysis.judged.correlation[:5] == pytest.approx([0.439, 0.985, 0.978, 0.975, 0.971], abs=0.01)


def test_lowDefocusIsAveragedAlongEllipsesOfOneAngle():
    fit = {"pixelsize": 1.0, "defocus1": 5e-7, "defocus2": 6e-7}
    micrograph = simulateMicrograph(seed=4, angle=40, **fit)
    right, wrong = (calcFitConfidence(micrograph, angle=angle, **fit) for angle in (40, -40))
    assert right.confidence_5_peak > 0.97
    assert right.resolution_80_percent < 2.7
    assert wrong.confidence_5_peak < 0.5
    assert wrong.resolution_80_percent > 5


def test_badFitsAreSeenAsSuch():
    noise = calcFitConfidence(constructMicrograph("H"), **REFERENCE["cases"]["H"]["fit"])
    assert noise.confidence_5_peak < 0.5
    assert noise.resolution_50_percent > 15
    wrong = calcFitConfidence(constructMicrograph("A"), **REFERENCE["cases"]["I"]["fit"])
    assert wrong.confidence_30_10 < 0
    assert wrong.confidence_5_peak < 0
    assert wrong.resolution_50_percent > 15


@pytest.mark.parametrize(
    "optics",
    [
        {"cs": 0.0},
        {"phase_shift": np.pi / 2},
        {"high_tension": 200e3, "cs": 2.0, "amplitude_contrast": 0.1},
        {"pixelsize": 4.0},
        {"pixelsize": 0.6},
        {"shape": (1040, 2100)},
    ],
)
def test_otherMicroscopesAndCameras(optics):
    micrograph = simulateMicrograph(**(SMALL | optics))
    optics.pop("shape", None)
    found = calcFitConfidence(micrograph, **optics)
    assert found.confidence_5_peak > 0.9
    assert found.resolution_50_percent < 10.5


@cache
def constructSmall(seed: int) -> tuple[np.ndarray, CTFConfidence]:
    micrograph = simulateMicrograph(seed=seed, bfactor=30, **SMALL)
    return micrograph, calcFitConfidence(micrograph)


def assertClose(found: CTFConfidence, expected: CTFConfidence) -> None:
    assert astuple(found)[:4] == pytest.approx(astuple(expected)[:4], abs=0.01)
    # A resolution may jump where the correlation only just touches its limit, so it is held to a tenth.
    assert astuple(found)[4:] == pytest.approx(astuple(expected)[4:], rel=0.1)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 1),
    turn=st.sampled_from(["transposed", "upside down", "mirrored", "half a turn", "quarter of a turn"]),
)
def test_turnedMicrographsWithTurnedAnglesAreAsGood(seed, turn):
    micrograph, expected = constructSmall(seed)
    turned, angle = {
        "transposed": (micrograph.T, 90 - 20),
        "upside down": (micrograph[::-1], -20),
        "mirrored": (micrograph[:, ::-1], 180 - 20),
        "half a turn": (micrograph[::-1, ::-1], 20 - 180),
        "quarter of a turn": (np.rot90(micrograph), 20 - 90),
    }[turn]
    assertClose(calcFitConfidence(turned, angle=angle), expected)


@settings(max_examples=6, deadline=None)
@given(gain=st.floats(1e-3, 1e4), offset=st.floats(-1e3, 1e4))
def test_theScaleOfIntensitiesDoesNotMatter(gain, offset):
    micrograph, expected = constructSmall(0)
    assertClose(calcFitConfidence(gain * (micrograph + np.float32(offset))), expected)


def test_extremeScalesAndListsDoNotMatter():
    micrograph, expected = constructSmall(0)
    for scale in (1e-30, 1e30, 1e300):
        assertClose(calcFitConfidence(micrograph.astype(np.float64) * scale), expected)
    assertClose(calcFitConfidence(micrograph.tolist()), expected)


def test_theOrderOfTheDefociAndIntegersDoNotMatter():
    micrograph, expected = constructSmall(0)
    swapped = calcFitConfidence(micrograph, defocus1=1.2e-6, defocus2=1.1e-6, angle=20.0 - 90)
    assert astuple(swapped) == pytest.approx(astuple(expected))
    assertClose(calcFitConfidence(np.rint(micrograph * 50).astype(np.int16)), expected)


def test_anEmptyStripIsLeftOut():
    micrograph, expected = constructSmall(0)
    wide = np.hstack([micrograph, np.full((1100, 1100), 5, np.float32)])
    assert calcFitConfidence(wide).confidence_5_peak == pytest.approx(expected.confidence_5_peak, abs=0.05)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"defocus1": 1e-7, "defocus2": 1.1e-7}, "no zero"),
        ({"defocus1": 2e-8, "defocus2": 2e-8}, "no zero"),
        ({"defocus1": 9e-8, "defocus2": 9e-8, "phase_shift": np.pi / 2}, "no peak"),
        ({"pixelsize": 50.0, "defocus1": 3e-7, "defocus2": 3e-7}, "first peak"),
        ({"pixelsize": 12.0, "defocus1": 1e-6, "defocus2": 1e-6}, "peaks of the CTF"),
    ],
)
def test_spectraThatCannotBeJudgedHaveNoConfidence(changes, reason):
    micrograph, _ = constructSmall(0)
    optics = {"cs": 2.7, "high_tension": 300e3, "amplitude_contrast": 0.07}
    analysis = calcCTFAnalysis(micrograph, **(optics | {k: v for k, v in SMALL.items() if k != "shape"} | changes))
    assert reason in analysis.reason
    assert analysis.judged is None
    assert analysis.confidence == NOTHING


@pytest.mark.parametrize(
    ("micrograph", "reason"),
    [
        (np.full((512, 512), 7.0), "all pixels of the micrograph are 7"),
        (np.full((512, 512), np.nan), "262144 of 262144 pixels of the micrograph are no finite"),
        (np.where(np.eye(512) == 1, np.inf, 1.0), "512 of 262144 pixels"),
        (np.ones((3, 512, 512)), "the micrograph is 3 x 512 x 512 pixels"),
        (np.ones((100, 5000)), "the micrograph is 100 x 5000 pixels"),
        (np.ones((512, 512), np.complex64), "complex64, not real"),
    ],
)
def test_micrographsWithoutASpectrumAreRefused(micrograph, reason):
    with pytest.raises(ImageFailure, match=reason):
        calcFitConfidence(micrograph)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"defocus1": float("nan")}, "defocus . .* is nan"),
        ({"defocus1": 30e-6, "defocus2": 31e-6}, "defocus 1 .* is 30"),
        ({"defocus1": -1e-6}, "defocus 1 .* is -1"),
        ({"pixelsize": 0.0}, "pixel size .* is 0"),
        ({"cs": -1.0}, "Cs .* is -1"),
        ({"high_tension": 300.0}, "high tension .* is 0.3"),
        ({"high_tension": 0.0}, "high tension .* is 0"),
        ({"high_tension": -300e3}, "high tension .* is -300"),
        ({"high_tension": 1e300}, "high tension .* is 1e"),
        ({"amplitude_contrast": 7.0}, "amplitude contrast is 7"),
    ],
)
def test_impossibleFitsAreRefused(changes, reason):
    micrograph, _ = constructSmall(0)
    with pytest.raises(ImageFailure, match=reason):
        calcFitConfidence(micrograph, **changes)
