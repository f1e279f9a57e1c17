"""The simulated microscope tells the truth about itself."""

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from appion.demo.detector import (
    calcDefectMask,
    calcHotMask,
    calcPicture,
    constructDetector,
    convertAxisToLeginon,
    convertToLeginon,
    convertToRaw,
)
from appion.demo.physics import Optics, calcCTF, calcDrift, calcWavelength
from appion.demo.simulate import Exposure, calcTrueImage, simulateMovie
from appion.demo.writers import encodeMovie, growMovie, writeMovie

TURNS = [(flip, rotate) for flip in (False, True) for rotate in range(4)]
SMALL = Exposure(shape=(96, 128), nframes=4, dose=2.0, diameter=40.0, seed=3)


def testWavelengthAt300kV():
    assert calcWavelength(300.0) == pytest.approx(0.019687, abs=2e-6)


def testFirstZeroOfTheTransferFunction():
    """Without Cs, amplitude contrast and astigmatism the first zero is where λΔfk² = 1."""
    optics = Optics(cs=0.0, amplitude_contrast=0.0, defocus1=10000.0, defocus2=10000.0)
    row = calcCTF((4, 4096), 1.0, optics)[0]
    first = np.flatnonzero(np.diff(np.sign(row[2:])))[0] + 2
    assert first / 4096 == pytest.approx((calcWavelength(300.0) * 10000.0) ** -0.5, rel=0.01)


def testAstigmatismPointsWhereItShould():
    """The larger defocus lies along its angle: rings are tighter there."""
    ctf = calcCTF((512, 512), 2.0, Optics(defocus1=20000.0, defocus2=10000.0, angle=0.0))
    zeros = [np.flatnonzero(np.diff(np.sign(line[2:])))[0] for line in (ctf[0], ctf[:256, 0])]
    assert zeros[0] < zeros[1]


def testDriftStartsAtZeroDecaysAndEndsFarAway():
    drift = calcDrift(40, np.random.default_rng(0), total=20.0, decay=5.0, jitter=0.0)
    steps = np.hypot(*np.diff(drift, axis=0).T)
    assert np.all(drift[0] == 0)
    assert 15 < np.hypot(*drift[-1]) <= 20.1
    assert steps[0] > 5 * steps[-10:].mean()


@pytest.mark.parametrize(("flip", "rotate"), TURNS)
def testLeginonOrientationComesBack(flip, rotate):
    image = np.arange(12).reshape(3, 4)
    raw = convertToRaw(image, flip, rotate)
    expected = np.rot90(image, -rotate)
    assert np.array_equal(raw, np.flipud(expected) if flip else expected)
    assert np.array_equal(convertToLeginon(raw, flip, rotate), image)


@pytest.mark.parametrize(("flip", "rotate"), TURNS)
def testAnAxisTurnsWithItsImage(flip, rotate):
    y, x = np.indices((9, 9)) - 4
    slope = convertToLeginon(x * np.cos(np.radians(20)) + y * np.sin(np.radians(20)), flip, rotate)
    along_rows, along_columns = np.gradient(slope)
    expected = np.degrees(np.arctan2(along_rows[4, 4], along_columns[4, 4]))
    difference = convertAxisToLeginon(20.0, flip, rotate) - expected
    assert abs((difference + 90) % 180 - 90) < 1e-6


@pytest.mark.parametrize(("flip", "rotate"), TURNS)
def testGainLiesOnTheFramesAsItShould(flip, rotate):
    """A flat exposure, summed and multiplied by the gain in Leginon's orientation, is flat; otherwise it is not."""
    detector = constructDetector((48, 64), 1, flip, rotate)
    exposure = Exposure(shape=detector.raw_shape, nframes=50, dose=20.0, contrast=0.0)
    frames, _ = simulateMovie(exposure, detector)
    picture = calcPicture(frames, detector)
    good = ~calcHotMask(detector)
    assert picture[good].std() < 1.3 * (50 * 20.0) ** 0.5
    untreated = convertToLeginon(frames.sum(axis=0), flip, rotate)
    assert untreated[good & ~calcDefectMask(detector)].std() > 2 * picture[good].std()


def testCountsArePoisson():
    frames, truth = simulateMovie(Exposure(shape=(256, 256), nframes=8, dose=1.5, pixelsize=0.8, contrast=0.0))
    mean = 1.5 * 0.8**2
    assert frames.mean() == pytest.approx(mean, rel=0.01)
    assert frames.var() == pytest.approx(mean, rel=0.02)
    assert truth.total_dose == pytest.approx(12.0)


def testDeadPixelsNeverCountAndHotOnesAlways():
    detector = constructDetector((96, 128), 5)
    frames, _ = simulateMovie(SMALL, detector)
    assert not frames[:, calcDefectMask(detector)].any()
    assert frames[:, calcHotMask(detector) & ~calcDefectMask(detector)].min() > 10


def testTheSpecimenMovesAsTheTruthSays():
    """Cross-correlation of the images without noise peaks at the difference of the true positions."""
    exposure = Exposure(shape=(256, 256), nframes=6, drift_total=9.0, drift_jitter=0.0, seed=2)
    _, truth = simulateMovie(exposure)
    first, last = calcTrueImage(exposure, 0), calcTrueImage(exposure, 5)
    window = np.outer(np.hanning(256), np.hanning(256))
    product = np.fft.fft2(last * window) * np.conj(np.fft.fft2(first * window))
    y, x = np.unravel_index(np.argmax(np.fft.ifft2(product).real), (256, 256))
    moved = ((x + 128) % 256 - 128, (y + 128) % 256 - 128)
    assert np.allclose(moved, truth.drift[5], atol=0.7)


def testSameSeedSameMovieWhateverTheThreads():
    one, _ = simulateMovie(SMALL, threads=1)
    three, _ = simulateMovie(SMALL, threads=3)
    assert np.array_equal(one, three)


def testWrongCameraIsRefused():
    with pytest.raises(ValueError, match="make them equal"):
        simulateMovie(SMALL, constructDetector((64, 64)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.float32])
@pytest.mark.parametrize("kind", ["mrc", "tif"])
def testMoviesReadBackAsTheyWere(tmp_path, kind, dtype):
    frames = simulateMovie(SMALL)[0].astype(dtype)
    path = writeMovie(tmp_path / f"a.frames.{kind}", frames, pixelsize=0.83)
    if kind == "mrc":
        with mrcfile.open(path) as mrc:
            data, pixelsize = mrc.data.copy(), float(mrc.voxel_size.x)
        assert pixelsize == pytest.approx(0.83)
    else:
        data = tifffile.imread(path)
    assert np.array_equal(data, frames)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 1000))
def testEerReadsBackAsItWas(rows, cols, density, seed):
    imagecodecs = pytest.importorskip("imagecodecs")
    frame = (np.random.default_rng(seed).random((rows, cols)) < density).astype(np.uint8)
    from appion.demo.writers import encodeElectrons

    data = encodeElectrons(np.flatnonzero(frame), frame.size)
    assert np.array_equal(imagecodecs.eer_decode(data, frame.shape, 7, 2, 2), frame)


def testEerFileHasADirectoryForEachFrame(tmp_path):
    frames = simulateMovie(SMALL)[0]
    path = writeMovie(tmp_path / "a.frames.eer", frames)
    with tifffile.TiffFile(path) as tif:
        assert np.array_equal(np.stack([page.asarray() for page in tif.pages]), frames > 0)


def testUnknownFormatIsRefused():
    with pytest.raises(ValueError, match="mrc, tif, eer"):
        encodeMovie(np.zeros((1, 2, 2), np.uint8), "dm4")


def testAFileGrowsAndMayStayTruncated(tmp_path):
    data = bytes(range(256)) * 10
    growMovie(tmp_path / "whole", data, seconds=0.0, steps=7)
    growMovie(tmp_path / "half", data, seconds=0.0, stop_at=0.5)
    assert (tmp_path / "whole").read_bytes() == data
    assert (tmp_path / "half").read_bytes() == data[: len(data) // 2]
