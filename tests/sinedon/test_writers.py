"""Several processes that look for the same rows and insert them where they are not: each row is there once."""

from __future__ import annotations

import multiprocessing
import random
import time

import pytest
from django.db import connections
from django.db.utils import OperationalError

import sinedon
from sinedon import rows
from sinedon.models import appiondata, leginondata

PROCESSES = 8
ROWS = 12


def writeRows(number: int, start: float) -> list[int]:
    """Insert and copy the rows that all processes write, in an order of its own; return the ids met."""
    sinedon.setup(1)
    order = list(range(ROWS))
    random.Random(number).shuffle(order)
    time.sleep(max(0.0, start - time.time()))
    ids = []
    for item in order:
        ids.append(sinedon.insertRow(appiondata.ApPathData, path=f"/run{item}").def_id)
        sinedon.copyRow(leginondata.CameraEMData, 1, nframes=item)
    return ids


@pytest.mark.usefixtures("anydatabase")
def testConcurrentWritersMakeNoDuplicates():
    sinedon.insertRow(leginondata.CameraEMData, nframes=-1, use_frames=(0, 1), exposure_time=1.25)
    sinedon.closeConnections()
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        arguments = [(number, time.time() + 2.5) for number in range(PROCESSES)]
        met = pool.starmap_async(writeRows, arguments, chunksize=1).get(timeout=600)
    paths = list(appiondata.ApPathData.objects.values_list("path", flat=True))
    assert sorted(paths) == sorted(f"/run{item}" for item in range(ROWS))
    assert sorted(leginondata.CameraEMData.objects.values_list("nframes", flat=True)) == list(range(-1, ROWS))
    assert all(sorted(ids) == sorted(met[0]) for ids in met)


def testWaitForALockEnds(mariadatabase, mariadb, monkeypatch):
    """Another writer's lock is waited for, not for ever, and the error says so and can be tried again."""
    assert mariadatabase.engine == "mariadb"
    monkeypatch.setattr(rows, "LOCK_TIMEOUT", 0)
    other = mariadb.connect()
    with other.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('ap1.ApPathData', 0)")
    with pytest.raises(OperationalError, match="ApPathData stayed locked") as error:
        sinedon.insertRow(appiondata.ApPathData, path="/data")
    assert sinedon.isDatabaseAway(error.value)
    other.close()
    monkeypatch.undo()
    assert sinedon.insertRow(appiondata.ApPathData, path="/data").def_id == 1


@pytest.mark.usefixtures("mariadatabase")
def testAFailedInsertReleasesTheLock(mariadb):
    with pytest.raises(Exception, match="Data too long"):
        sinedon.insertRow(appiondata.ApAppionJobData, status="much too long")
    free = mariadb.execute("SELECT IS_FREE_LOCK('ap1.ApAppionJobData')")
    assert free == ((1,),) or free == [(1,)]
    assert sinedon.insertRow(appiondata.ApAppionJobData, status="R").status == "R"


@pytest.mark.usefixtures("sqlitedatabase")
def testLockOfAnotherSQLiteWriterIsToldApart(monkeypatch):
    sinedon.closeConnections()
    monkeypatch.setitem(connections.settings["appiondata"]["OPTIONS"], "timeout", 0.1)
    blocker = connections.create_connection("appiondata")
    with blocker.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError) as error:
            sinedon.insertRow(appiondata.ApPathData, path="/data")
        assert sinedon.isDatabaseAway(error.value)
        cursor.execute("ROLLBACK")
    blocker.close()
    assert sinedon.insertRow(appiondata.ApPathData, path="/data").def_id == 1
