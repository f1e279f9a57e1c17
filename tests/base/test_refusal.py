"""What a database refuses while a run goes on: it waits and says what to type; a value is its own image's."""

from __future__ import annotations

import time
from collections import Counter

import dask.config
import pytest
from django.db import connections

import sinedon
from appion.base.cli.command import runCommand
from appion.base.controller.refusal import DatabaseRefusal
from appion.base.loop import LoopOptions, runLoop
from appion.base.retrieve.attempts import readAttempts
from appion.base.retrieve.journal import retrieveResultIds
from appion.base.retrieve.status import findTrouble, readStatus
from sinedon.live import readLiveTables
from sinedon.models import appiondata, leginondata
from tests.base.running import stopWhen, whatHappened

pytestmark = pytest.mark.usefixtures("fast", "inline")

IMAGES = range(1, 13)
ACCOUNT = "'limited'@'127.0.0.1'"


class Site:
    """Somebody who breaks the database when so many are stored, and mends it when the run says what is wrong.

    `told`: what the status said meanwhile.
    """

    def __init__(self, lab, breakIt, mendIt, words, after=3):
        self.lab, self.breakIt, self.mendIt, self.words, self.after = lab, breakIt, mendIt, words, after
        self.told, self.broken, self.looks = "", False, 0
        lab.onStore, lab.onPoll = self.store, self.look

    def store(self, image_id):
        if not self.broken and len(self.lab.stored) == self.after:
            self.breakIt()
            self.broken = True
        sinedon.insertRow(appiondata.ApPathData, path=f"/image{image_id}")

    def look(self):
        told = "\n".join(findTrouble(readStatus(self.lab.rundir))) if self.broken else ""
        if self.words in told and not self.told:
            self.looks += 1
            if self.looks > 3:  # polls, in which it was tried in vain
                self.told = told
                self.mendIt()

    def run(self, **options):
        deadline = time.monotonic() + 500
        lab = self.lab
        stopWhen(lambda: (self.told and len(lab.stored) == len(lab.candidates)) or time.monotonic() > deadline)
        return runLoop(self.lab.step(), self.lab.rundir, LoopOptions(workers=2, **options))


def checkStoredOnce(lab, ids=IMAGES):
    """Each exposure is computed once and stored once, nobody was blamed, and nothing is left."""
    assert Counter(appiondata.ApPathData.objects.values_list("path", flat=True)) == {f"/image{one}": 1 for one in ids}
    assert Counter(lab.computed) == dict.fromkeys(ids, 1)
    assert not {"failed", "set aside"} & set(whatHappened(lab))
    assert readAttempts(lab.rundir) == {}
    assert list(retrieveResultIds(lab.rundir)) == []


def alter(mariadb, *statements):
    return lambda: mariadb.execute(*statements, database="ap1")


def test_a_right_that_is_taken_and_given_back(lab, limited):
    limited.grant("SELECT, INSERT ON ap1.*")
    readLiveTables("appiondata")
    lab.add(*IMAGES)
    site = Site(lab, lambda: limited.revoke("INSERT ON ap1.*"), lambda: limited.grant("INSERT ON ap1.*"), "INSERT")
    summary = site.run()
    assert (summary.counts["done"], summary.trouble) == (len(IMAGES), "")
    assert "results cannot be stored (they are kept) since" in site.told
    assert f": user {ACCOUNT} has no right to INSERT on table ap1.ApPathData; type: GRANT INSERT, UPDATE" in site.told
    assert f"ON ap1.* TO {ACCOUNT}" in site.told
    assert {"storing fails", "storing works again"} <= set(whatHappened(lab))
    checkStoredOnce(lab)


@pytest.mark.usefixtures("mariadatabase")
@pytest.mark.parametrize(("breaking", "mending", "words"), [
    (["ALTER TABLE ApPathData ADD site_col INT NOT NULL"], ["ALTER TABLE ApPathData DROP COLUMN site_col"],
     "column site_col of table ap1.ApPathData has to be filled and has no default; "
     "type: ALTER TABLE ap1.ApPathData MODIFY site_col int(11) NULL"),
    (["RENAME TABLE ApPathData TO Kept"], ["RENAME TABLE Kept TO ApPathData"],
     "the database has no table ApPathData; run: sinedon init --appiondb ap1"),
    (["ALTER TABLE ApPathData CHANGE path kept TEXT"], ["ALTER TABLE ApPathData CHANGE kept path TEXT"],
     "table ApPathData has no column 'path'; run: sinedon init --appiondb ap1"),
    (["ALTER TABLE ApPathData MODIFY path VARCHAR(3)"], ["ALTER TABLE ApPathData MODIFY path TEXT"],
     "the value for column path of table ap1.ApPathData is too long for it; if it is right, "
     "type: ALTER TABLE ap1.ApPathData MODIFY path TEXT"),
])  # fmt: skip
def test_a_table_that_a_site_alters(lab, mariadb, breaking, mending, words):
    lab.add(*IMAGES)
    after = 0 if "VARCHAR" in breaking[0] else 3  # rows that are there would not let themselves be cut off
    site = Site(lab, alter(mariadb, *breaking), alter(mariadb, *mending), words, after)
    summary = site.run()
    assert (summary.counts["done"], summary.trouble) == (len(IMAGES), "")
    assert words in site.told
    if after:
        checkStoredOnce(lab)
    assert readAttempts(lab.rundir) == {}
    assert "set aside" not in whatHappened(lab)
    assert Counter(lab.computed) == dict.fromkeys(IMAGES, 1), "only storing is repeated"


def test_an_account_that_is_locked_for_a_while(lab, limited):
    limited.grant("SELECT, INSERT ON ap1.*")
    readLiveTables("appiondata")
    lab.add(*IMAGES)
    site = Site(lab, limited.lock, limited.unlock, "the database does not answer")
    assert site.run().counts["done"] == len(IMAGES)
    assert "the server refuses the account: Access denied, this account is locked (4151); type: ALTER USER" in site.told
    checkStoredOnce(lab)


def test_a_right_to_read_that_is_taken_and_given_back(lab, limited):
    """Nothing is handed out, or nothing listed, and both go on by themselves."""
    limited.grant("SELECT, INSERT ON ap1.*")
    limited.grant("SELECT ON leginondb.*")
    limited.grant("SELECT ON leginondb.SessionData")  # which stays: without any right the account is refused
    readLiveTables("appiondata")
    readLiveTables("leginondata")
    lab.add(*IMAGES)
    site = Site(lab, lambda: limited.revoke("SELECT ON leginondb.*"), lambda: limited.grant("SELECT ON leginondb.*"),
                "nothing is handed out for now")  # fmt: skip

    def readParams(image_id):
        if site.broken or image_id < 10:  # as newest come first, some are handed out before
            leginondata.CameraEMData.objects.first()

    lab.onParams = readParams
    assert site.run().counts["done"] == len(IMAGES)
    assert f"user {ACCOUNT} has no right to SELECT on table leginondb.CameraEMData; type: GRANT SELECT" in site.told
    assert {"paused", "resumed"} <= set(whatHappened(lab))
    checkStoredOnce(lab)

    lab.add(*range(13, 16))
    site = Site(lab, lambda: limited.revoke("SELECT ON leginondb.*"), lambda: limited.grant("SELECT ON leginondb.*"),
                "listing the exposures fails", after=len(IMAGES) + 1)  # fmt: skip
    look = site.look

    def listImages():
        look()
        if site.broken:
            leginondata.CameraEMData.objects.first()

    lab.onPoll, lab.onParams = listImages, None
    assert site.run().counts["done"] == 15
    assert "has no right to SELECT on table leginondb.CameraEMData; type: GRANT SELECT ON leginondb.* TO" in site.told
    checkStoredOnce(lab, range(1, 16))


@pytest.mark.usefixtures("database")
def test_one_odd_value_is_its_images_own(lab):
    """Others are stored meanwhile; of three in a row that are odd at the end it is not the column that is to blame."""
    with connections["appiondata"].cursor() as cursor:
        cursor.execute("CREATE TABLE Narrow (value INTEGER CONSTRAINT small CHECK (value < 1000))")

    def store(image_id):
        with connections["appiondata"].cursor() as cursor:
            cursor.execute("INSERT INTO Narrow (value) VALUES (%s)", [image_id if image_id % 5 else 1000 + image_id])

    lab.add(*range(1, 31))
    lab.onStore = store
    summary = runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=2))
    odd = set(range(5, 31, 5))
    assert set(lab.stored) == set(range(1, 31)) - odd
    assert (summary.counts["set aside"], summary.trouble) == (len(odd), "")
    assert Counter(lab.computed) == dict.fromkeys(range(1, 31), 1)
    attempts = readAttempts(lab.rundir)
    assert set(attempts) == odd
    assert {(one.kind, one.count) for one in attempts.values()} == {("image", 3)}
    assert "table ap1.Narrow does not take the row: constraint small" in attempts[5].reason
    assert set(retrieveResultIds(lab.rundir)) == odd, "their results are kept"


@pytest.mark.usefixtures("database")
def test_a_run_that_does_not_wait_ends_when_nothing_can_be_stored_for_long(lab):
    lab.add(*IMAGES)

    def store(_):
        if len(lab.stored) >= 3:
            with connections["appiondata"].cursor() as cursor:
                cursor.execute("SELECT a FROM `ApNothing`")

    lab.onStore = store
    with dask.config.set({"appion.stalled_after": 0.3}):
        summary = runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=2))
    words = "there is no table ap1.ApNothing; run: sinedon init --appiondb ap1"
    reason = f"results cannot be stored, they are kept: {words}"
    assert (summary.trouble, summary.counts["done"]) == (reason, 3)
    assert set(retrieveResultIds(lab.rundir)) == set(lab.computed) - set(lab.stored)
    assert readAttempts(lab.rundir) == {}
    lab.onStore = None
    assert runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=2)).counts["done"] == len(IMAGES)
    assert Counter(lab.computed) == dict.fromkeys(IMAGES, 1)


@pytest.mark.usefixtures("database")
def test_what_is_refused_at_the_start_ends_the_run_with_one_line(lab, capsys):
    lab.add(*IMAGES)

    def fail(*_):
        with connections["appiondata"].cursor() as cursor:
            cursor.execute("SELECT a FROM `ApNothing`")

    def start():
        runLoop(lab.step(), lab.rundir, LoopOptions(wait=False, workers=2))

    words = "there is no table ap1.ApNothing; run: sinedon init --appiondb ap1"
    for moment in ("onPoll", "onParams"):
        setattr(lab, moment, fail)
        with pytest.raises(DatabaseRefusal, match="there is no table"):
            start()
        capsys.readouterr()
        assert runCommand(start) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
        assert errors == [f"error: {words}"]
        setattr(lab, moment, None)
    assert lab.computed == []
