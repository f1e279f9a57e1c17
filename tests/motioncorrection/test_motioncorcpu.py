"""motioncor-cpu as a program: its command line, its log, its files, its exit codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from appion.base.failures import ConfigurationFailure
from appion.motioncorrection.calc.internal import integration, references
from appion.motioncorrection.cli import motioncorcpu
from appion.motioncorrection.cli.motioncortags import parseCommandLine
from tests.motioncorrection.movies import calcError, makeFrames, writeEER

ROW = re.compile(r"^\.{6} Frame \( *(\d+)\) shift: +(\S+) +(\S+)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def keepEnvironment(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")


@pytest.fixture(scope="module")
def movie():
    return makeFrames(128, 8, 0.5, seed=1, cols=160)


def run(tmp_path, capsys, *words):
    code = motioncorcpu.main([*map(str, words), "-OutMrc", str(tmp_path / "sum.mrc"), "-Bft", "150", "100"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def readShifts(log):
    return np.array([row[1:] for row in ROW.findall(log)], float)


def writeMovie(path, frames, dtype="int8"):
    with warnings.catch_warnings(action="ignore"), mrcfile.new(path) as mrc:  # of frames that are no numbers
        mrc.set_data(frames.astype(dtype))
        mrc.voxel_size = 0.9
    return path


def test_log_and_files(tmp_path, capsys, movie):
    frames, drift = movie
    source = writeMovie(tmp_path / "movie.mrc", frames)
    code, out, err = run(tmp_path, capsys, "-InMrc", source, "-PixSize", "1.1", "-kV", 300, "-FMDOSE", 1.2, "-Iter", 7,
                         "-Tol", "0.500", "-Patch", 5, 1, "-Gpu", 0, "-Group", 1, "-Throw", 2, "-throw", 5,
                         "-Nonsense", 3)
    assert (code, err) == (0, "")
    shifts = readShifts(out)
    assert len(shifts) == 6
    assert (shifts[0] == 0).all()
    assert calcError(shifts, drift[2:]) < 0.15
    lines = out.splitlines()
    start = lines.index("Full-frame alignment shift")
    assert lines[start + 1].startswith("...... Frame (  1) shift:     0.000     0.000")
    assert lines[start + 7] == ""
    assert re.search(r"^-FmDose +1\.20$", out, re.MULTILINE)
    assert re.search(r"^Iteration  1  Error: +\d+\.\d{3}$", out, re.MULTILINE)
    assert re.search(r"^Total time: \d+\.\d+ sec$", out, re.MULTILINE)
    for word in ("unknown tag -Nonsense", "-throw is given more than once", "whole frames are aligned", "no GPU"):
        assert word in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["movie.mrc", "sum.mrc", "sum_DW.mrc"]
    for name in ("sum.mrc", "sum_DW.mrc"):
        with mrcfile.open(tmp_path / name) as mrc:
            assert mrc.data.shape == (128, 160)
            assert mrc.data.dtype == np.float32
            assert mrc.voxel_size.x == pytest.approx(1.1)


def test_file_set(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    assert run(tmp_path, capsys, "-InMrc", source, "-FtBin", 2)[0] == 0
    assert not (tmp_path / "sum_DW.mrc").exists()
    with mrcfile.open(tmp_path / "sum.mrc") as mrc:
        assert mrc.data.shape == (64, 80)
        assert mrc.voxel_size.x == pytest.approx(1.8)
    assert run(tmp_path, capsys, "-InMrc", source, "-PixSize", 1, "-FmDose", 2, "-SumRange", 3, 9, "-Trunc", 1)[0] == 0
    assert (tmp_path / "sum_DW.mrc").exists()
    assert (tmp_path / "sum_DWS.mrc").exists()


@pytest.mark.parametrize("rotate", range(4))
@pytest.mark.parametrize("flip", range(3))
def test_references(tmp_path, capsys, movie, rotate, flip):
    """A movie spoilt by gain and dark gives the sum of the unspoilt one, for every orientation of the references."""
    rng = np.random.default_rng(2)
    frames = movie[0][:3].astype(np.float32)
    gain = rng.choice([0.5, 1, 2], frames[0].shape).astype(np.float32)
    dark = rng.normal(3, 0.5, frames[0].shape).astype(np.float32)
    source = writeMovie(tmp_path / "movie.mrc", frames / gain + dark, "float32")
    undo = {0: lambda a: a, 1: np.flipud, 2: np.fliplr}[flip]
    for name, image in (("gain", gain), ("dark", dark)):
        mrcfile.write(tmp_path / f"{name}.mrc", np.ascontiguousarray(np.rot90(undo(image), rotate)))
    code, _, err = run(tmp_path, capsys, "-InMrc", source, "-Gain", tmp_path / "gain.mrc", "-Dark",
                       tmp_path / "dark.mrc", "-RotGain", rotate, "-FlipGain", flip, "-Align", 0)
    assert (code, err) == (0, "")
    np.testing.assert_allclose(mrcfile.read(tmp_path / "sum.mrc"), frames.sum(axis=0), atol=0.01)


def test_defects(tmp_path, capsys, movie):
    frames, drift = movie[0].copy(), movie[1]
    frames[:, :, 30] = 100
    frames[:, 50:60, 70:75] = 90
    source = writeMovie(tmp_path / "movie.mrc", frames)
    defects = np.zeros(frames[0].shape, np.int8)
    defects[:, 30] = 1
    mrcfile.write(tmp_path / "map.mrc", defects)
    (tmp_path / "blocks.txt").write_text("# x y w h\n70 50 5 10\n")
    code, out, _ = run(tmp_path, capsys, "-InMrc", source, "-DefectMap", tmp_path / "map.mrc", "-DefectFile",
                       tmp_path / "blocks.txt")
    assert code == 0
    assert calcError(readShifts(out), drift) < 0.2
    assert mrcfile.read(tmp_path / "sum.mrc").max() < 100


def test_gain_of_half_size_and_inverted(tmp_path, capsys, movie):
    frames = movie[0][:2].astype(np.float32)
    gain = np.random.default_rng(3).uniform(0.5, 2, (64, 80)).astype(np.float32)
    source = writeMovie(tmp_path / "movie.mrc", frames * np.kron(gain, np.ones((2, 2), np.float32)), "float32")
    tifffile.imwrite(tmp_path / "gain.tif", gain)
    assert run(tmp_path, capsys, "-InMrc", source, "-Gain", tmp_path / "gain.tif", "-InvGain", 1, "-Align", 0)[0] == 0
    np.testing.assert_allclose(mrcfile.read(tmp_path / "sum.mrc"), frames.sum(axis=0), atol=0.01)


def test_formats_give_the_same(tmp_path, capsys, movie):
    frames = (movie[0] > 2).astype(np.uint8)
    writeMovie(tmp_path / "movie.mrc", frames)
    tifffile.imwrite(tmp_path / "movie.tif", frames, compression="lzw", photometric="minisblack")
    writeEER(tmp_path / "movie.eer", frames)
    (tmp_path / "int.txt").write_text("8\t2\t0.500\n")
    logs = []
    for tag, name in (("-InMrc", "movie.mrc"), ("-InTiff", "movie.tif"), ("-InEer", "movie.eer")):
        code, out, err = run(tmp_path, capsys, tag, tmp_path / name, "-FmIntFile", tmp_path / "int.txt", "-PixSize", 1,
                             "-kV", 200, "-FmDose", 1)
        assert (code, err) == (0, "")
        logs.append((readShifts(out), mrcfile.read(tmp_path / "sum_DW.mrc")))
    assert len(logs[0][0]) == 4
    for shifts, image in logs[1:]:
        np.testing.assert_array_equal(shifts, logs[0][0])
        np.testing.assert_array_equal(image, logs[0][1])


def test_finer_events(tmp_path, capsys):
    frames = (makeFrames(64, 6, 0.5, seed=4)[0] > 2).astype(np.uint8)
    writeEER(tmp_path / "movie.eer", frames)
    code, out, _ = run(tmp_path, capsys, "-InEer", tmp_path / "movie.eer", "-EerSampling", 2, "-FtBin", 2)
    assert code == 0
    assert "Rendered stack: 128  128  6" in out
    assert mrcfile.read(tmp_path / "sum.mrc").shape == (64, 64)


def test_integration():
    frames = integration.constructFrames(1539, 9, "39\t39\t0.030\n1539\t100\t0.030\n")
    assert len(frames) == 16
    assert (frames[0].last, frames[1].first, frames[-1].last) == (39, 39, 1539)
    assert sum(frame.dose for frame in frames) == pytest.approx(1539 * 0.03)
    assert integration.constructFrames(4, 1.5)[3] == integration.RenderedFrame(3, 4, 1.5)
    for text in ("", "10\n", "a b c\n", "10 0 1\n", "10 20 1\n", "10 -5 1\n", "10 5 nan\n"):
        with pytest.raises(ConfigurationFailure):
            integration.constructFrames(10, 1, text)


@pytest.mark.parametrize(("words", "code", "message"), [
    (["-InMrc", "{tmp}/none.mrc"], 3, "no such file"),
    ([], 2, "0 movies are given"),
    (["-InMrc", "{tmp}/movie.mrc", "-InTiff", "{tmp}/movie.tif"], 2, "2 movies are given"),
    (["-InMrc", "{tmp}/short.mrc"], 3, "truncated"),
    (["-InMrc", "{tmp}/empty.mrc"], 6, "0 frames"),
    (["-InMrc", "{tmp}/movie.mrc", "-Gain", "{tmp}/small.mrc"], 2, "gain reference"),
    (["-InMrc", "{tmp}/movie.mrc", "-Gain", "{tmp}/none.mrc"], 2, "cannot be read"),
    (["-InMrc", "{tmp}/movie.mrc", "-Throw", "8"], 2, "leave nothing"),
    (["-InMrc", "{tmp}/movie.mrc", "-Iter", "many"], 2, "not a number"),
    (["-InMrc", "{tmp}/movie.mrc", "-FtBin", "0.5"], 2, "FtBin"),
    (["-InMrc", "{tmp}/movie.mrc", "-FtBin", "nan"], 2, "FtBin"),
    (["-InMrc", "{tmp}/movie.mrc", "-Mag", "1.01", "1", "0"], 2, "not supported"),
    (["-InMrc", "{tmp}/movie.mrc", "-FmRef", "99"], 2, "FmRef"),
    (["-InMrc", "{tmp}/movie.mrc", "-OutMrc", "{tmp}/nowhere/sum.mrc"], 4, "cannot write"),
    (["-InMrc", "{tmp}/movie.mrc", "-OutMrc", "{tmp}/movie.mrc"], 2, "both movie and output"),
])
def test_wrong_input(tmp_path, capsys, movie, words, code, message):
    whole = writeMovie(tmp_path / "movie.mrc", movie[0]).read_bytes()
    (tmp_path / "short.mrc").write_bytes(whole[:-5000])
    (tmp_path / "empty.mrc").write_bytes(whole[:8] + bytes(4) + whole[12:1024])
    mrcfile.write(tmp_path / "small.mrc", np.ones((100, 160), np.float32))
    got, out, err = run(tmp_path, capsys, *(word.format(tmp=tmp_path) for word in words))
    assert got == code, err
    assert err.startswith("Error: ")
    assert message in err
    assert not (tmp_path / "sum.mrc").exists()
    assert "Total time" in out


@pytest.mark.parametrize(("words", "said"), [
    (["-PixSize", "1.1e-10"], "-PixSize=1.1e-10 is not possible: it looks like m, the tag wants 0.05 to 100 Å"),
    (["-PixSize", "0"], "-PixSize=0 is not possible"),
    (["-PixSize", "-1.1"], "-PixSize=-1.1 is not possible"),
    (["-PixSize", "nan"], "-PixSize=nan is not a number"),
    (["-kV", "300000"], "-kV=300000 is not possible: it looks like V, the tag wants 10 to 1000 kV"),
    (["-KV", "0"], "-kV=0 is not possible"),
    (["-kV", "inf"], "-kV=inf is not possible"),
    (["-FmDose", "1.1e20"], "-FmDose=1.1e+20 is not possible: it looks like e/m²"),
    (["-FmDose", "-1"], "-FmDose=-1 is not possible"),
    (["-InitDose", "-5"], "-InitDose=-5 is not possible"),
    (["-FtBin", "1e6"], "-FtBin=1000000 is not possible"),
    (["-RotGain", "90"], "-RotGain=90 is not possible: it looks like degrees, the tag wants 0 to 3 quarter turns"),
    (["-Cs", "0.0027"], "-Cs=0.0027 mm is next to nothing: it looks like m"),
    (["-AmpCont", "7"], "-AmpCont=7 is not possible: it looks like %"),
])
def test_values_that_cannot_be(tmp_path, capsys, movie, words, said):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    code, out, err = run(tmp_path, capsys, "-InMrc", source, *words)
    assert (code, said in err) == (2, True), err
    assert "stack" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["movie.mrc"]


def test_no_dose_is_no_error(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    assert run(tmp_path, capsys, "-InMrc", source, "-PixSize", 1, "-kV", 1000, "-FmDose", 0, "-Cs", 0)[0] == 0
    assert not (tmp_path / "sum_DW.mrc").exists()


def test_constant_movies_are_refused(tmp_path, capsys, movie):
    for i, frames in enumerate((np.zeros((4, 64, 64)), np.full((4, 64, 64), 7), np.arange(4)[:, None, None] * np.ones(
            (64, 64)))):
        code, _, err = run(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / f"{i}.mrc", frames))
        assert (code, "each of the 4 frames is constant" in err) == (6, True)
        assert not (tmp_path / "sum.mrc").exists()
    with mrcfile.new(tmp_path / "gain.mrc") as mrc:
        mrc.set_data(np.zeros((128, 160), np.float32))
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    code, _, err = run(tmp_path, capsys, "-InMrc", source, "-Gain", tmp_path / "gain.mrc")
    assert (code, "100 % of the sensor" in err) == (2, True)


@pytest.mark.parametrize(("change", "dtype", "told"), [
    (lambda frames: frames[2].fill(5), "int8", "one frame is constant: number 3"),
    (lambda frames: frames.__setitem__(slice(1, 3), frames[1:3] * 30), "int16",
     "2 frames are much brighter than the others: number 2, 3"),
    (lambda frames: frames.__setitem__(0, frames[0] / 30), "float32",
     "one frame is much darker than the others: number 1"),
    (lambda frames: frames.__setitem__(4, np.random.default_rng(1).integers(-128, 128, frames[4].shape)), "int8",
     "one frame is random bytes: number 5"),
    (lambda frames: frames.__setitem__(4, np.inf), "float32",
     "one frame is no numbers (NaN, or beyond any count): number 5"),
    (lambda frames: frames[7, :70].fill(np.nan), "float32",
     "one frame is no numbers (NaN, or beyond any count): number 8"),
])
def test_odd_frames(tmp_path, capsys, movie, change, dtype, told):
    """Warned of by number; left out on demand, when the rest gives what it would give without them."""
    frames = movie[0].astype(dtype)
    change(frames)
    source = writeMovie(tmp_path / "movie.mrc", frames, dtype)
    code, out, err = run(tmp_path, capsys, "-InMrc", source)
    assert f"Warning: {told}\n" in out
    assert (code, told in err) == ((6, True) if "no numbers" in told else (0, False))
    code, out, _ = run(tmp_path, capsys, "-InMrc", source, "-LeaveOutOdd", 1)
    assert code == 0
    assert f"Warning: {told} (left out)\n" in out
    shifts = readShifts(out)
    assert len(shifts) == 8
    odd = [int(number) - 1 for number in told.rpartition("number ")[2].split(", ")]
    kept = [i for i in range(8) if i not in odd]
    made = mrcfile.read(tmp_path / "sum.mrc")
    _, out, _ = run(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "rest.mrc", frames[kept], dtype))
    np.testing.assert_allclose(shifts[kept], readShifts(out), atol=1e-3)
    np.testing.assert_allclose(made, mrcfile.read(tmp_path / "sum.mrc"), atol=1e-3)
    for i in odd:
        if 0 < i < 7 and not {i - 1, i + 1} & set(odd):
            assert shifts[i] == pytest.approx((shifts[i - 1] + shifts[i + 1]) / 2, abs=2e-3)


def test_nothing_is_left_of_random_bytes(tmp_path, capsys):
    frames = np.random.default_rng(2).integers(0, 256, (4, 128, 128)).astype(np.uint8).view(np.int8)
    source = writeMovie(tmp_path / "movie.mrc", frames)
    code, out, _ = run(tmp_path, capsys, "-InMrc", source)
    assert code == 0
    assert "Warning: 4 frames are random bytes: number 1, 2, 3, 4\n" in out
    code, _, err = run(tmp_path, capsys, "-InMrc", source, "-LeaveOutOdd", 1)
    assert (code, "no frame of 4 is left" in err) == (6, True)
    floats = np.random.default_rng(2).integers(0, 256, (4, 64, 256)).astype(np.uint8).view("<f4")
    code, _, err = run(tmp_path, capsys, "-InMrc", writeMovie(tmp_path / "floats.mrc", floats, "float32"))
    assert (code, "no numbers" in err) == (6, True)


def test_odd_frames_and_the_rest_of_the_command_line(tmp_path, capsys, movie):
    """Numbers are those of the movie; the frame of reference is the nearest that is there; doses are as they were."""
    frames = movie[0].astype("int16")
    frames[3] *= 30
    source = writeMovie(tmp_path / "movie.mrc", frames, "int16")
    code, out, _ = run(tmp_path, capsys, "-InMrc", source, "-Throw", 1, "-FmRef", 4, "-LeaveOutOdd", 1, "-PixSize", 1,
                       "-FmDose", 2)
    assert code == 0
    assert "brighter than the others: number 4 (left out)" in out
    shifts = readShifts(out)
    assert shifts[1].tolist() == [0, 0]
    assert (tmp_path / "sum_DW.mrc").exists()


def test_a_defect_map_that_is_inverted(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    good = np.ones(movie[0][0].shape, np.int8)
    good[3, 4] = 0
    for i, (part, told) in enumerate(((good, "inverted"), ((np.arange(160) < 12) * good, "of this camera"))):
        with mrcfile.new(tmp_path / f"map{i}.mrc") as mrc:
            mrc.set_data(part.astype(np.int8))
        code, _, err = run(tmp_path, capsys, "-InMrc", source, "-DefectMap", tmp_path / f"map{i}.mrc")
        assert code == 2
        assert "of the sensor as defective" in err
        assert told in err
    (tmp_path / "defects.txt").write_text("0 0 100 128\n")
    code, _, err = run(tmp_path, capsys, "-InMrc", source, "-DefectFile", tmp_path / "defects.txt")
    assert (code, "62.5 % of the sensor" in err) == (2, True)


def test_a_gain_far_from_one_is_warned_of(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    for value, warned in ((3000, True), (0.01, True), (1.2, False)):
        with mrcfile.new(tmp_path / "gain.mrc", overwrite=True) as mrc:
            mrc.set_data(np.full(movie[0][0].shape, value, np.float32))
        code, out, _ = run(tmp_path, capsys, "-InMrc", source, "-Gain", tmp_path / "gain.mrc", "-Align", 0)
        assert (code, f"has a mean of {value} instead of about 1" in out) == (0, warned)


def test_movies_with_something_odd_about_their_file(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    with open(source, "ab") as file:
        file.write(b"x" * 100)
    code, out, _ = run(tmp_path, capsys, "-InMrc", source)
    assert (code, "Warning: 100 bytes lie behind the last pixel" in out) == (0, True)
    tifffile.imwrite(tmp_path / "movie.tif", movie[0], imagej=True)
    plain = mrcfile.read(tmp_path / "sum.mrc")
    code, out, _ = run(tmp_path, capsys, "-InTiff", tmp_path / "movie.tif")
    assert (code, "TIF stack: 160  128  8" in out) == (0, True)
    np.testing.assert_allclose(mrcfile.read(tmp_path / "sum.mrc"), plain, atol=1e-3)


def test_dark_of_another_size_is_left_out(tmp_path, capsys, movie):
    source = writeMovie(tmp_path / "movie.mrc", movie[0])
    mrcfile.write(tmp_path / "dark.mrc", np.ones((77, 99), np.float32))
    code, out, _ = run(tmp_path, capsys, "-InMrc", source, "-Dark", tmp_path / "dark.mrc", "-Align", 0)
    assert code == 0
    assert "Warning: dark reference" in out


def test_orientation_of_references():
    image = np.arange(6).reshape(2, 3)
    assert references.orientReference(image, 1, 0).tolist() == [[3, 0], [4, 1], [5, 2]]
    assert references.orientReference(image, 0, 1).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert references.orientReference(image, 0, 2).tolist() == [[2, 1, 0], [5, 4, 3]]


def test_command_line():
    command = parseCommandLine(["-fmref", "-1", "-Bft", "300", "-Patch", "7 5", "-Gpu", "0", "1"])
    assert command.get("FmRef") == -1
    assert command.values["Bft"] == (300, 100)
    assert command.values["Patch"] == (7, 5, 0)
    assert command.values["Gpu"] == (0, 1)


def test_program(tmp_path):
    """The program as a process of its own, without a place to keep compiled code, and its memory."""
    frames = (np.random.default_rng(5).random((64, 512, 512)) < 0.2).astype(np.uint8)
    writeEER(tmp_path / "movie.eer", frames[:4])
    writeMovie(tmp_path / "movie.mrc", frames)
    environment = {**os.environ, "PYTHONPATH": str(Path(motioncorcpu.__file__).parents[3]), "OMP_NUM_THREADS": "2",
                   "NUMBA_CACHE_DIR": str(tmp_path / "movie.mrc" / "impossible")}

    def start(*words):
        argv = [sys.executable, "-m", "appion.motioncorrection.cli.motioncorcpu", *words]
        with (tmp_path / "out").open("w+") as out:
            process = subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=out, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            return process.returncode, out.read(), usage.ru_maxrss

    for word in ("--version", "--help"):
        code, text, _ = start(word)
        assert code == 0
        assert "motioncor-cpu" in text
    assert start()[0] == 2
    code, text, _ = start("-InEer", "movie.eer", "-OutMrc", "sum.mrc")
    assert (code, "arning" in text) == (0, False)
    code, text, most = start("-InMrc", "movie.mrc", "-OutMrc", "sum.mrc", "-Bft", "2000", "100")
    assert (code, "arning" in text) == (0, False)
    _, _, least = start("-InMrc", "movie.mrc", "-OutMrc", "sum.mrc", "-Bft", "2000", "100", "-Trunc", "60")
    # The 60 frames that are left out here would be 60 MB as floats; alignment keeps 9 MB of them.
    assert most - least < 40_000
