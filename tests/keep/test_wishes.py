"""What is said to a keeper and what it says to people."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta

import dask.config
import pytest

from appion.base.failures import ConfigurationFailure
from appion.base.records.keeping import keeperLockPath, preferredFolder
from appion.base.retrieve.alarms import readAlarms
from appion.base.retrieve.keeping import readKeeping
from appion.cli import main
from appion.keep.store.runs import listWishes, lockFolder
from appion.keep.telling import Teller
from sinedon.models import leginondata


def test_people_are_told_once_of_what_they_have_to_mend(house):
    """Who cannot be told is told later; nobody is told again by the next keeper."""
    house.addSession("26nov27a")
    house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
    (house.folder / "appion/26nov27a/ddstack/ddstack1/end").write_text("2")
    house.turnUntil(lambda: house.states() == {"26nov27a": "refused"})
    told = house.folder / "told"
    receivers = [{"command": ["/bin/sh", "-c", f"cat >> {told}"]}, {"name": "deaf", "command": ["/bin/false"]}]
    with dask.config.set({"appion.alarms.receivers": receivers}):
        teller = Teller(house.keeper)
        for _ in range(2):
            teller.due.clear()
            teller.tell()
            teller.thread.join()
        assert not house.run("26nov27a").told
    with dask.config.set({"appion.alarms.receivers": receivers[:1]}):
        teller.alarms = readAlarms()
        teller.tell()
        Teller(house.begin()).tell()
    message = json.loads(told.read_text())
    assert message["text"] == "motioncor2.py does not start, somebody has to mend this: something is to be mended"
    assert (message["session"], message["run"]) == ("26nov27a", house.run("26nov27a").rundir)


def test_a_dry_run_says_what_would_be_and_why_not_and_writes_nothing(house, capsys):
    house.addSession("26nov27a")
    house.addSession("26nov27b", preset="fcn")
    old = house.addSession("26nov17c")
    long_ago = datetime.now() - timedelta(days=9)
    leginondata.AcquisitionImageData.objects.filter(session_id=old.session_id).update(def_timestamp=long_ago)
    profiles = [{"name": "all", "preset": "enn", "commands": ["motioncor2.py --align"]}]
    with dask.config.set({"appion.keep.profiles": profiles}):
        assert main(["keep", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "would start: motioncor2.py --align --session=26nov27a --projectid=1 --preset=enn --runname=ddstack1" in said
    assert "not started (profile all): preset fcn is none of enn" in said
    assert "26nov17c" not in said
    assert not (house.folder / "keeper").exists()
    assert house.count() == {}


def test_one_keeper_at_a_time_and_what_it_started_outlives_it(house, capsys):
    """Called by cron, a turn at a time: what one has begun the next one finds."""
    house.addSession("26nov27a")
    assert main(["keep", "--once"]) == 0
    assert readKeeping(house.folder / "keeper").ended == "one turn was asked for"
    while house.count()["locked 26nov27a"] == 0:
        time.sleep(0.05)
    assert main(["keep", "--once"]) == 0
    (run,) = readKeeping(house.folder / "keeper").runs
    assert (run.state, run.starts) == ("running", 1)
    fd = lockFolder(keeperLockPath(house.folder / "keeper"))
    try:
        assert main(["keep", "--once"]) == 2
    finally:
        os.close(fd)
    assert f"a keeper is at work already: process {os.getpid()} on host" in capsys.readouterr().err


@pytest.mark.usefixtures("house")
def test_wishes_are_told_to_a_keeper_that_is_there(capsys):
    assert main(["keep", "--prefer", "26nov27a"]) == 2
    assert "no keeper ever worked in" in capsys.readouterr().err


def test_who_may_write_wishes_may_not_write_what_is_executed(house):
    before = os.umask(0o002)
    try:
        house.addSession("26nov27a")
        house.turn()
    finally:
        os.umask(before)
    folder = house.keeper.folder
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in (".", "runs", "preferred", "again")}
    assert modes == {".": 0o755, "runs": 0o700, "preferred": 0o775, "again": 0o775}
    (path,) = (folder / "runs").iterdir()
    path.write_text(path.read_text().replace("motioncor2.py", "evil.py"))
    with pytest.raises(ConfigurationFailure, match=r"program 'evil\.py' is none that is kept"):
        house.begin()


def test_a_session_that_shall_hurry_takes_the_place_of_another(house):
    house.addSession("26nov27a")
    with dask.config.set({"appion.keep.runs": 1}):
        house.turnUntil(lambda: house.keeper and house.states() == {"26nov27a": "running"})
        house.addSession("26nov27b")
        house.turnUntil(lambda: "26nov27b" in house.states())
        house.turn()
        assert house.states() == {"26nov27a": "running", "26nov27b": "waiting"}
        assert house.run("26nov27b").reason == "1 runs at a time (keep.runs)"
        assert main(["keep", "--prefer", "26nov27b"]) == 0
        assert listWishes(preferredFolder(house.keeper.folder)) == {"26nov27b"}
        house.turnUntil(lambda: house.states() == {"26nov27a": "waiting", "26nov27b": "running"})
        assert main(["keep", "--no-prefer", "26nov27b"]) == 0
        assert listWishes(preferredFolder(house.keeper.folder)) == set()
