"""Movies and headers are input from elsewhere: what is wrong is named, and no number in them has memory taken."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib

import imagecodecs
import mrcfile
import numpy as np
import pytest
import tifffile

from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, NotReady
from appion.base.retrieve import eer, tiff
from appion.base.retrieve.movies import readFrames, readMovieHeader
from appion.motioncorrection.calc.external.sums import readMrc
from appion.motioncorrection.retrieve.camera import readReferences
from tests.base.retrieve.test_movies import changeHeader, makeTags, writeMrc, writeTiff
from tests.motioncorrection.movies import writeEER

COUNTS = np.random.default_rng(0).poisson(2, (3, 33, 48)).astype(np.uint8)

#: What Python and numpy may take beside a small movie.
LITTLE = 24 << 20

#: How often each movie is changed; thousands were tried when this was written.
ROUNDS = int(os.environ.get("APPION_FUZZ", "40"))


@pytest.fixture
def bounded():
    """The test may take only a little memory."""
    eer.addEvents(b"", np.zeros((4, 4), np.uint8), (7, 2, 2), 1)  # what is imported and compiled does not count
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LITTLE, f"{peak / 2**20:.0f} MB"


def readAll(path):
    """Read a movie to its end, as the programs do."""
    header = readMovieHeader(path)
    return header, list(readFrames(header))


@pytest.mark.parametrize(("compression", "predictor"), [
    (None, False), ("lzw", False), ("lzw", True), ("zlib", True), ("packbits", False), ("zstd", True)])
def test_tiff_pixels_as_tifffile_reads_them(tmp_path, compression, predictor):
    path = tmp_path / "movie.tif"
    for dtype, order, options in itertools.product(
        ("uint8", "uint16", "int16", "float32", "float16", "float64"), "<>",
        ({"rowsperstrip": 7}, {"tile": (16, 32)}, {"bigtiff": True}),
    ):  # fmt: skip
        frames, big = (COUNTS.astype(float) * 3.7).astype(dtype), "bigtiff" in options
        if not big and order == ">" and dtype not in ("uint16", "float32"):
            continue
        with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as file:
            for frame in frames:
                file.write(frame, contiguous=False, photometric="minisblack", compression=compression,
                           predictor=predictor, **({} if big else options))  # fmt: skip
        header = readMovieHeader(path)
        assert header.dtype == dtype
        for threads in (1, 3):
            np.testing.assert_array_equal(list(readFrames(header, threads=threads)), frames)


def test_tiff_of_nibbles_and_of_turned_bits(tmp_path):
    rows = COUNTS[0] & 15
    data = ((rows[:, 0::2] << 4) | rows[:, 1::2]).tobytes()
    path = writeTiff(tmp_path / "movie.tif", [makeTags(COUNTS, t258=4, t279=len(data))], data)
    np.testing.assert_array_equal(readAll(path)[1][0], rows)
    turned = bytes(imagecodecs.bitorder_encode(COUNTS[0].tobytes()))
    path = writeTiff(tmp_path / "movie.tif", [makeTags(COUNTS, t266=2)], turned)
    np.testing.assert_array_equal(readAll(path)[1][0], COUNTS[0])


@pytest.mark.parametrize("sizes", [(2**31 - 1, 1, 1), (46341, 46341, 1), (48, 33, 2**31 - 1), (1 << 19, 1 << 10, 9)])
@pytest.mark.usefixtures("bounded")
def test_mrc_of_more_pixels_than_bytes(tmp_path, sizes):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS.astype("int16"))
    changeHeader(path, ("<3i", 0, *sizes))
    with pytest.raises((ImageFailure, NotReady), match=r"pixels|bytes instead of|frames"):
        readAll(path)
    with pytest.raises(ImageFailure):
        readMrc(path, "picture")


@pytest.mark.usefixtures("bounded")
def test_mrc_with_an_extended_header_without_end(tmp_path):
    path = tmp_path / "movie.mrc"
    writeMrc(path, COUNTS[0].astype("int16"))
    changeHeader(path, ("<i", 92, 2**31 - 1))
    with pytest.raises(NotReady, match="bytes instead of"):
        readAll(path)
    with pytest.raises(ImageFailure, match="the picture is truncated"):
        readMrc(path, "picture")


@pytest.mark.parametrize(("change", "text"), [
    ({"t256": 1 << 12, "t257": 1 << 12}, "cannot hold"), ({"t256": 0xFFFFFFFF, "t257": 0xFFFFFFFF}, "no camera"),
    ({"t259": 34712}, "compression 34712"), ({"t259": 7}, "compression 7"), ({"t317": 9}, "predictor 9"),
    ({"t322": 1 << 14, "t323": 1 << 14}, "tiles of"), ({"t258": 12}, "not a movie"),
    ({"t278": 1}, "1 strips or tiles instead of 33"), ({"t259": 5}, "cannot be decoded"),
    ({"t259": 50000}, "cannot be decoded"), ({"t259": 8}, "cannot be decoded"),
    ({"t279": 0xFFFFFFFF}, "bytes of pixels"),
])  # fmt: skip
@pytest.mark.usefixtures("bounded")
def test_tiff_tags_that_cannot_be(tmp_path, change, text):
    path = writeTiff(tmp_path / "movie.tif", [makeTags(COUNTS, **change)], COUNTS[0].tobytes())
    with pytest.raises(ImageFailure, match=text):
        readAll(path)


@pytest.mark.parametrize("tag", [256, 273, 279, 324, 65007])
@pytest.mark.parametrize("count", [1 << 19, 1 << 21, 2**32 - 1])
@pytest.mark.usefixtures("bounded")
def test_tables_of_more_numbers_than_the_file_has(tmp_path, tag, count):
    path = writeTiff(tmp_path / "movie.tif", [makeTags(COUNTS)], COUNTS[0].tobytes())
    content = bytearray(path.read_bytes())
    at = content.find(struct.pack("<HH", 279, 4))
    struct.pack_into("<HHII", content, at, tag, 4, count, 8)
    path.write_bytes(bytes(content))
    with pytest.raises((ImageFailure, NotReady)):
        readAll(path)


def writeDirectories(path, following, table=b""):
    """A BigTIFF file of directories, the next of each as told, whose strips all stand in one table."""
    nstrips, size = len(table) // 16, 8 + 6 * 20 + 8
    start = 16 + size * len(following)
    pieces = [b"II+\0\x08\0\0\0", struct.pack("<Q", 16)]
    for after in following:
        tags = [(256, 4, 1, 48), (257, 4, 1, 33), (258, 4, 1, 8), (259, 4, 1, 65001), (273, 16, nstrips, start),
                (279, 16, nstrips, start + 8 * nstrips)]  # fmt: skip
        pieces.append(struct.pack("<Q", len(tags)) + b"".join(struct.pack("<HHQQ", *tag) for tag in tags))
        pieces.append(struct.pack("<Q", 16 + size * after if after < len(following) else 0))
    path.write_bytes(b"".join(pieces) + table)
    return path


@pytest.mark.usefixtures("bounded")
def test_chains_and_tables_of_directories(tmp_path):
    path = tmp_path / "movie.eer"
    content = bytearray(writeTiff(path, [makeTags(COUNTS)] * 2, COUNTS[0].tobytes()).read_bytes())
    at = 8 + 2 + 12 * len(makeTags(COUNTS))
    (second,) = struct.unpack_from("<I", content, at)
    struct.pack_into("<I", content, second + at - 8, 8)
    path.write_bytes(bytes(content))
    with pytest.raises(ImageFailure, match="returns to byte 8"):
        readAll(path)
    table = bytes(16 * 20000)
    with pytest.raises(ImageFailure, match="directories and their tables claim"):  # all share one
        readAll(writeDirectories(path, range(1, 500), table))
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**64 - 1))
    with pytest.raises(NotReady, match="beyond the end"):
        readAll(path)


@pytest.mark.parametrize("compression", [8, 5, 50000])
@pytest.mark.usefixtures("bounded")
def test_a_page_that_grows(tmp_path, compression):
    plain = bytes(48 << 20)
    packed = {8: zlib.compress, 5: imagecodecs.lzw_encode, 50000: imagecodecs.zstd_encode}[compression](plain)
    del plain
    tracemalloc.reset_peak()
    path = writeTiff(tmp_path / "movie.tif", [makeTags(COUNTS, t259=compression, t279=len(packed))], bytes(packed))
    del packed
    tracemalloc.reset_peak()
    with contextlib.suppress(ImageFailure):  # some decoders say so, others stop
        assert not readAll(path)[1][0].any()


@pytest.mark.usefixtures("bounded")
def test_an_eer_of_more_pixels_or_bytes_than_a_camera_has(tmp_path):
    path = tmp_path / "movie.eer"
    writeEER(path, (COUNTS > 4).astype(np.uint8), 65001)
    content = path.read_bytes()
    large, small = {256: 1 << 14, 257: 1 << 14}, {256: 1, 257: 1}
    for change, text in ((large, "an EER frame of 16384 x 16384"), (small, r"in \d+ bytes")):
        changed = bytearray(content)
        for tag, value in change.items():
            at = -1
            while (at := changed.find(struct.pack("<H", tag), at + 1)) >= 0:
                kind = struct.unpack_from("<H", changed, at + 2)[0]
                if kind in (3, 4):
                    struct.pack_into("<I", changed, at + (12 if content[2:3] == b"+" else 8), value)
        path.write_bytes(bytes(changed))
        with pytest.raises(ImageFailure, match=text):
            readAll(path)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ImageFailure, match="is no file"):
            readMovieHeader(path)


@pytest.mark.usefixtures("bounded")
def test_references_larger_than_a_frame_are_not_read(tmp_path, monkeypatch):
    with mrcfile.new(tmp_path / "gain.mrc") as mrc:
        mrc.set_data(np.ones((66, 96), np.float32))
    (tmp_path / "blocks.txt").write_bytes(b"# 1 2 3 4\n" * 500000)
    monkeypatch.setattr("appion.motioncorrection.retrieve.camera.readFrames", lambda *_: pytest.fail("was read"))
    named = {"gain": "", "dark": "", "defectmap": "", "defectfile": ""}
    lines = []
    for name, text in (("gain", "frames are 33 x 48"), ("defectmap", "frames are 33 x 48")):
        with pytest.raises(ConfigurationFailure, match=text):
            readReferences((33, 48), rotate=0, flip=0, invert=False, report=lines.append,
                           **{**named, name: str(tmp_path / "gain.mrc")})  # fmt: skip
    readReferences((33, 48), rotate=0, flip=0, invert=False, report=lines.append,
                   **{**named, "dark": str(tmp_path / "gain.mrc")})  # fmt: skip
    assert "left out" in lines[-1]
    for path, text in ((tmp_path / "blocks.txt", "more than"), ("/dev/zero", "no file")):
        with pytest.raises(ConfigurationFailure, match=text):
            readReferences((33, 48), rotate=0, flip=0, invert=False, report=lines.append,
                           **{**named, "defectfile": str(path)})  # fmt: skip


def makeGood(folder):
    """One small movie of every kind."""
    writeMrc(folder / "a.mrc", COUNTS.astype("int16"))
    writeMrc(folder / "b.mrc", COUNTS.astype("int8"), 101)
    for name, options in (("c", {"rowsperstrip": 5}), ("d", {"compression": "lzw", "predictor": True}),
                          ("e", {"compression": "zlib", "tile": (16, 16)}), ("f", {"bigtiff": True})):  # fmt: skip
        big = options.pop("bigtiff", False)
        with tifffile.TiffWriter(folder / f"{name}.tif", bigtiff=big) as file:
            for frame in COUNTS:
                file.write(frame, contiguous=False, **options)
    tifffile.imwrite(folder / "g.tif", COUNTS, photometric="minisblack")
    tifffile.imwrite(folder / "h.tif", COUNTS, imagej=True)
    for compression in (65000, 65002):
        writeEER(folder / f"{compression}.eer", (COUNTS > 3).astype(np.uint8), compression)
    return sorted(folder.iterdir())


def listHeaderBytes(content):
    """Where in a file its header and directories are: nearly all that is no pixel."""
    if content[:2] not in (b"II", b"MM"):
        return np.arange(1024)
    pixels = np.zeros(len(content), bool)
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        for page in file.pages:
            for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                pixels[start : start + count] = True
    return np.flatnonzero(~pixels)


@pytest.mark.usefixtures("bounded")
def test_changed_bytes_bring_out_only_what_is_declared(tmp_path):
    """Some bytes of a header become others: the movie is read, or a failure of the declared kinds says why not."""
    rng = np.random.default_rng(int(os.environ.get("APPION_FUZZ_SEED", "11")))
    (tmp_path / "good").mkdir()
    path = tmp_path / "movie"
    for good in makeGood(tmp_path / "good"):
        content = good.read_bytes()
        places = listHeaderBytes(content)
        for _ in range(ROUNDS):
            changed = np.frombuffer(content, np.uint8).copy()
            at = rng.choice(places, rng.integers(1, 4))
            changed[at] = rng.choice(np.array([0, 1, 2, 4, 8, 127, 128, 255, rng.integers(256)], np.uint8), len(at))
            path.write_bytes(changed.tobytes()[: len(content) - (rng.random() < 0.1) * int(rng.integers(len(content)))])
            try:
                header = readMovieHeader(path)
                for frame in readFrames(header, [(0,)], threads=1):
                    assert frame.shape == header.shape
            except Failure:
                pass
            except Exception as error:
                raise AssertionError(f"{good.name}, bytes {at} changed to {changed[at]}") from error


def test_address_space_is_not_taken_either(tmp_path):
    """The same in a process that may have only so much: what is reserved and never touched counts, too."""
    (tmp_path / "a.mrc").write_bytes(struct.pack("<4i", 1 << 15, 1 << 14, 1000, 2) + bytes(192) + b"MAP " + bytes(812))
    writeDirectories(tmp_path / "b.eer", range(1, 400), bytes(16 * 20000))
    grown = zlib.compress(bytes(1 << 26))
    writeTiff(tmp_path / "c.tif", [makeTags(COUNTS, t259=8, t279=len(grown))], grown)
    program = (
        "import resource, sys, imagecodecs\nfrom appion.base.retrieve.movies import *\n"
        "from appion.base.failures import Failure\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + (96 << 20),) * 2)\n"
        "for path in sys.argv[1:]:\n    try: list(readFrames(readMovieHeader(path)))\n"
        "    except Failure as failure: print(type(failure).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *map(str, sorted(tmp_path.iterdir()))], capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["NotReady", "ImageFailure", "ImageFailure"]
    assert tiff.MAX_GROWTH < 1 << 13
