"""The estimator behind ctffind-cpu, on micrographs whose transfer function is known."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from appion.base.failures import ImageFailure
from appion.ctfestimation.calc.internal import amplitude, ice
from appion.ctfestimation.calc.internal.estimate import Estimate, Settings, constructFit, estimateCTF
from appion.ctfestimation.calc.internal.grid import searchGrid
from appion.ctfestimation.calc.internal.lens import Search, constructLens
from appion.ctfestimation.calc.internal.polar import calcCells, calcPolarSpectrum
from tests.ctfestimation.simulated import addIce, simulateMicrograph

SETTINGS = Settings(1.0, constructLens(300, 2.7, 0.07), 512, 30.0, 5.0, Search(3000, 50000, 100))


@cache
def simulate(larger: float, smaller: float, angle: float, size: int = 1024, pixelsize: float = 1.0, phase: float = 0.0,
             snr: float = 0.3) -> np.ndarray:
    """Return a micrograph with two defoci in Å and the axis of the larger one, as CTFFIND states them."""
    return simulateMicrograph((size, size), pixelsize, larger * 1e-10, smaller * 1e-10, angle, phase, snr=snr)


def checkFit(estimate: Estimate, larger: float, smaller: float, angle: float, tolerance: float, degrees: float) -> None:
    fit = estimate.fit
    assert fit.mean + fit.half == pytest.approx(larger, abs=tolerance)
    assert fit.mean - fit.half == pytest.approx(smaller, abs=tolerance)
    assert abs((fit.angle - angle + 90) % 180 - 90) < degrees


@pytest.mark.parametrize(
    ("larger", "smaller", "angle", "pixelsize"),
    [(6000, 5500, 10, 1.0), (10000, 9000, -60, 0.85), (20000, 18000, 80, 1.1), (15000, 14500, 35, 1.6)],
)
def testDefocusAngleAndScoreOfStrongMicrographs(larger, smaller, angle, pixelsize):
    settings = replace(SETTINGS, pixelsize=pixelsize, resmax=4.0)
    estimate = estimateCTF([simulate(larger, smaller, angle, 1024, pixelsize, snr=1.0)], settings)
    checkFit(estimate, larger, smaller, angle, max(10, 0.001 * larger), 1.0)
    assert estimate.score > 0.4
    assert estimate.curves.resolution < 4


@pytest.mark.parametrize(("box", "snr"), [(512, 0.015), (1024, 0.015)])
def testAstigmatismOfWeakMicrographs(box, snr):
    estimate = estimateCTF([simulate(15000, 14500, 35, 2048, snr=snr)], replace(SETTINGS, box=box))
    checkFit(estimate, 15000, 14500, 35, 90, 7)
    assert estimate.score < 0.2


def testBoxAsLargeAsTheMicrograph():
    estimate = estimateCTF([simulate(15000, 14500, 35, snr=0.15)], replace(SETTINGS, box=1024))
    checkFit(estimate, 15000, 14500, 35, 30, 3)


def testFineRingsInASmallBox():
    settings = replace(SETTINGS, box=256, resmax=4.0)
    checkFit(estimateCTF([simulate(31000, 30300, -80, snr=1.0)], settings), 31000, 30300, -80, 20, 1.0)


def calcLeastErrors(defocus: float, snr: float, size: int, resmin: float, resmax: float) -> tuple[float, float]:
    """Return the least deviations (Cramér-Rao) of mean defocus and of either component of astigmatism, Å.

    They are those of the power of a simulated micrograph whose pixels are 1 Å and whose defoci are about the same.
    """
    y, x = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    squared = x * x + y * y
    chi = SETTINGS.lens.calcPhase(squared, defocus)
    envelope = np.exp(-60 / 2 * squared)
    signal = snr * envelope / np.mean(envelope * np.sin(chi) ** 2)
    slope = signal * np.sin(2 * chi) / (signal * np.sin(chi) ** 2 + 1) * math.pi * SETTINGS.lens.wavelength * squared
    inside = (squared > 1 / resmin**2) & (squared < 1 / resmax**2)
    doubled = 2 * np.arctan2(y, x)
    mean, cosine = (np.sum(np.square(part[inside])) / 2 for part in (slope, slope * np.cos(doubled)))
    return 1 / math.sqrt(mean), 1 / math.sqrt(cosine)


@pytest.mark.parametrize(("defocus", "snr", "box"), [(18000, 0.5, 512), (30000, 0.3, 256), (10000, 0.05, 512)])
def testErrorsAreNotMuchLargerThanNoiseMakesThem(defocus, snr, box):
    mean, component = calcLeastErrors(defocus, snr, 768, 30.0, 4.0)
    errors = []
    for seed in range(5):
        image = simulateMicrograph((768, 768), 1.0, (defocus + 150) * 1e-10, (defocus - 150) * 1e-10, 0.0, snr=snr,
                                   seed=seed)  # fmt: skip
        fit = estimateCTF([image], replace(SETTINGS, box=box, resmax=4.0)).fit
        errors.append(((fit.mean - defocus) / mean, (fit.cosine - 150) / component, fit.sine / component))
    assert np.sqrt(np.mean(np.square(errors))) < 1.7


def testFewRingsDoNotGiveTwiceTheDefocus():
    estimate = estimateCTF([simulate(15000, 14500, 35, 2048)], replace(SETTINGS, resmin=50.0, resmax=15.0))
    assert estimate.fit.mean == pytest.approx(14750, rel=0.15)  # one ring has no more to say


def testSearchFromNoDefocusEnds():
    search = replace(SETTINGS.search, minimum=0.0, maximum=0.0)
    assert abs(estimateCTF([simulate(15000, 14500, 35)], replace(SETTINGS, search=search)).fit.mean) < 50000


def testPhaseShift():
    image = simulate(12000, 11700, 45, phase=math.pi / 2, snr=1.0)
    search = replace(SETTINGS.search, phases=tuple(np.linspace(0, 3.15, 10)))
    estimate = estimateCTF([image], replace(SETTINGS, search=search, resmax=4.0))
    checkFit(estimate, 12000, 11700, 45, 15, 2)
    assert estimate.fit.phase == pytest.approx(math.pi / 2, abs=0.03)


def testGridOfManyPhaseShiftsIsThatOfEach():
    image = simulate(12000, 11700, 45, phase=math.pi / 2, snr=1.0)
    polar = calcPolarSpectrum(amplitude.calcAmplitudeSpectra(image, 1.0, [512])[0], 30.0, 5.0)
    phases = (0.3, 1.0, 1.6, 2.4)
    first, decay = searchGrid(polar, SETTINGS.lens, replace(SETTINGS.search, phases=phases))[0]
    single = [searchGrid(polar, SETTINGS.lens, replace(SETTINGS.search, phases=(phase,)))[0] for phase in phases]
    best = max(single, key=lambda found: found[0].quality)
    assert (first.mean, first.cosine, first.sine, first.phase, decay) == pytest.approx(
        (best[0].mean, best[0].cosine, best[0].sine, 1.6, best[1])
    )
    assert first.quality == pytest.approx(best[0].quality)


def testKnownValuesAreKeptAndRestraintPulls():
    image = simulate(15000, 14500, 35, snr=0.05)
    free = estimateCTF([image], SETTINGS).fit
    pulled = estimateCTF([image], replace(SETTINGS, search=replace(SETTINGS.search, tolerance=50.0))).fit
    assert 0 < pulled.half < 0.9 * free.half
    known = constructFit(500, 0, 35)
    given = replace(SETTINGS.search, known=(known.cosine, known.sine))
    fit = estimateCTF([image], replace(SETTINGS, search=given)).fit
    assert (fit.half, fit.angle) == pytest.approx((250, 35))
    assert fit.mean == pytest.approx(14750, abs=30)
    fixed = constructFit(15000, 14500, 35)
    assert estimateCTF([image], replace(SETTINGS, known=fixed)).fit == fixed


def testTurnedAndScaledMicrographs():
    image = simulate(10000, 9000, -60, 1024, 0.85, snr=1.0)
    settings = replace(SETTINGS, pixelsize=0.85, resmax=4.0)
    first = estimateCTF([image], settings).fit
    turned = estimateCTF([image.T], settings).fit
    scaled = estimateCTF([np.rint(image * 20 - 300).astype(np.int16)], settings).fit
    assert (turned.mean, turned.half) == pytest.approx((first.mean, first.half), abs=2)
    assert abs((turned.angle - (90 - first.angle) + 90) % 180 - 90) < 0.2
    assert (scaled.mean, scaled.cosine, scaled.sine) == pytest.approx((first.mean, first.cosine, first.sine), abs=2)


def testShapesThatFitNothing():
    image = simulate(15000, 14500, 35, 2048)[:1111, :1923]
    checkFit(estimateCTF([image], SETTINGS), 15000, 14500, 35, 15, 1.0)


@pytest.mark.parametrize(
    ("rings", "resmax", "spots"),
    [
        ([(3.67, 5.5, 0.01)], 3.0, 0), ([(3.67, 20.0, 0.03)], 3.0, 0), ([(3.67, 2.3, 0.02)], 3.0, 0),
        ([(3.9, 8.0, 0.01), (3.67, 20.0, 0.01), (3.44, 8.0, 0.01)], 3.0, 0), ([(3.67, 20.0, 0.01)], 3.0, 12),
        ([(8.0, 20.0, 0.02)], 5.0, 0), ([(5.05, 10.0, 0.02)], 5.0, 0), ([(25.0, 20.0, 0.03)], 5.0, 0),
        ([(12.0, 5.5, 0.001)], 5.0, 0),
    ],
)  # fmt: skip
def testIceIsNotFitted(rings, resmax, spots):
    image = simulate(16000, 15000, 30)
    for resolution, factor, width in rings:
        image = addIce(image, 1.0, resolution, factor, width, spots)
    estimate = estimateCTF([image], replace(SETTINGS, resmax=resmax))
    checkFit(estimate, 16000, 15000, 30, 0.002 * 15000, 1.0)
    assert estimate.score > 0.3
    assert estimate.curves.resolution < 5


@pytest.mark.parametrize("kilovolts", [80, 300])
@pytest.mark.parametrize(
    ("defocus", "pixelsize", "phase", "contrast"),
    [
        (3000, 1.0, 0.0, 0.07), (3000, 0.6, 1.57, 0.4), (7000, 2.0, 0.0, 0.2), (40000, 1.0, 1.57, 0.07),
        (40000, 4.0, 0.0, 0.4),
    ],
)
def testStrongRingsAreNoIce(kilovolts, defocus, pixelsize, phase, contrast):
    image = simulateMicrograph((768, 768), pixelsize, 0.98e-10 * defocus, 1.02e-10 * defocus, 30.0, phase,
                               high_tension=1e3 * kilovolts, amplitude_contrast=contrast, snr=5.0)  # fmt: skip
    (spectrum,) = amplitude.calcAmplitudeSpectra(image, pixelsize, [1024])
    assert not ice.findIce(spectrum, calcCells(spectrum, 30.0, max(2 * pixelsize, 3.0)))[0].any()


def testNoResolutionIsFinerThanThePixels():
    image = simulate(30600, 29400, 30, 1024, 8.0, snr=1.0)
    estimate = estimateCTF([image], replace(SETTINGS, pixelsize=8.0, resmin=50.0))
    assert estimate.fit.mean == pytest.approx(30000, rel=0.003)
    assert estimate.curves.resolution == 16


def testHotPixelsAndEdgesDoNoHarm():
    image = simulate(15000, 14500, 35, 1024, snr=1.0).copy()
    rng = np.random.default_rng(5)
    image[rng.integers(0, 1024, 200), rng.integers(0, 1024, 200)] = 1e5
    image += np.linspace(0, 300, 1024, dtype=np.float32)
    checkFit(estimateCTF([image], SETTINGS), 15000, 14500, 35, 20, 1.0)


def testNoiseGetsNoScore():
    noise = np.random.default_rng(1).normal(size=(1024, 1024))
    assert abs(estimateCTF([noise], SETTINGS).score) < 0.08


@pytest.mark.parametrize(
    ("image", "reason"),
    [(np.full((256, 256), 3.0), "constant"), (np.full((256, 256), np.nan), "not a number"),
     (np.where(np.eye(256) > 0, np.inf, 1.0), "infinite"), (np.eye(16), "16 x 16")],
)  # fmt: skip
def testUnusableImages(image, reason):
    with pytest.raises(ImageFailure, match=reason):
        estimateCTF([image], SETTINGS)


def testLimitsThatLeaveNothing():
    with pytest.raises(ImageFailure, match="pixels of the spectrum lie between"):
        estimateCTF([simulate(15000, 14500, 35)], replace(SETTINGS, resmin=5.0))


def testSpectrumOfWhiteNoiseIsFlatAndMagnified():
    noise = np.random.default_rng(2).normal(100, 7, (1000, 1500))
    spectrum = amplitude.calcAmplitudeSpectra(noise, 0.7, [256])[0]
    assert spectrum.values.shape == (256, 129)
    assert spectrum.pixelsize == pytest.approx(1.4)
    middle = spectrum.values[140:250, 10:120]
    assert middle.mean() == pytest.approx(7 * math.sqrt(math.pi) / 2, rel=0.05)  # mean of a Rayleigh distribution
    assert amplitude.calcAmplitudeSpectra(noise, 0.7, [256], resample=False)[0].pixelsize == 0.7
