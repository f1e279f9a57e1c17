"""Work divided among threads: all of it is done, once, whoever does it, and comes back in order."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from appion.motioncorrection.calc.internal import correct
from appion.motioncorrection.calc.internal.threads import ALONE, Threads
from tests.motioncorrection.movies import makeLocalFrames


@pytest.mark.parametrize("number", [1, 2, 5])
def test_results_come_in_order(number):
    with Threads(number) as pool:
        assert pool.map(lambda a, b: (a, b), range(100), "ab" * 50) == list(zip(range(100), "ab" * 50, strict=True))
        assert pool.map(abs, []) == []
        assert list(pool.readAhead(iter(range(7)))) == list(range(7))


def test_as_many_work_as_there_are():
    everybody = threading.Barrier(3)
    with Threads(3) as pool:
        found = pool.map(lambda _: everybody.wait(60) >= 0 and threading.get_ident(), range(3))
        inner = pool.map(lambda _: pool.map(abs, range(3)), range(4))  # nobody waits for who is busy
    assert len(set(found)) == 3
    assert threading.get_ident() in found
    assert inner == [[0, 1, 2]] * 4
    assert set(ALONE.map(lambda _: threading.get_ident(), range(3))) == {threading.get_ident()}


def test_the_next_is_read_while_one_is_used():
    begun = threading.Event()

    def read():
        yield 1
        begun.set()
        yield 2

    with Threads(2) as pool:
        frames = pool.readAhead(read())
        assert next(frames) == 1
        assert begun.wait(60)
        assert list(frames) == [2]


@pytest.mark.parametrize("number", [1, 3])
def test_what_is_raised_is_raised(number):
    def read():
        yield 1
        raise KeyError("two")

    def fail(i):
        if i == 13:
            raise ValueError("thirteen")

    with Threads(number) as pool:
        with pytest.raises(ValueError, match="thirteen"):
            pool.map(fail, range(20))
        frames = pool.readAhead(read())
        assert next(frames) == 1
        with pytest.raises(KeyError, match="two"):
            next(frames)
        assert next(pool.readAhead(read())) == 1  # and no more is asked for
        assert pool.map(abs, [-1]) == [1]


@pytest.mark.parametrize("patches", [(0, 0), (4, 4)])
def test_sums_are_the_same_whoever_adds(patches):
    frames, _, _ = makeLocalFrames(256, 8, 0.5, 4, 3, cols=320)
    found = [
        correct.correctMovie(lambda: iter(frames), correct.Correction(
            frames[0].shape, len(frames), patches=patches, exposures=np.arange(1.0, 9), pixelsize=1.0, threads=number))
        for number in (1, 3)
    ]  # fmt: skip
    assert (found[0].field is None) == (patches == (0, 0))
    for one, other in zip(*((one.shifts, one.total, one.weighted) for one in found), strict=True):
        np.testing.assert_array_equal(one, other)
