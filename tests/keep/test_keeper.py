"""The keeper in this process: what it starts, leaves alone, starts again and does not, and what that costs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from datetime import datetime

import dask.config
import pytest

import sinedon
from appion.base.records.runfolder import statusPath
from appion.base.retrieve.keeping import readKeeping
from appion.base.store.lock import acquireLock
from appion.cli import main
from appion.keep import keeper as keepers
from appion.keep import placing
from appion.keep.programs import start
from appion.keep.service import Clock, takeTurn
from sinedon.models import appiondata
from tests.services.sessions import addImages


class Killed(BaseException):
    """The keeper is no more."""


@pytest.fixture
def killAt(monkeypatch):
    """A function after which the keeper dies at the n-th step of what it does: before or after each write and start."""
    steps = []

    def step(number):
        steps.append(1)
        if len(steps) == number:
            raise Killed

    def arrange(number):
        for module, name in ((keepers, "saveRun"), (placing, "saveRun"), (start, "createRundir"), (start, "spawn")):
            real = getattr(module, name)

            def act(*arguments, real=real):
                step(number)
                result = real(*arguments)
                step(number)
                return result

            monkeypatch.setattr(module, name, act)

    return arrange


@pytest.mark.parametrize("number", range(1, 13))
def test_killed_at_any_step_it_starts_nothing_twice(house, killAt, number):
    """Its successor knows what is on the disk, and finds what runs by its lock, and what begins by its words."""
    house.addSession("26nov27a")
    killAt(number)
    with contextlib.suppress(Killed):
        house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    house.begin()
    house.turnUntil(lambda: house.states() == {"26nov27a": "running"} and house.count()["locked 26nov27a"])
    assert house.count() == {"start 26nov27a": 1, "locked 26nov27a": 1}
    assert [path.name for path in (house.folder / "appion/26nov27a/ddstack").iterdir()] == ["ddstack1"]


def test_a_daemon_that_dies_is_started_again_later_and_later(house):
    house.addSession("26nov27a")
    for starts in range(1, 4):
        house.turnUntil(lambda starts=starts: house.keeper and house.count()["locked 26nov27a"] == starts)
        house.turnUntil(lambda: house.states() == {"26nov27a": "running"})
        os.kill(house.run("26nov27a").daemon, signal.SIGKILL)
        house.turnUntil(lambda: house.states() == {"26nov27a": "backing off"})
        run = house.run("26nov27a")
        assert (run.starts, run.fails) == (starts, starts)
        assert 0.5 < (run.next_try - run.since) / (0.5 * 2 ** (starts - 1)) <= 1, "less what it took to write it down"
        assert "signal 9" in run.reason


def test_nothing_is_made_where_a_run_folder_was(house):
    """A file system that is not mounted: the run waits for it."""
    house.addSession("26nov27a")
    house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    place = house.folder / "appion"
    os.kill(house.run("26nov27a").daemon, signal.SIGKILL)
    house.turnUntil(lambda: house.states() == {"26nov27a": "backing off"})
    place.rename(house.folder / "away")
    house.turnUntil(lambda: "is not there any more" in house.run("26nov27a").reason)
    assert not place.exists()
    (house.folder / "away").rename(place)
    house.turnUntil(lambda: house.states() == {"26nov27a": "running"})


def test_what_a_person_has_to_mend_is_told_and_waits_until_somebody_asks(house):
    house.addSession("26nov27a")
    house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    end = house.folder / "appion/26nov27a/ddstack/ddstack1/end"
    end.write_text("2")
    house.turnUntil(lambda: house.states() == {"26nov27a": "refused"})
    assert house.run("26nov27a").reason == "something is to be mended"
    end.unlink()
    house.begin()
    for _ in range(5):
        house.turn()
    assert house.count()["start 26nov27a"] == 1
    (told,) = readKeeping(house.keeper.folder).runs
    assert (told.state, told.reason, told.next_try) == ("refused", "something is to be mended", None)
    assert main(["keep", "--again", "26nov27a"]) == 0
    house.turnUntil(lambda: house.states() == {"26nov27a": "running"} and house.count()["locked 26nov27a"] == 2)


@pytest.mark.parametrize(("ending", "again"), [("nothing to do for 180 min", 1), ("stopped, as its job was ended", 0)])
def test_a_run_that_ended_well_begins_again_with_new_exposures_unless_a_person_ended_it(house, ending, again):
    made = house.addSession("26nov27a")
    house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    end = house.folder / "appion/26nov27a/ddstack/ddstack1/end"
    statusPath(end.parent).write_text(json.dumps({"state": "ended", "ended": ending, "heartbeat": time.time()}))
    end.write_text("0")
    house.turnUntil(lambda: house.states() == {"26nov27a": "ended"})
    end.unlink()
    house.turn()
    assert house.states() == {"26nov27a": "ended"}
    addImages(made, 1, datetime.now())
    house.turnUntil(lambda: house.states() == {"26nov27a": "running" if again else "ended"})
    house.turn()
    assert house.run("26nov27a").reason == ("" if again else ending)
    house.turnUntil(lambda: house.count()["locked 26nov27a"] == 1 + again)


def test_a_database_that_is_away_is_waited_for(house, monkeypatch):
    """Daemons are looked after meanwhile, and what is the matter is said."""
    house.addSession("26nov27a")
    house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    with monkeypatch.context() as patch:
        patch.setattr(house.keeper.watch, "update", failToConnect)
        os.kill(house.run("26nov27a").daemon, signal.SIGKILL)
        house.turnUntil(lambda: house.states() == {"26nov27a": "backing off"})
        assert readKeeping(house.keeper.folder).trouble == ["the server is away"]
    house.turnUntil(lambda: house.states() == {"26nov27a": "running"})
    assert readKeeping(house.keeper.folder).trouble == []


def failToConnect(_afresh):
    raise sinedon.errors.ConnectionFailure("the server is away")


def test_it_begins_with_the_first_complete_movie(house):
    made = house.addSession("26nov27a")
    movie = house.folder / f"frames/26nov27a/rawdata/{made.filenames[0]}.frames.mrc"
    whole = movie.read_bytes()
    movie.write_bytes(whole[:-100])
    house.turn()
    (skipped,) = readKeeping(house.keeper.folder).skipped
    assert skipped.reason.startswith("no movie of preset enn is complete yet")
    movie.write_bytes(whole)
    house.turnUntil(lambda: house.states() == {"26nov27a": "running"})


def test_it_leaves_alone_what_a_person_began_and_numbers_its_own_after_it(house):
    """A run of the same preset is left alone; beside one of another preset its own gets the next number."""
    mine, theirs = house.addSession("26nov27a"), house.addSession("26nov27b")
    for made, preset in ((mine, "esn"), (theirs, "enn")):
        path = sinedon.insertRow(appiondata.ApPathData, path=f"/data/{made.name}/ddstack4")
        params = sinedon.insertRow(appiondata.ApDDStackParamsData, preset=preset, align=True, bin=1)
        sinedon.insertRow(appiondata.ApDDStackRunData, runname="ddstack4", session=made.session_id, path=path,
                          params=params)  # fmt: skip
    house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    assert house.run("26nov27a").runname == "ddstack5"
    (alien,) = house.keeper.aliens.values()
    assert (alien.session, alien.state, alien.rundir) == ("26nov27b", "alien", "/data/26nov27b/ddstack4")
    assert house.count()["start 26nov27b"] == 0


def test_a_name_that_is_no_value_is_not_given_to_a_command_line(house):
    house.addSession("26nov27a; touch x")
    house.turn()
    (skipped,) = house.keeper.skipped.values()
    assert "characters that no command line is given by itself" in skipped.reason
    assert not house.keeper.runs


def test_each_command_has_its_run_and_each_run_its_own_gpus(house):
    """CTF estimation of what motion correction makes, in the folders and by the names of the web pages."""
    for name in ("26nov27a", "26nov27b"):
        house.addSession(name)
    lines = ["motioncor2.py --gpuids={gpuids}", "ctffind4.py --preset={preset}-a"]
    with dask.config.set({"appion.keep.profiles": [{"name": "both", "commands": lines}], "appion.keep.gpuids": [3, 5]}):
        house.turnUntil(lambda: house.keeper and len(house.keeper.runs) == 4
                        and {run.state for run in house.keeper.runs.values()} == {"running"})  # fmt: skip
    runs = {run.rundir.removeprefix(f"{house.folder}/appion/"): run for run in house.keeper.runs.values()}
    assert set(runs) == {f"{name}/{folder}" for name in house.made
                         for folder in ("ddstack/ddstack1", "ctf/ctffind4run1")}  # fmt: skip
    assert "--preset=enn-a" in runs["26nov27a/ctf/ctffind4run1"].words
    assert sorted(run.gpuids for run in runs.values() if run.gpus) == [[3], [5]]


def test_sessions_cost_no_queries_and_no_time(house, monkeypatch):
    """Thirty sessions whose daemons run: one statement a turn while nothing comes, under 1 % of a processor."""
    locks = []
    monkeypatch.setattr(start, "spawn", lambda _command, run, *_: locks.append(acquireLock(run.rundir)))
    monkeypatch.setattr(start, "notePid", lambda _run, _process: None)
    counts = []
    for number in (2, 30):
        for index in range(len(house.made), number):
            house.addSession(f"26nov27{index:02d}")
        house.begin()
        with sinedon.countQueries() as queries:
            house.keeper.watch.update()
        counts.append(queries.count)
        house.turnUntil(lambda number=number: list(house.states().values()) == ["running"] * number)
    assert counts[0] == counts[1]
    clock = Clock()
    takeTurn(house.keeper, clock)
    with sinedon.countQueries() as queries:
        clock.asked = float("-inf")
        takeTurn(house.keeper, clock)
    assert queries.count <= 2  # a database file is asked by itself: images, and projects
    began = time.process_time()
    for _ in range(20):
        clock.asked = float("-inf")
        takeTurn(house.keeper, clock)
    assert (time.process_time() - began) / 20 < 0.01 * 5, "of the five seconds from one turn to the next"
    for lock in locks:
        lock.release()
