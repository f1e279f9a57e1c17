"""Numbers of several tables with one statement, and connections that are closed when nothing is to be done."""

from __future__ import annotations

import time

import pytest
from django.db import connections

import sinedon
from sinedon import Totals
from sinedon.models import appiondata, leginondata
from tests.services.sessions import addImages, makeSession

Image, Status, Assessment = (
    leginondata.AcquisitionImageData, leginondata.ViewerImageStatus, appiondata.ApAssessmentData,
)  # fmt: skip
STATUSES = (("hidden", 1), ("trash", 2))


def ask(made):
    ids = (made.image_ids[0], made.image_ids[-1])
    return sinedon.readTotals(
        [
            Totals(Image, {"session": (made.session_id,) * 2, "def_id": (made.image_ids[1], None)}),
            Totals(Status, {"image": ids}, "status", STATUSES),
            Totals(Assessment, {"image": ids}, "selectionkeep", ((0, 5),)),
        ]
    )


@pytest.mark.usefixtures("anydatabase")
def testCountHighestIdAndWeighedSumOfEachTable():
    made = makeSession(images=3)
    makeSession(images=2, name="26mar20b")
    assert ask(made) == [(2, made.image_ids[-1], 0), (0, None, None), (0, None, None)]
    rows = [
        sinedon.insertRow(Status, image=made.image_ids[number], status=status, session=None).def_id
        for number, status in enumerate(("trash", "visible", "hidden"))
    ]
    kept = [sinedon.insertRow(Assessment, image=one, selectionkeep=one % 2).def_id for one in made.image_ids]
    bad = [row for row, one in zip(kept, made.image_ids, strict=True) if one % 2 == 0]
    assert ask(made)[1:] == [(3, max(rows), 2 * rows[0] + rows[2]), (3, max(kept), 5 * sum(bad))]
    Status.objects.filter(def_id=rows[1]).update(status="hidden")
    assert ask(made)[1] == (3, max(rows), 2 * rows[0] + rows[1] + rows[2])
    made = addImages(made, 1)
    assert ask(made)[0] == (3, made.image_ids[-1], 0)


@pytest.mark.usefixtures("mariadatabase")
def testOneStatementOverOneConnectionForAllDatabasesOfAServer():
    made = makeSession(images=2)
    kept, *others = [askForId(alias) for alias in ("leginondata", "appiondata", "projectdata")]
    sinedon.closeConnections(keep="leginondata")
    with sinedon.countQueries() as counted:
        ask(made)
    assert counted.count == 1
    assert askForId("leginondata") == kept
    awaitClosed(others)
    assert Assessment.objects.count() == 0  # the others come back when they are needed


def askForId(alias):
    """Return the server's number of the connection that leads to this database."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        return cursor.fetchone()[0]


def awaitClosed(ids):
    """Wait until none of these connections is open; a server takes a moment to close one."""
    deadline = time.monotonic() + 60
    with connections["leginondata"].cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM information_schema.processlist WHERE id IN %s", [ids])
            (left,) = cursor.fetchone()
            if not left or time.monotonic() > deadline:
                break
            time.sleep(0.05)
    assert left == 0


@pytest.mark.usefixtures("sqlitedatabase")
def testASQLiteFileIsAskedForItself():
    with sinedon.countQueries() as counted:
        ask(makeSession(images=2))
    assert [sql.count("COUNT") for sql in counted.statements if "COUNT" in sql] == [2, 1]


@pytest.mark.usefixtures("classicdatabase")
def testWhatIsNotThereHasNoRows():
    made = makeSession(images=2)
    assert not sinedon.hasTable(leginondata.SessionDoneLog)
    session = {"session": (made.session_id, made.session_id)}
    assert sinedon.readTotals(
        [Totals(leginondata.SessionDoneLog, session, "done", ((1, 1),)), Totals(Image, session)]
    ) == [(0, 0, 0), (2, made.image_ids[-1], 0)]
