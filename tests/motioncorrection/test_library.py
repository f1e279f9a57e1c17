"""correctMovie: what it writes, what it passes on, what it refuses."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from appion import correctMovie
from appion.base.failures import ConfigurationFailure, ImageFailure, NotReady
from appion.demo.writers import writeMovie
from tests.motioncorrection.test_external import FAKE, makeScene

SHAPE = (48, 64)


def saveMrc(path, array):
    with mrcfile.new(path) as mrc:
        mrc.set_data(array)
    return str(path)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a program, a movie, and a place for temporary files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    script = tmp_path / "motioncor2"
    script.write_text(
        f'#!/bin/sh\necho "threads: $OMP_NUM_THREADS"\nKIND=motioncor2 exec {sys.executable} {FAKE} "$@"\n'
    )
    script.chmod(0o755)
    writeMovie(tmp_path / "movie.mrc", np.array([makeScene(SHAPE)] * 10).astype(np.uint8))
    return tmp_path


def correct(place, output="sums/a.mrc", **changes):
    return correctMovie("movie.mrc", output, **{"pixelsize": 1.5, "program": place / "motioncor2", **changes})


def readFlag(result, flag):
    return result.argv[result.argv.index(flag) + 1]


def test_sumAndItsNeighbours(place):
    result = correct(place, dose_per_frame=1.2, voltage=200, threads=3)
    assert sorted(path.name for path in (place / "sums").iterdir()) == [
        "a.mrc", "a_DW.mrc", "a_log.txt", "a_shifts.txt"
    ]  # fmt: skip
    with mrcfile.open("sums/a.mrc") as mrc:
        np.testing.assert_array_equal(mrc.data, 10 * makeScene(SHAPE))
        assert mrc.voxel_size.x == pytest.approx(1.5)
    assert (result.sum_file, result.dw_file) == (str(place / "sums/a.mrc"), str(place / "sums/a_DW.mrc"))
    assert (result.params.nframes, result.params.totaldose) == (10, pytest.approx(12.0))
    assert (readFlag(result, "-FmDose"), readFlag(result, "-kV"), readFlag(result, "-PixSize")) == (
        "1.200", "200", "1.500"
    )  # fmt: skip
    assert "threads: 3" in Path(result.program_log_file).read_text()
    assert result.warnings == ()
    assert list((place / "temporary").iterdir()) == []


def test_withoutDoseNothingIsWeighted(place, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    result = correct(place, patches=(7, 5), group=2, first_frame=1, frames=8, gpu=3, iterations=9, bfactor=300)
    assert "-FmDose" not in result.argv
    assert result.dw_file == ""
    assert not (place / "sums" / "a_DW.mrc").exists()
    assert "-Patch 7 5 " in " ".join(result.argv)
    assert "-Bft 300 150 " in " ".join(result.argv)
    flags = ("-Group", "-Throw", "-Trunc", "-Gpu", "-Iter")
    assert [readFlag(result, flag) for flag in flags] == ["2", "1", "1", "3", "9"]
    assert "threads: 5" in Path(result.program_log_file).read_text()


def test_references(place):
    """The program gets what it can read: 32-bit, for one frame, turned as the frames are."""
    gain = saveMrc(place / "gain.mrc", np.full(SHAPE[::-1], 2, np.int16))
    dark = saveMrc(place / "dark.mrc", np.full(SHAPE[::-1], 12, np.float32))
    bad = saveMrc(place / "bad.mrc", np.zeros(SHAPE, np.int8))
    result = correct(place, gain=gain, dark=dark, dark_frames=4, defects="bad.mrc", rotate=1, flip=True)
    assert "references/gain-" in readFlag(result, "-Gain")
    assert "references/dark-" in readFlag(result, "-Dark")
    assert (readFlag(result, "-DefectMap"), readFlag(result, "-RotGain"), readFlag(result, "-FlipGain")) == (
        bad, "1", "1"
    )  # fmt: skip
    assert mrcfile.read(result.sum_file).shape == SHAPE[::-1]  # as the gain reference lies


def test_manyAtOnce(place):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: correct(place, f"{number}/sum.mrc"), range(6)))
    for number, result in enumerate(results):
        np.testing.assert_array_equal(mrcfile.read(place / f"{number}/sum.mrc"), 10 * makeScene(SHAPE))
        assert result.sum_file == str(place / f"{number}/sum.mrc")
    assert list((place / "temporary").iterdir()) == []


def test_failuresHaveTheirClass(place, monkeypatch):
    (place / "scratch").mkdir()
    monkeypatch.setenv("FAULT", "segv")
    with pytest.raises(ImageFailure, match="SIGSEGV"):
        correct(place, scratch="scratch")
    assert [path.name for path in (place / "sums").iterdir()] == ["a_log.txt"]
    assert list((place / "scratch").iterdir()) == []
    os.truncate("movie.mrc", 5000)
    with pytest.raises(NotReady, match="5000 bytes"):
        correct(place)


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"pixelsize": 0}, "pixelsize=0 is not possible", "100 Å"),
        ({"pixelsize": 1.5e-10}, "pixelsize=1.5e-10 is", "100 Å"),
        ({"pixelsize": "1.5"}, "pixelsize='1.5' is not a number", "pixelsize=0.83"),
        ({"pixelsize": None}, "pixelsize=None is not a number", "Å"),
        ({"voltage": 300000}, "voltage=300000 is not possible", "1000 kV"),
        ({"dose_per_frame": -1.0}, "dose_per_frame=-1 is not possible", "e/Å²"),
        ({"dose_per_frame": float("nan")}, "dose_per_frame=nan is not a number", "e/Å²"),
        ({"dose_per_frame": 1.2e20}, r"dose_per_frame=1.2e\+20 is not possible: it looks like e/m²", "e/Å²"),
        ({"voltage": 0}, "voltage=0 is not possible", "voltage=300"),
        ({"voltage": -300}, "voltage=-300 is not possible", "voltage=300"),
        ({"pixelsize": 1060}, "pixelsize=1060 is not possible", "100 Å"),
        ({"bin": 1000}, "bin=1000 is not possible", "1 to 64"),
        ({"bin": 0.5}, "bin=0.5", "1 to 64"),
        ({"patches": "55"}, "patches='55' is not a number", "patches=5"),
        ({"patches": (5, 5, 5)}, r"patches=\(5, 5, 5\)", r"\(x, y\)"),
        ({"rotate": 90}, "rotate=90", "0 to 3"),
        ({"first_frame": 10}, "first_frame=10 is not possible", "0 to 9"),
        ({"first_frame": 4, "frames": 7}, "frames=7 is not possible", "1 to 6"),
        ({"frames": 2.5}, "frames=2.5 is not a whole number", "frames=10"),
        ({"threads": 0}, "threads=0", "threads=4"),
        ({"gain": "none.mrc"}, "gain=none.mrc is not a file", "path"),
        ({"gain": "small.mrc"}, "has 5 x 5 pixels, the frames have 64 x 48", "rotate"),
        ({"gain": "motioncor2.mrc"}, "gain=.*motioncor2.mrc cannot be used", "MRC or TIFF"),
        ({"dark": "small.mrc"}, "dark=small.mrc without a gain reference", "gain"),
        ({"defects": 5}, "defects=5 is not a path", "path"),
        ({"program": "motioncor9"}, "program=motioncor9: ", "motioncor-cpu"),
        ({"output": "a.tif"}, "output=a.tif", r"ends in \.mrc"),
        ({"output": "movie.mrc"}, "output=movie.mrc", "another file"),
        ({"output": "small.mrc/a.mrc"}, "output=.*the folder cannot be made", "written"),
        ({"scratch": "small.mrc"}, "scratch=small.mrc: the folder", "written"),
    ],
)
def test_whatIsImpossibleIsNamed(place, changes, reason, remedy):
    saveMrc(place / "small.mrc", np.ones((5, 5), np.float32))
    (place / "motioncor2.mrc").write_bytes(b"x" * 2000)
    with pytest.raises(ConfigurationFailure, match=reason) as caught:
        correct(place, **changes)
    assert caught.match(remedy)
    assert not list(place.glob("**/a.mrc"))


def test_movieThatIsNotThere(place):
    with pytest.raises(ConfigurationFailure, match=r"movie=other\.mrc is not a file that is there"):
        correctMovie("other.mrc", "a.mrc", pixelsize=1.0, program=place / "motioncor2")
