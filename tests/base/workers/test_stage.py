"""While one exposure is computed the movie of the next is fetched; nothing of it stays."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.records.task import Origin, Task
from appion.base.workers.cluster import checkCluster, constructCluster, redirectDaskLogs
from appion.base.workers.pool import Pool
from appion.base.workers.stage import BLOCK, NOTE, Stager, readThrough


@dataclass(frozen=True)
class Params:
    """What the task below computes from; it ends once `until` is there."""

    movie: str
    until: str


def look(task):
    """Read the movie where it is said to be."""
    movie = Path(task.params.movie)
    content = movie.read_bytes()
    (Path(task.params.until).parent / f"begun {task.origin.image_id}").touch()
    await_(lambda: os.path.exists(task.params.until))
    return str(movie), len(content)


def await_(condition):
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Lab:
    """One worker of this machine and movies to be computed one after the other."""

    def __init__(self, folder):
        self.folder, self.outcomes = folder, {}
        self.pool = Pool(lambda: constructCluster((), 1), 1, "test")
        self.pool.start()

    def submit(self, image_id, movie=None):
        movie = movie or self.folder / f"movie {image_id}.tif"
        if not movie.exists():
            movie.write_bytes(os.urandom(BLOCK + image_id))
        params = Params(str(movie), str(self.folder / f"end {image_id}"))
        task = Task(Origin(image_id, movie.stem, 1, str(self.folder)), params)
        self.pool.submit(image_id, 1, look, task, reads=str(movie))

    def awaitBegin(self, image_id):
        await_((self.folder / f"begun {image_id}").exists)

    def listCopies(self):
        return sorted(path.name for path in (self.folder / "node").glob("stage-*/*.tif"))

    def finish(self, image_id):
        (self.folder / f"end {image_id}").touch()
        await_(lambda: self.outcomes.update(self.pool.collect(0.1)) or image_id in self.outcomes)
        return self.outcomes.pop(image_id)


@pytest.fixture
def lab(tmp_path, request):
    with redirectDaskLogs(tmp_path), dask.config.set({"appion.stage": request.param.format(tmp_path),
                                                      "appion.free_space": 0}):  # fmt: skip
        lab = Lab(tmp_path)
        yield lab
        lab.pool.close()
        assert not lab.listCopies()


@pytest.mark.parametrize("lab", ["{}/node"], indirect=True)
def test_the_next_movie_is_copied_to_the_node_and_its_copy_goes_with_it(lab):
    lab.submit(1)
    lab.awaitBegin(1)
    for image_id in (2, 3):
        lab.submit(image_id)
    await_(lambda: lab.listCopies() == ["movie 2.tif"])
    first = lab.finish(1)
    assert first.result == (str(lab.folder / "movie 1.tif"), BLOCK + 1)
    assert not first.fetched
    await_(lambda: "movie 3.tif" in lab.listCopies())
    second = lab.finish(2)
    assert second.result[0].startswith(str(lab.folder / "node"))
    assert second.result[1] == BLOCK + 2
    assert second.fetched
    assert lab.finish(3).result[1] == BLOCK + 3
    await_(lambda: not lab.listCopies())


@pytest.mark.parametrize("lab", ["{}/node"], indirect=True)
def test_copies_of_exposures_that_go_elsewhere_are_removed(lab):
    lab.submit(1)
    lab.awaitBegin(1)
    lab.submit(2)
    await_(lambda: lab.listCopies() == ["movie 2.tif"])
    assert lab.pool.recall() == [2]
    await_(lambda: not lab.listCopies())
    assert lab.finish(1).result


@pytest.mark.parametrize("lab", ["{}/node"], indirect=True)
def test_what_a_killed_worker_copied_goes_with_the_next_one(lab):
    lab.submit(1)
    lab.awaitBegin(1)
    lab.submit(2)
    await_(lambda: lab.listCopies() == ["movie 2.tif"])
    assert lab.pool.takeOverdue(0)
    lab.pool.flights.clear()
    await_(lambda: not lab.listCopies())


@pytest.mark.parametrize(("where", "words"), [("file", "file"), ("file/gone", "file"), ("", "too little free space")])
def test_a_movie_that_cannot_be_copied_is_read_where_it_is_and_told_of(tmp_path, where, words):
    movie = str(tmp_path / "movie.tif")
    for name in ("movie.tif", "file"):
        (tmp_path / name).write_bytes(b"frames")
    stager = Stager(str(tmp_path / where), 0 if where else 1e30)
    stager.setup(SimpleNamespace(state=SimpleNamespace(tasks={"key": SimpleNamespace(annotations={NOTE: movie})})))
    stager.transition("key", "waiting", "ready")
    await_(lambda: movie in stager._fetches and stager._fetches[movie].ended.is_set())
    stager.transition("key", "ready", "executing")
    with stager.deliver(movie) as fetch:
        assert fetch.copy is None
        assert words in fetch.trouble
    stager.teardown(None)
    assert Path(movie).read_bytes() == b"frames"


@pytest.mark.parametrize("lab", ["cache"], indirect=True)
def test_the_next_movie_is_read_into_the_cache(lab):
    lab.submit(1)
    lab.awaitBegin(1)
    movie = lab.folder / "big.tif"
    movie.write_bytes(os.urandom(20))
    os.utime(movie, (0, 0))
    lab.submit(2, movie)
    await_(lambda: movie.stat().st_atime > 0)  # somebody has read it
    assert lab.finish(1).result
    outcome = lab.finish(2)
    assert outcome.result == (str(movie), 20)
    assert outcome.fetched


@pytest.mark.parametrize("length", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_file_is_handed_on_piece_by_piece_and_whole(tmp_path, length):
    content, pieces = os.urandom(length), []
    (tmp_path / "file").write_bytes(content)
    assert readThrough(str(tmp_path / "file"), lambda: True, lambda piece: pieces.append(bytes(piece)))
    assert b"".join(pieces) == content
    assert not readThrough(str(tmp_path / "file"), lambda: False)


def test_a_word_that_is_no_place_is_refused():
    with dask.config.set({"appion.stage": "chache"}), pytest.raises(ConfigurationFailure, match=r"chache.*none, cache"):
        checkCluster()
