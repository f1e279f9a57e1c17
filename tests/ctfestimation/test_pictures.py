"""The four pictures: each is there, of its size, shows what it should, and leaves nothing behind."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image

from appion.ctfestimation.calc.internal import (
    CTFAnalysis,
    calcCTFAnalysis,
    drawAverageRotation,
    drawDiagnostic,
    drawPlots,
    drawPowerSpectrum,
)
from tests.ctfestimation.simulated import simulateMicrograph


@cache
def constructAnalysis(defocus1: float = 1.2e-6, defocus2: float = 1.5e-6) -> CTFAnalysis:
    micrograph = simulateMicrograph((1100, 1200), 1.2, 1.2e-6, 1.5e-6, 0.0)
    return calcCTFAnalysis(micrograph, 1.2, defocus1, defocus2, 0.0, 2.7, 300e3, 0.07)


def readColours(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_plots(tmp_path):
    drawPlots(tmp_path / "a.png", constructAnalysis())
    drawPlots(tmp_path / "b.png", constructAnalysis())
    picture = readColours(tmp_path / "a.png")
    assert picture.shape == (1440, 1920, 3)
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert np.ptp(picture, axis=(0, 1)).min() > 250
    # Nothing of the first figure is left in the second.
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_spectrumShowsRingsAndAxis(tmp_path):
    drawPowerSpectrum(tmp_path / "a.jpg", constructAnalysis())
    with Image.open(tmp_path / "a.jpg") as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (1200, 1200), "RGB")
    red, green, blue = np.moveaxis(readColours(tmp_path / "a.jpg"), 2, 0)
    rows, _ = np.nonzero((red - green > 50) & (red - blue > 50))
    assert abs(np.median(rows) - 600) < 5  # the axis at 0 degrees lies along the middle row
    rings = (green - red > 40) & (green - blue > 40)
    rows, columns = np.nonzero(rings)
    # The defocus is smaller along the columns, so the rings are longer that way.
    assert np.ptp(columns[np.abs(rows - 600) < 10]) > 1.05 * np.ptp(rows[np.abs(columns - 600) < 10])


def test_spectrumThatCannotBeJudgedIsShownAllTheSame(tmp_path):
    analysis = constructAnalysis(1e-7, 1.1e-7)
    assert analysis.judged is None
    drawPlots(tmp_path / "a.png", analysis)
    drawPowerSpectrum(tmp_path / "a.jpg", analysis)
    assert readColours(tmp_path / "a.png").std() > 5
    assert readColours(tmp_path / "a.jpg").std() > 5


def test_diagnosticSpectrumIsGrey(tmp_path):
    spectrum = np.random.default_rng(0).normal(5, 2, (1, 64, 96)).astype(np.float32)
    spectrum[0, 10, 20] = 1e6
    drawDiagnostic(tmp_path / "a.jpg", spectrum)
    with Image.open(tmp_path / "a.jpg") as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (96, 64), "L")
        assert np.asarray(image)[10, 20] > 200
    with pytest.raises(ValueError, match="all pixels"):
        drawDiagnostic(tmp_path / "b.jpg", np.ones((64, 64)))
    assert not (tmp_path / "b.jpg").exists()


def test_rotationalAverage(tmp_path):
    frequency = np.linspace(0, 0.5, 200)
    wave = np.sin(300 * np.square(frequency)) ** 2
    rows = np.array([frequency, wave, 0.2 * wave, wave, 1 - frequency, 0.1 + 0 * frequency])
    drawAverageRotation(tmp_path / "a.png", rows)
    picture = readColours(tmp_path / "a.png")
    assert picture.shape == (500, 1000, 3)
    assert np.count_nonzero(picture.min(axis=2) < 128) > 5000
