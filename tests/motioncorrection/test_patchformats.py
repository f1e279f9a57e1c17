"""-Patch with movies of every format, references, finer frames, and frames that are left out or aligned in groups."""

from __future__ import annotations

import mrcfile
import numpy as np
import pytest
import tifffile

from appion.demo.writers import writeMovie as writeQuickly
from appion.motioncorrection.calc.external.log import parseMotionCorLog, parsePatchShifts
from appion.motioncorrection.calc.internal.correct import spreadShifts
from tests.motioncorrection.movies import calcRMS, makeLocalFrames, writeEER
from tests.motioncorrection.test_motioncorcpu import keepEnvironment, run, writeMovie

pytestmark = pytest.mark.usefixtures(keepEnvironment.__name__)
#: Centres of as many patches each way are every other of the places at which the motion is known.
PATCHES = "-Patch", 4, 4
#: Raw frames of which a frame is made; no pixel has as many electrons.
RAW = 6


@pytest.fixture(scope="module")
def movie():
    """Eight frames of 380 x 320 pixels, as many electrons of them as raw frames can hold."""
    frames, drift, local = makeLocalFrames(320, 8, 0.5, 5, 3, cols=380, dose=1.5)
    return np.minimum(frames, RAW), drift, local


def readField(out):
    """Return the shifts (frames, 2) and those of the patches beyond them, (frames, 2, rows, columns)."""
    patches = np.array(parsePatchShifts(out))[:, :, 2:]
    return np.array(parseMotionCorLog(out)), np.moveaxis(patches.reshape(4, 4, -1, 2), (0, 1), (2, 3))


def calcLeft(out, drift, local, frames=slice(None)):
    """Return the root mean square of the motion that is left, pixels, each place's mean removed."""
    shifts, field = readField(out)
    left = shifts[:, :, None, None] + field + drift[frames, :, None, None] + local[frames, :, 1::2, 1::2]
    return 2**0.5 * calcRMS(left - left.mean(axis=0))


def correct(tmp_path, capsys, *words):
    """Run with patches; return what was printed and the sums."""
    code, out, err = run(tmp_path, capsys, *words, *PATCHES)
    assert (code, err) == (0, "")
    return out, [mrcfile.read(path) for name in ("sum.mrc", "sum_DW.mrc") if (path := tmp_path / name).exists()]


def splitFrames(frames):
    """Return raw frames (RAW of each, of 0 and 1) that add up to the frames."""
    return (frames[:, None] > np.arange(RAW)[:, None, None]).reshape(-1, *frames.shape[1:]).astype(np.uint8)


def test_formats_have_the_same_field(tmp_path, capsys, movie):
    frames, drift, local = movie
    writeMovie(tmp_path / "movie.mrc", frames)
    tifffile.imwrite(tmp_path / "movie.tif", frames, compression="lzw", photometric="minisblack")
    writeQuickly(tmp_path / "movie.eer", splitFrames(frames))
    (tmp_path / "int.txt").write_text(f"{8 * RAW}\t{RAW}\t0.200\n")
    words = "-PixSize", 1
    out, sums = correct(tmp_path, capsys, "-InMrc", tmp_path / "movie.mrc", *words, "-FmDose", 0.2 * RAW)
    assert calcLeft(out, drift, local) < 0.25
    assert len(sums) == 2
    for more in (("-InTiff", tmp_path / "movie.tif", "-FmDose", 0.2 * RAW),
                 ("-InEer", tmp_path / "movie.eer", "-FmIntFile", tmp_path / "int.txt")):
        again, images = correct(tmp_path, capsys, *words, *more)
        for one, other in zip(readField(again), readField(out), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-3)
        np.testing.assert_allclose(images, sums, atol=1e-3)


def test_finer_events(tmp_path, capsys):
    """Where in its pixel an electron was makes frames twice as fine; all that is told is in pixels of theirs."""
    fine, drift, local = makeLocalFrames(512, 8, 0.6, 6, 4, dose=0.5)
    owners = np.random.default_rng(1).integers(0, 4, fine.shape)
    seen = (owners[:, None] == np.arange(4)[:, None, None]) & (fine > 0)[:, None]
    quarters = seen.reshape(32, 256, 2, 256, 2).swapaxes(2, 3).reshape(32, 256, 256, 4)
    first = quarters.argmax(axis=-1)
    # Two bits each way, of which the upper ones count: x below y.
    writeEER(tmp_path / "movie.eer", quarters.any(axis=-1), places=(first % 2 << 1) + (first // 2 << 3))
    (tmp_path / "int.txt").write_text("32 4 0.1\n")
    words = "-InEer", tmp_path / "movie.eer", "-FmIntFile", tmp_path / "int.txt"
    out, sums = correct(tmp_path, capsys, *words, "-EerSampling", 2, "-FtBin", 2)
    assert calcLeft(out, drift, local) < 0.3
    assert sums[0].shape == (256, 256)
    out, _ = correct(tmp_path, capsys, *words)
    assert calcLeft(out, drift / 2, local / 2) < 0.2


def test_references_and_defects(tmp_path, capsys, movie):
    """A movie spoilt by gain, dark and dead pixels has the field of the unspoilt one, however its references lie."""
    frames, drift, local = movie
    rng = np.random.default_rng(2)
    gain = rng.choice([0.5, 1, 2], frames[0].shape).astype(np.float32)
    dark = rng.normal(3, 0.5, frames[0].shape).astype(np.float32)
    out, sums = correct(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "plain.mrc", frames, "float32"))
    spoilt = writeMovie(tmp_path / "spoilt.mrc", frames / gain + dark, "float32")
    for name, image in (("gain", gain), ("dark", dark)):
        mrcfile.write(tmp_path / f"{name}.mrc", np.ascontiguousarray(np.rot90(np.fliplr(image))))
    again, images = correct(tmp_path, capsys, "-InMrc", spoilt, "-Gain", tmp_path / "gain.mrc", "-Dark",
                            tmp_path / "dark.mrc", "-RotGain", 1, "-FlipGain", 2)
    for one, other in zip(readField(again), readField(out), strict=True):
        np.testing.assert_allclose(one, other, atol=5e-3)
    assert calcRMS(images[0] - sums[0]) < 0.02 * sums[0].std()

    bad = frames.copy()
    bad[:, :, 33] = 100
    bad[:, 50:60, 70:75] = 90
    mask = np.zeros(frames[0].shape, np.int8)
    mask[:, 33] = mask[50:60, 70:75] = 1
    mrcfile.write(tmp_path / "map.mrc", mask)
    source = writeMovie(tmp_path / "bad.mrc", bad)
    out, images = correct(tmp_path, capsys, "-InMrc", source, "-DefectMap", tmp_path / "map.mrc")
    assert calcLeft(out, drift, local) < 0.25
    assert images[0].max() < 100


def test_super_resolution(tmp_path, capsys, movie):
    """A smaller sum has the same field, and is what Fourier cropping leaves of the large one."""
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    out, (large,) = correct(tmp_path, capsys, "-InMrc", source)
    again, (small,) = correct(tmp_path, capsys, "-InMrc", source, "-FtBin", 2)
    for one, other in zip(readField(again), readField(out), strict=True):
        np.testing.assert_array_equal(one, other)
    kept = np.fft.fftshift(np.fft.fft2(large))[80:240, 95:285][1:, 1:]
    found = np.fft.fftshift(np.fft.fft2(small))[1:, 1:]
    np.testing.assert_allclose(found, kept / 4, atol=2e-3 * np.abs(kept[:60]).max())


@pytest.mark.parametrize(("words", "frames"), [
    (("-Throw", 2), slice(2, None)),
    (("-Trunc", 3), slice(None, 5)),
    (("-Throw", 1, "-Trunc", 1, "-FmRef", 5), slice(1, 7)),
])
def test_frames_that_are_left_out(tmp_path, capsys, movie, words, frames):
    counts, drift, local = movie
    out, _ = correct(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "movie.mrc", counts), *words)
    shifts, field = readField(out)
    assert len(shifts) == len(drift[frames])
    zero = 3 if "-FmRef" in words else 0
    assert not shifts[zero].any()
    assert not field[zero].any()
    assert calcLeft(out, drift, local, frames) < 0.25


def test_frames_that_are_aligned_together(tmp_path, capsys):
    """What is left is what lies beside lines between the middles of two frames each."""
    counts, drift, local = makeLocalFrames(320, 12, 0.5, 5, 3, cols=380, dose=1.5)
    out, _ = correct(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "movie.mrc", counts), "-Group", 2)
    motion = (drift[:, :, None, None] + local[:, :, 1::2, 1::2]).reshape(12, -1)
    groups = [(first, first + 2) for first in range(0, 12, 2)]
    beside = motion - spreadShifts(motion.reshape(6, 2, -1).mean(axis=1), groups)
    assert calcLeft(out, drift, local) < 2**0.5 * calcRMS(beside - beside.mean(axis=0)) + 0.2


def test_both_sums_share_the_field(tmp_path, capsys, movie):
    """Where the dose is next to nothing the weighted sum is the plain one."""
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    out, sums = correct(tmp_path, capsys, "-InMrc", source, "-PixSize", 1, "-FmDose", 1e-3)
    assert readField(out)[1].any()
    np.testing.assert_allclose(*sums, atol=1e-3 * sums[0].std())


def test_odd_sizes(tmp_path, capsys):
    frames, drift, local = makeLocalFrames(307, 8, 0.5, 5, 5, cols=361)
    out, sums = correct(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "movie.mrc", frames), "-FtBin", 1.7)
    assert calcLeft(out, drift, local) < 0.25
    assert sums[0].shape == (180, 212)


@pytest.mark.parametrize("nframes", [1, 2, 3, 4])
def test_very_few_frames(tmp_path, capsys, movie, nframes):
    """Two frames that bend are one of them bent: nothing is bent. Three are corrected, or are as they were."""
    counts, drift, local = (values[:nframes] for values in movie)
    out, sums = correct(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "movie.mrc", counts))
    shifts, field = readField(out)
    assert shifts.shape == (nframes, 2)
    if nframes < 3:
        assert not field.any()
    whole = shifts[:, :, None, None] + drift[:, :, None, None] + local[:, :, 1::2, 1::2]
    assert calcLeft(out, drift, local) < 2**0.5 * calcRMS(whole - whole.mean(axis=0)) + 0.02
    assert sums[0].mean() == pytest.approx(counts.sum(axis=0).mean(), rel=1e-3)
