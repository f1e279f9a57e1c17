"""Movies of every format read the same; broken ones are told apart from unfinished ones."""

from __future__ import annotations

import struct
import zlib

import mrcfile
import numpy as np
import pytest
import tifffile

from appion.base.failures import ConfigurationFailure, ImageFailure, NotReady
from appion.base.retrieve import movieheader
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


def changeHeader(path, *changes):
    """Write values (struct format, byte, values) into a header, and return the path."""
    content = bytearray(path.read_bytes())
    for kind, at, *values in changes:
        struct.pack_into(kind, content, at, *values)
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(("flags", "expected"), [(0, 200), (1, 72), (5, 72), (4, 200), (None, -56)])
@pytest.mark.parametrize("order", "<>")
def test_bytes_of_imod(tmp_path, flags, expected, order):
    """The standard's bytes are signed; under IMOD's stamp they are unsigned, or signed by subtracting 128."""
    path = tmp_path / "movie.mrc"
    writeMrc(path, np.full((2, 8, 8), 200, np.uint8).view(np.int8))
    if order == ">":
        head = path.read_bytes()
        path.write_bytes(np.frombuffer(head[:208], "<i4").astype(">i4").tobytes() + head[208:])
    if flags is not None:
        changeHeader(path, (order + "2i", 152, 1146047817, flags))
    header = readMovieHeader(path)
    assert {int(frame[0, 0]) for frame in readFrames(header)} == {expected}
    assert next(readFrames(header, [(0, 1)]))[0, 0] == 2 * expected
    assert ("128 was subtracted" in header.unusual) == (expected == 72)


def test_signed_bytes_of_imod_count_as_they_were_counted(tmp_path):
    path = tmp_path / "movie.mrc"
    writeMrc(path, (COUNTS.astype(int) - 128).astype(np.int8))
    changeHeader(path, ("<2i", 152, 1146047817, 1))
    np.testing.assert_array_equal(np.array(list(readFrames(readMovieHeader(path)))), COUNTS)


@pytest.mark.parametrize(("low", "high", "expected"), [(0, 200, 200), (-56, 20, -56), (0, -1, -56), (0, 1000, -56)])
def test_bytes_without_a_stamp_are_unsigned_if_the_header_proves_it(tmp_path, low, high, expected):
    path = tmp_path / "movie.mrc"
    writeMrc(path, np.full((2, 8, 8), 200, np.uint8).view(np.int8))
    changeHeader(path, ("<2f", 76, low, high))
    assert next(readFrames(readMovieHeader(path)))[0, 0] == expected


def packNibbles(counts):
    return ((counts[:, :, 0::2] & 15) | (counts[:, :, 1::2] << 4)).astype(np.uint8)


def test_nibbles_that_a_flag_marks(tmp_path):
    """The header tells the width of the bytes, not of the pixels."""
    path = tmp_path / "movie.mrc"
    writeMrc(path, packNibbles(COUNTS).view(np.int8))
    changeHeader(path, ("<2i", 152, 1146047817, 16))
    header = readMovieHeader(path)
    assert (header.nframes, header.shape) == (5, (33, 48))
    assert header.pixelsize == pytest.approx(1.5)
    assert "4-bit" in header.unusual
    np.testing.assert_array_equal(np.array(list(readFrames(header))), COUNTS)
    changeHeader(path, ("<2i", 152, 1146047817, 17))
    with pytest.raises(ImageFailure, match="packed into signed bytes"):
        readMovieHeader(path)


def test_nibbles_that_only_a_label_and_the_size_tell(tmp_path):
    path = tmp_path / "movie.mrc"
    counts = np.zeros((1, 7420, 7676), np.uint8)
    counts[0, 10, :4] = 1, 2, 3, 15
    writeMrc(path, packNibbles(counts).view(np.int8))
    changeHeader(path, ("<i", 220, 1), ("80s", 224, b"SerialEMCCD: Dose frac. image, 4 bits packed  r/f 0"))
    header = readMovieHeader(path)
    assert header.shape == (7420, 7676)
    assert next(readFrames(header))[10, :5].tolist() == [1, 2, 3, 15, 0]
    changeHeader(path, ("<i", 220, 2))  # somebody else wrote it anew
    assert readMovieHeader(path).shape == (7420, 3838)


def test_nibbles_of_an_odd_width(tmp_path):
    path = tmp_path / "movie.mrc"
    counts = COUNTS[:, :, :47] & 15
    writeMrc(path, packNibbles(np.pad(counts, ((0, 0), (0, 0), (0, 1)))).view(np.int8))
    changeHeader(path, ("<i", 0, 47), ("<i", 12, 101))
    np.testing.assert_array_equal(np.array(list(readFrames(readMovieHeader(path)))), counts)


@pytest.mark.parametrize("axes", [(2, 1, 3), (1, 3, 2), (1, -2, 3)])
def test_axes_in_another_order_are_refused(tmp_path, axes):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    changeHeader(path, ("<3i", 64, *axes))
    with pytest.raises(ImageFailure, match="axes"):
        readMovieHeader(path)
    for nonsense in ((0, 0, 0), (1, 1, 1), (77, -1, 3)):
        assert readMovieHeader(changeHeader(path, ("<3i", 64, *nonsense))).nframes == 5


@pytest.mark.parametrize("stamp", [b"map ", b"Map\0", b"    ", bytes(4), struct.pack("<f", -123.5)])
def test_a_map_stamp_that_is_not_as_it_should_be_is_warned_of(tmp_path, stamp):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    changeHeader(path, ("4s", 208, stamp))
    header = readMovieHeader(path)
    assert "map stamp" in header.warnings[0]
    np.testing.assert_array_equal(np.array(list(readFrames(header))), COUNTS)
    changeHeader(path, ("4s", 208, b"MAP\0"))
    assert readMovieHeader(path).warnings == ()


def test_another_stamp_is_believed_only_if_all_the_rest_fits(tmp_path):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    changeHeader(path, ("4s", 208, b"\x12\x34ab"))
    assert readMovieHeader(path).nframes == 5
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ImageFailure, match="map stamp"):
        readMovieHeader(path)


@pytest.mark.parametrize("extra", [1, 511, 33 * 48 * 2])
def test_bytes_behind_the_last_pixel_are_warned_of(tmp_path, extra):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    path.write_bytes(path.read_bytes() + b"x" * extra)
    header = readMovieHeader(path)
    assert header.warnings == (f"{extra} bytes lie behind the last pixel of the movie and are left out of account",)
    np.testing.assert_array_equal(np.array(list(readFrames(header))), COUNTS)


@pytest.mark.parametrize(("nsymbt", "order"), [(131072, "<"), (768, ">"), (-5, "<")])
def test_extended_headers(tmp_path, nsymbt, order):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    head = np.frombuffer(path.read_bytes()[:208], "<i4").astype(order + "i4").tobytes() + path.read_bytes()[208:1024]
    path.write_bytes(head + b"\7" * max(0, nsymbt) + COUNTS.astype(order + "i2").tobytes())
    changeHeader(path, (order + "i", 92, nsymbt))
    np.testing.assert_array_equal(np.array(list(readFrames(readMovieHeader(path)))), COUNTS)


@pytest.mark.parametrize(("cols", "rows", "nframes"), [
    (1 << 31, 1, 1), ((1 << 31) - 1, 4, 1), (1 << 16, 1 << 15, 1), (8, 8, (1 << 31) - 1), (1 << 20, 1 << 20, 5)])
def test_sizes_of_a_header_are_not_believed(tmp_path, cols, rows, nframes):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    changeHeader(path, ("<3I", 0, cols, rows, nframes))
    with pytest.raises((ImageFailure, NotReady)):
        readMovieHeader(path)


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
    path.write_bytes(b"")
    with pytest.raises(NotReady, match="empty file"):
        readMovieHeader(path)
    path.unlink()
    writeMrc(path, COUNTS.astype("int16"))
    whole = path.read_bytes()
    for content in (b"", whole[:500], bytes(2000), whole[:-1]):
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


def writeTiff(path, tags, data, order="<"):
    """Write a TIFF file of directories with the same data behind each; strips lie where tag 273 is 0."""
    out = bytearray((b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8))
    for i, fields in enumerate(tags):
        length = 2 + 12 * len(fields) + 4
        text = b"".join(value for _, value in sorted(fields.items()) if isinstance(value, bytes))
        at = len(out) + length
        start = at + len(text)
        out += struct.pack(order + "H", len(fields))
        for tag, value in sorted(fields.items()):
            if isinstance(value, bytes):
                out += struct.pack(order + "HHII", tag, 2, len(value), at)
            else:
                out += struct.pack(order + "HHII", tag, 4, 1, value or start)
        out += struct.pack(order + "I", start + len(data) if i + 1 < len(tags) else 0) + text + data
    path.write_bytes(bytes(out))
    return path


def makeTags(counts, **changes):
    fields = {256: counts.shape[2], 257: counts.shape[1], 258: 8 * counts.itemsize, 259: 1, 262: 1, 273: 0, 277: 1,
              278: counts.shape[1], 279: counts[0].nbytes}
    return fields | {int(tag[1:]): value for tag, value in changes.items()}


IMAGEJ = b"ImageJ=1.53t\nimages=5\nframes=5\nloop=false\0"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("dtype", "changes"), [
    ("u1", {"t270": IMAGEJ}), ("u2", {"t270": IMAGEJ}), ("u2", {"t32997": 5, "t279": 33 * 48 * 2 * 5}),
    ("u1", {"t270": b'{"shape": [5, 33, 48], "truncated": true}\0'}), ("f4", {"t270": IMAGEJ, "t339": 3})])
def test_a_stack_in_one_directory(tmp_path, order, dtype, changes):
    counts = COUNTS.astype(order + dtype)
    path = writeTiff(tmp_path / "movie.tif", [makeTags(counts, **changes)], counts.tobytes(), order)
    header = readMovieHeader(path)
    assert (header.format, header.nframes, header.shape, header.dtype) == ("tif", 5, (33, 48), np.dtype(dtype).name)
    assert "one TIFF directory" in header.unusual
    np.testing.assert_array_equal(np.array(list(readFrames(header))), COUNTS)
    np.testing.assert_array_equal(next(readFrames(header, [range(5)])), COUNTS.sum(axis=0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotReady):
        readMovieHeader(path)


def test_stacks_that_tifffile_writes(tmp_path):
    path = tmp_path / "movie.tif"
    for options in ({"imagej": True}, {"metadata": None}, {"truncate": True}, {"photometric": "minisblack"}):
        tifffile.imwrite(path, COUNTS, **options)
        np.testing.assert_array_equal(np.array(list(readFrames(readMovieHeader(path)))), COUNTS)


def test_a_stack_that_cannot_be_taken_apart_is_refused_by_name(tmp_path):
    packed = zlib.compress(COUNTS.tobytes())
    tags = makeTags(COUNTS, t259=8, t32997=5, t279=len(packed))
    with pytest.raises(ImageFailure, match="one directory that stands for 5 frames, compressed"):
        readMovieHeader(writeTiff(tmp_path / "movie.tif", [tags], packed))
    tags = makeTags(COUNTS, t32997=5, t279=COUNTS.nbytes)
    path = writeTiff(tmp_path / "movie.tif", [tags, tags], COUNTS.tobytes())
    with pytest.raises(ImageFailure, match="2 pages of 5 frames each"):
        readMovieHeader(path)


def test_tiff_that_would_take_more_memory_than_it_has_bytes(tmp_path, monkeypatch):
    path, data = tmp_path / "movie.tif", COUNTS[0].tobytes()
    for changes in ({"t256": 1 << 15, "t257": 1 << 16}, {"t256": 9000, "t257": 9000}, {"t259": 8, "t257": 1 << 20},
                    {"t322": 1 << 20, "t323": 1 << 20}):
        with pytest.raises(ImageFailure, match="pixels"):
            readMovieHeader(writeTiff(path, [makeTags(COUNTS, **changes)], data))
    grown = zlib.compress(bytes(1 << 24))  # a strip that holds more than the page
    with pytest.raises(ImageFailure, match="frame 1 cannot be decoded"):
        next(readFrames(readMovieHeader(writeTiff(path, [makeTags(COUNTS, t259=8, t279=len(grown))], grown))))
    monkeypatch.setattr(movieheader, "MAX_FRAMES", 100)
    with pytest.raises(ImageFailure, match="more than 100 frames"):
        readMovieHeader(writeTiff(path, [makeTags(COUNTS)] * 101, data))


@pytest.mark.parametrize(("across", "down", "sampling", "fine"), [
    (0, 0, 1, True), (0, 0, 2, False), (0, 0, 3, False), (1, 1, 2, True), (1, 1, 3, False), (2, 1, 3, False),
    (3, 3, 3, True), (12, 12, 1, False)])
def test_eer_events_that_do_not_say_where_in_the_pixel_they_are(tmp_path, across, down, sampling, fine):
    rng = np.random.default_rng(4)
    events = (rng.random((3, 32, 32)) < 0.05).astype(np.uint8)
    places = rng.integers(0, 1 << (across + down), events.shape)
    path = tmp_path / "movie.eer"
    writeEER(path, events, 65002, places, (across, down))
    header = readMovieHeader(path)
    if not fine:
        failure, text = (ImageFailure, "bits") if across > 8 else (ConfigurationFailure, "-EerSampling")
        with pytest.raises(failure, match=text):
            next(readFrames(header, sampling=sampling))
        return
    factor = 2 ** (sampling - 1)
    expected = np.zeros((32 * factor, 32 * factor), int)
    for i, row, col in np.argwhere(events):
        x, y = places[i, row, col] & ((1 << across) - 1), places[i, row, col] >> across
        expected[row * factor + (y * factor >> down), col * factor + (x * factor >> across)] += 1
    np.testing.assert_array_equal(next(readFrames(header, [range(3)], sampling)), expected)
