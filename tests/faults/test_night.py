"""A night in which everything fails, some of it at the same time; in the morning all is there, once, and explained."""

from __future__ import annotations

import signal
from collections import Counter

import pytest

import sinedon
from tests.faults.night import Night, checkJobs, checkNothingLeft, checkRuns, checkStory, checkSums
from tests.faults.test_daemon import checkStoredOnce
from tests.services.mariadb import MariaDB

NUMBER = 120


def passNight(night: Night, server: MariaDB) -> None:
    """What happens and when, in terms of what is done."""
    night.expose(30)
    night.start()
    night.waitForStored(6)
    with night.holdPrograms():
        night.killBusyWorkers(1)
    night.expose(30)
    night.waitForStored(15)
    night.cancelJobs(1)
    night.waitForStored(25)
    loseSlurmAndDaemon(night)
    night.expose(30)
    night.waitForStored(50)
    loseDatabase(night, server)
    night.expose(NUMBER - len(night.made.image_ids))
    night.waitForStored(65)
    loseDatabaseAndDaemon(night, server)
    night.waitForStored(85)
    night.cancelJobs(4)
    night.waitForStored(95)
    with night.holdPrograms():
        night.killBusyWorkers(2)
    night.waitForStored(108)
    night.killAnyWorkers(3)
    night.waitForStored(NUMBER)
    night.end()


def loseSlurmAndDaemon(night: Night) -> None:
    """While Slurm does not answer, workers die, the daemon dies, and the next one starts."""
    with night.holdPrograms():
        night.slurm.stopController(signal.SIGKILL)
        night.killBusyWorkers(2)
    night.waitForEvent("squeue fails")
    night.kill()
    night.start()
    night.waitForEvent("squeue fails", 2)
    night.slurm.startController()


def loseDatabase(night: Night, server: MariaDB) -> None:
    """The database server is killed in the middle of its work, a worker dies meanwhile, and the server comes back."""
    with night.holdPrograms():  # soon the daemon hands out nothing more, and no worker would be busy
        server.process.kill()
        server.process.wait()
        night.killBusyWorkers(1)
    night.waitForEvent("database away")
    server.start(port=server.port)
    sinedon.closeConnections()
    night.waitForEvent("database back")


def loseDatabaseAndDaemon(night: Night, server: MariaDB) -> None:
    """The database server is stopped, and the daemon dies with results that it could not store."""
    server.stop()
    night.waitForEvent("database away", 2)
    night.waitFor(lambda: night.countRecords() >= 2, "results that cannot be stored")
    night.kill()
    server.start(port=server.port)
    sinedon.closeConnections()
    night.start()


@pytest.mark.usefixtures("mariadatabase")
def test_night_in_which_everything_fails(server, slurmcluster, monkeypatch, tmp_path):
    engines = server.execute(
        "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema IN ('leginondb', 'projectdb', 'ap1')"
    )
    assert engines == [("MyISAM",)]
    night = Night(tmp_path, slurmcluster, monkeypatch)
    try:
        passNight(night, server)
        checkMorning(night)
    except BaseException as error:
        error.add_note(night.describe())
        raise
    finally:
        if night.process is not None:
            night.kill()


def checkMorning(night: Night) -> None:
    """All is there, once; nothing is left over; and the events tell how it came about."""
    checkStoredOnce(night.made, night.daemon)
    checkSums(night)
    checkNothingLeft(night)
    checkRuns(night, checkStory(night))
    checkJobs(night)
    told = Counter(event["what"] for event in night.readEvents())
    assert (told["started"], told["ended"], told["stored"]) == (3, 1, NUMBER), told
    assert told["job lost"] >= 6, told
    assert told["database away"] >= 2, told
    assert told["database back"] >= 1, told
    assert told["squeue fails"] >= 2, told
    assert told["squeue answers again"] >= 1, told
    assert told["recovered"] >= 2, told
