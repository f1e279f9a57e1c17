"""Fits that are stored with a warning."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from appion.base.records.program import Program
from appion.ctfestimation.calc.external.doubt import findDoubts
from appion.ctfestimation.calc.internal.convention import Fit
from appion.ctfestimation.records import CTFConfidence
from tests.ctfestimation.micrographs import makeParams

FIT = Fit(16000.0, 15000.0, 30.0, 0.0, 0.2, 4.0)
GOOD = CTFConfidence(0.7, 0.95, 0.9, 0.9, 4.0, 3.5)


@pytest.mark.parametrize("kind", ["ctffind", "gctf", "gctffind"])
def test_noRings(kind):
    params = makeParams(program=Program(kind, kind, "4"), resmin=30.0)
    lost = findDoubts(params, replace(FIT, resolution=718.0), GOOD)
    assert len(lost) == 1
    assert lost[0].startswith("the fit found no rings: it holds up to 718 Å and began at 30 Å; ")
    poor = replace(GOOD, confidence_30_10=-0.07, confidence_5_peak=0.1)
    (said,) = findDoubts(params, FIT, poor)
    assert said.startswith("the fit found no rings: its confidence from 30 to 10 Å is -0.07; ")
    assert findDoubts(params, FIT, GOOD) == findDoubts(params, FIT, None) == []
    near_focus = replace(poor, confidence_5_peak=0.9)
    assert findDoubts(params, FIT, near_focus) == []


@pytest.mark.parametrize("resolution", [math.inf, math.nan])
def test_noResolutionIsTold(resolution):
    fit = replace(FIT, resolution=resolution)
    assert [len(findDoubts(makeParams(program=Program(kind, kind, "4")), fit, None))
            for kind in ("ctffind", "gctf", "gctffind")] == [1, 0, 0]  # fmt: skip


def test_resolutionBeyondThePixels():
    assert findDoubts(makeParams(pixelsize=2.0), FIT, GOOD) == []
    assert findDoubts(makeParams(pixelsize=2.1), FIT, GOOD) == [
        "the program's resolution of the fit is beyond the Nyquist limit of the pixels, 4.2 Å"
    ]
