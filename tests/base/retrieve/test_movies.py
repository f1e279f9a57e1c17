"""Movies of every format read the same; broken ones are told apart from unfinished ones."""

from __future__ import annotations

import struct

import mrcfile
import numpy as np
import pytest
import tifffile

from appion.base.failures import ImageFailure, NotReady
from appion.base.retrieve.movies import readFrames, readMovieHeader
from tests.motioncorrection.movies import writeEER

COUNTS = np.random.default_rng(0).poisson(2, (5, 33, 48)).astype(np.uint8)


def writeMrc(path, data, mode=None):
    with mrcfile.new(path) as mrc:
        mrc.set_data(data)
        mrc.voxel_size = 1.5
    if mode == 101:
        packed = (COUNTS[:, :, 0::2] & 15) | (COUNTS[:, :, 1::2] << 4)
        head = bytearray(path.read_bytes()[:1024])
        head[12:16] = struct.pack("<i", 101)
        path.write_bytes(bytes(head) + packed.tobytes())


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "uint16", "float16", "packed"])
def test_mrc_modes(tmp_path, dtype):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int8" if dtype == "packed" else dtype), 101 if dtype == "packed" else None)
    header = readMovieHeader(path)
    assert (header.format, header.nframes, header.shape) == ("mrc", 5, (33, 48))
    assert header.expected_size == path.stat().st_size
    assert header.pixelsize == pytest.approx(1.5)
    np.testing.assert_array_equal(np.array(list(readFrames(header))), COUNTS)
    pair, rest = readFrames(header, [(0, 1), (2, 3, 4)])
    np.testing.assert_array_equal(pair, COUNTS[:2].sum(axis=0))
    np.testing.assert_array_equal(rest, COUNTS[2:].sum(axis=0))


@pytest.mark.parametrize(("flags", "expected"), [(0, 200), (1, -56), (None, -56)])
def test_bytes_of_imod_are_unsigned(tmp_path, flags, expected):
    """The standard's bytes are signed; IMOD and SerialEM leave a stamp and mean unsigned ones, unless a flag is set."""
    path = tmp_path / "movie.mrc"
    writeMrc(path, np.full((2, 8, 8), 200, np.uint8).view(np.int8))
    if flags is not None:
        content = bytearray(path.read_bytes())
        content[152:160] = struct.pack("<2i", 1146047817, flags)
        path.write_bytes(bytes(content))
    header = readMovieHeader(path)
    assert {int(frame[0, 0]) for frame in readFrames(header)} == {expected}
    assert next(readFrames(header, [(0, 1)]))[0, 0] == 2 * expected


def test_sums_of_many_full_bytes_do_not_overflow(tmp_path):
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(260):
            tiff.write(np.full((4, 4), 255, np.uint8), contiguous=False)
    assert (next(readFrames(readMovieHeader(path), [range(260)])) == 260 * 255).all()


def test_mrc_big_endian(tmp_path):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    little = path.read_bytes()
    head = np.frombuffer(little[:208], "<i4").astype(">i4").tobytes() + b"MAP \x11\x11\0\0" + little[216:1024]
    path.write_bytes(head + COUNTS.astype(">i2").tobytes())
    np.testing.assert_array_equal(np.array(list(readFrames(readMovieHeader(path)))), COUNTS)


@pytest.mark.parametrize(("dtype", "compression", "bigtiff"), [
    ("uint8", None, False), ("uint8", "lzw", True), ("uint16", "zlib", False), ("float32", None, True)])
def test_tiff(tmp_path, dtype, compression, bigtiff):
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as tiff:
        for frame in COUNTS.astype(dtype):
            tiff.write(frame, compression=compression, contiguous=False, rowsperstrip=16)
    header = readMovieHeader(path)
    assert (header.format, header.nframes, header.shape, header.dtype) == ("tif", 5, (33, 48), dtype)
    np.testing.assert_array_equal(np.array(list(readFrames(header))), COUNTS)
    for cut in (1, 700, path.stat().st_size - 9):
        short = tmp_path / "short.tif"
        short.write_bytes(path.read_bytes()[:-cut])
        with pytest.raises(NotReady):
            readMovieHeader(short)


@pytest.mark.parametrize("compression", [65000, 65001, 65002])
def test_eer(tmp_path, compression):
    rng = np.random.default_rng(1)
    events = (rng.random((6, 32, 32)) < 0.02).astype(np.uint8)
    events[0, 0, 0] = events[1, -1, -1] = 1
    places = rng.integers(0, 16, events.shape)
    path = tmp_path / "movie.eer"
    writeEER(path, events, compression, places)
    header = readMovieHeader(path)
    assert (header.format, header.nframes, header.shape) == ("eer", 6, (32, 32))
    np.testing.assert_array_equal(np.array(list(readFrames(header, threads=2))), events)
    np.testing.assert_array_equal(next(readFrames(header, [range(6)])), events.sum(axis=0))
    for sampling, factor, bits in ((2, 2, 1), (3, 4, 0)):
        fine = np.zeros((32 * factor, 32 * factor), int)
        for i, row, col in np.argwhere(events):
            x, y = places[i, row, col] & 3, places[i, row, col] >> 2
            fine[row * factor + (y >> bits), col * factor + (x >> bits)] += 1
        np.testing.assert_array_equal(next(readFrames(header, [range(6)], sampling)), fine)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(NotReady, match="truncated"):
        readMovieHeader(path)


def test_eer_agrees_with_tifffile(tmp_path):
    events = (np.random.default_rng(2).random((3, 64, 64)) < 0.1).astype(np.uint8)
    events[:, -1, -1] = 1
    path = tmp_path / "movie.eer"
    writeEER(path, events)
    with tifffile.TiffFile(path) as tiff:
        np.testing.assert_array_equal([page.asarray() for page in tiff.pages], events.astype(bool))


def test_unfinished_mrc(tmp_path):
    path = tmp_path / "movie.mrc"
    with pytest.raises(NotReady, match="no such file"):
        readMovieHeader(path)
    writeMrc(path, COUNTS.astype("int16"))
    whole = path.read_bytes()
    for content in (b"", whole[:500], bytes(2000), whole[:-1], whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(NotReady):
            readMovieHeader(path)


@pytest.mark.parametrize("change", [(8, 0), (12, 4), (0, -5), (0, 0)])
def test_never_a_movie(tmp_path, change):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    content = bytearray(path.read_bytes())
    content[change[0] : change[0] + 4] = struct.pack("<i", change[1])
    path.write_bytes(bytes(content))
    with pytest.raises(ImageFailure):
        readMovieHeader(path)


def test_other_files(tmp_path):
    path = tmp_path / "notes.mrc"
    path.write_text("not a movie\n" * 200)
    with pytest.raises(ImageFailure):
        readMovieHeader(path)
    tifffile.imwrite(tmp_path / "colour.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    with pytest.raises(ImageFailure):
        readMovieHeader(tmp_path / "colour.tif")
