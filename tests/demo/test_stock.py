"""Movies put together from frames that were simulated once: what they hold, and that the product reads them."""

import dataclasses

import numpy as np
import pytest

from appion.base.retrieve.movies import readFrames, readMovieHeader
from appion.demo.detector import constructDetector, convertToRaw
from appion.demo.movies import FALCON, K3, SMALL, changeFrames
from appion.demo.plan import SPARES, constructPlan
from appion.demo.simulate import calcKept, calcPath, calcTrueDrift, simulateMovie
from appion.demo.stock import constructStock, dealElectrons
from appion.demo.writers import pourMovie

KINDS = [
    dataclasses.replace(K3, shape=(120, 176), positions=6),
    dataclasses.replace(FALCON, shape=(128, 128), positions=5, group=7),
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def made(request, tmp_path_factory):
    """A plan with specimens that are used again, its camera, and the stock of the first."""
    plan = constructPlan(tmp_path_factory.mktemp("plan"), 6, movie=request.param)
    detector, told = plan.constructDetector(), []
    stock = constructStock(plan.folder / "stock", plan.exposures[0].exposure, detector, plan.movie,
                           lambda done, count: told.append((done, count)))  # fmt: skip
    count = plan.movie.positions + SPARES
    assert told == [(i + 1, count) for i in range(count)]
    return plan, detector, stock


def testTheProductReadsWhatWasCounted(made, tmp_path):
    """Of two exposures of one specimen: header, size, and each position's electrons as the detector counted them."""
    plan, detector, stock = made
    movies = []
    for planned in (plan.exposures[0], plan.exposures[2]):
        path = tmp_path / f"{planned.number}.frames.{plan.movie.suffix}"
        size = stock.calcSize(planned.exposure)
        pourMovie(path, stock.iterateMovie(planned.exposure), size, 0.0)
        assert path.stat().st_size == size
        header = readMovieHeader(path)
        assert (header.format, header.nframes) == (plan.movie.suffix, plan.movie.nframes)
        assert header.shape == stock.total.shape
        group = plan.movie.group
        groups = [tuple(range(i, i + group)) for i in range(0, header.nframes, group)]
        found = np.stack([frame.astype(int) for frame in readFrames(header, groups, threads=2)])
        counted = simulateMovie(planned.exposure, detector)[0].astype(int)
        assert np.array_equal(found, counted if group == 1 else np.minimum(counted, group))
        assert np.array_equal(stock.calcSum(planned.exposure), counted.sum(0))
        movies.append(found)
    assert not np.array_equal(*movies)


def testABrokenMovieEndsInTheMiddle(made, tmp_path):
    plan, _, stock = made
    exposure = plan.exposures[0].exposure
    size = stock.calcSize(exposure)
    pourMovie(tmp_path / "half", stock.iterateMovie(exposure), size, 0.0, stop_at=0.5)
    pourMovie(tmp_path / "whole", stock.iterateMovie(exposure), size, 0.0)
    half = (tmp_path / "half").read_bytes()
    assert len(half) == round(size / 2)
    assert (tmp_path / "whole").read_bytes().startswith(half)


def testEachExposureOfASpecimenDriftsOtherwiseAndKnowsIt(made):
    plan = made[0]
    exposures = [plan.exposures[i].exposure for i in (0, 2, 4)]
    assert len({exposure.seed for exposure in exposures}) == 1
    assert len({tuple(calcKept(exposure)) for exposure in exposures}) > 1
    for exposure in exposures:
        path = calcPath(exposure)[calcKept(exposure)]
        assert len(path) == plan.movie.positions
        assert np.allclose(calcTrueDrift(exposure), path - path[0])


def testElectronsAreDealtOutEvenly():
    counts = np.random.default_rng(0).poisson(0.5, (64, 64)).astype(np.uint8)
    counts[3, 5] = 200
    frames = dealElectrons(counts, 50, np.random.default_rng(1))
    assert len(frames) == 50
    assert all(np.all(np.diff(frame) > 0) for frame in frames)
    total = np.bincount(np.concatenate(frames), minlength=counts.size).reshape(counts.shape)
    assert np.array_equal(total, np.minimum(counts, 50))
    assert np.std([len(frame) for frame in frames]) < 2 * np.sqrt(len(frames[0]))


def testFramesMayBeMoreOrFewer():
    for kind, nframes, positions in ((SMALL, 8, 8), (K3, 60, 60), (FALCON, 400, 40), (FALCON, 1400, 40)):
        changed = changeFrames(kind, nframes)
        assert (changed.nframes, changed.positions) == (nframes, positions)
        assert changed.positions * changed.dose == pytest.approx(kind.positions * kind.dose)
        assert changed.nframes * changed.frame_time == pytest.approx(kind.nframes * kind.frame_time)
    with pytest.raises(ValueError, match="4 or more"):
        changeFrames(K3, 3)
    with pytest.raises(ValueError, match="320 or more"):
        changeFrames(FALCON, 319)


def testSumsLieAsTheFramesDo(made):
    """The dead columns of the camera, in Leginon's orientation, count nothing in the sum of the raw frames."""
    plan, detector, stock = made
    other = constructDetector(plan.shape, plan.seed, plan.frame_flip, plan.frame_rotate)
    assert np.array_equal(other.gain, detector.gain)
    mask = np.zeros(detector.shape, bool)
    mask[:, list(detector.bad_cols)] = True
    assert not stock.calcSum(plan.exposures[0].exposure)[convertToRaw(mask, plan.frame_flip, plan.frame_rotate)].any()
