"""The four pictures: each is there, of its size, shows what it should, and leaves nothing behind."""

from __future__ import annotations

import threading
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
    pictures,
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
    picture = readColours(tmp_path / "a.png")
    assert picture.shape == (1440, 1920, 3)
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert np.ptp(picture, axis=(0, 1)).min() > 250


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


def constructAverages(highest: float = 0.5) -> np.ndarray:
    frequency = np.linspace(0, highest, 200)
    wave = np.sin(300 * np.square(frequency)) ** 2
    return np.array([frequency, wave, 0.2 * wave, wave, 1 - frequency, 0.1 + 0 * frequency])


def test_rotationalAverage(tmp_path):
    drawAverageRotation(tmp_path / "a.png", constructAverages())
    picture = readColours(tmp_path / "a.png")
    assert picture.shape == (500, 1000, 3)
    assert np.count_nonzero(picture.min(axis=2) < 128) > 5000


def test_nothingOfTheOneBeforeIsLeftInAPicture(tmp_path, monkeypatch):
    """Axes are used again: after other ranges, a fit that was not judged and one that broke off, all is as at first."""
    monkeypatch.setattr(pictures, "_ready", threading.local())
    micrograph = simulateMicrograph((700, 800), 2.5, 2.4e-6, 2.0e-6, 40.0)
    another = calcCTFAnalysis(micrograph, 2.5, 2.0e-6, 2.4e-6, 0.7, 2.7, 300e3, 0.07)
    assert another.judged is not None

    def draw(name, analysis, averages):
        folder = tmp_path / name
        folder.mkdir()
        drawPowerSpectrum(folder / "powerspec.jpg", analysis)
        drawPlots(folder / "plots.png", analysis)
        drawAverageRotation(folder / "averages.png", averages)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = draw("first", constructAnalysis(), constructAverages())
    second = draw("second", another, constructAverages(0.2))
    assert all(second[name] != first[name] for name in first)
    draw("unjudged", constructAnalysis(1e-7, 1.1e-7), constructAverages())
    with pytest.raises(OSError, match="nowhere"):
        drawPlots(tmp_path / "nowhere" / "plots.png", another)
    assert len(vars(pictures._ready)) == 2
    assert draw("again", constructAnalysis(), constructAverages()) == first
    assert draw("once more", constructAnalysis(), constructAverages()) == first
