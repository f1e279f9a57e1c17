"""Memory that the correction of local motion takes: no more for many frames than for some."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from appion.motioncorrection.calc.internal import bands, correct, localfit
from appion.motioncorrection.cli import motioncorcpu
from tests.motioncorrection.movies import calcLocalError, calcRMS, makeLocalFrames
from tests.motioncorrection.test_motioncorcpu import run

BFACTOR = 300.0
#: Into how many frames each is divided.
PARTS = 4


@pytest.fixture(scope="module")
def movie():
    return makeLocalFrames(320, 12, 0.5, 4, 1, dose=8)


def divideFrames(frames):
    """Return PARTS times as many frames: each electron goes into one of them."""
    rng = np.random.default_rng(1)
    left, made = frames.copy(), []
    for part in range(PARTS, 0, -1):
        taken = rng.binomial(left, 1 / part).astype(np.uint8)
        left = left - taken
        made.append(taken)
    return np.stack(made, axis=1).reshape(-1, *frames.shape[1:])


def measure(frames, monkeypatch):
    """Return what was found, the lines that were said, and the bytes of what is kept of all frames."""
    lines: list[str] = []
    kept: list[int] = []
    fit = localfit.fitField

    def watch(band, *rest):
        kept.append(band.transforms.nbytes)
        return fit(band, *rest)

    monkeypatch.setattr(localfit, "fitField", watch)
    correction = correct.Correction(frames[0].shape, len(frames), patches=(5, 5), bfactor=BFACTOR)
    found = correct.correctMovie(lambda: iter(frames), correction, lines.append)
    monkeypatch.setattr(localfit, "fitField", fit)
    return found, "\n".join(lines), kept[0]


def test_memory_does_not_grow_with_the_number_of_frames(movie, monkeypatch):
    """Four times as many frames take what some take, and their field is found as well; else they are grouped."""
    frames, drift, local = movie
    band = np.prod(bands.calcBandShape(frames[0].shape, BFACTOR)) * 4
    monkeypatch.setattr(bands, "MOST_BYTES", len(frames) * band * 1.1)
    found, said, some = measure(frames, monkeypatch)
    assert "to save memory" not in said
    assert calcRMS(calcLocalError(found.shifts, found.field, drift, local)) < 0.15
    found, said, many = measure(divideFrames(frames), monkeypatch)
    assert many < 1.15 * some
    assert "to save memory" in said
    assert "in groups" not in said
    drift, local = np.repeat(drift, PARTS, axis=0), np.repeat(local, PARTS, axis=0)
    assert calcRMS(calcLocalError(found.shifts, found.field, drift, local)) < 0.25
    monkeypatch.setattr(bands, "MOST_BYTES", len(frames) * band / 8)
    found, said, least = measure(frames, monkeypatch)
    assert least < some / 6
    assert "in groups of 2" in said
    assert len(found.shifts) == len(frames)


def test_frames_of_a_camera_have_all_that_is_asked_for():
    for shape, nframes in (((4096, 4096), 40), ((4092, 5760), 50)):
        assert bands.calcBandShape(shape, 500, nframes) == bands.calcBandShape(shape, 500)
        assert bands.calcGroupSize(shape, 500, nframes) == 1
    assert bands.calcGroupSize((4096, 4096), 500, 40, 3) == 3
    for nframes in (1, 100, 10_000):
        size = bands.calcGroupSize((8184, 11520), 500, nframes)
        cropped = bands.calcBandShape((8184, 11520), 500, nframes // size)
        assert nframes // size * np.prod(cropped) * 4 < 1.02 * bands.MOST_BYTES


def test_decoded_frames_are_kept_only_as_far_as_there_is_room(tmp_path, capsys, monkeypatch, movie):
    """Whether decoded frames are kept packed or decoded anew makes no difference."""
    tifffile.imwrite(tmp_path / "movie.tif", movie[0][:6], compression="lzw", photometric="minisblack")
    outputs = []
    for most in (motioncorcpu.KEPT_BYTES, 400_000):
        monkeypatch.setattr(motioncorcpu, "KEPT_BYTES", most)
        code, out, err = run(tmp_path, capsys, "-InTiff", tmp_path / "movie.tif", "-Patch", 4, 4)
        assert (code, err) == (0, "")
        outputs.append(out.partition("Computation time")[0])
    assert outputs[0] == outputs[1]
