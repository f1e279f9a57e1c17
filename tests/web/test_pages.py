"""The pages themselves: what they say, and that nothing of what others wrote is anything but text on them."""

from __future__ import annotations

import html
import json
import re
import time
from dataclasses import asdict, replace

import dask.config
import pytest

import sinedon
from appion.base.records.keeping import Keeping, KeptRun, NotStarted, keepingPath
from appion.base.records.runfolder import attemptsPath, seriesPath, statusPath
from appion.web.security import HEADERS, POLICY
from sinedon.models import appiondata, leginondata, projectdata
from tests.web.rows import Session

EVIL = "<script>alert('x')</script>\"&"

#: The scripts of the pages themselves.
OURS = re.compile(r'<script (id="facility" type="application/json"|type="module" src="/static/[\w./-]+"( defer)?)>')


@pytest.fixture
def session(database, tmp_path) -> Session:
    assert database.projectid == 1
    made = Session(tmp_path, 5)
    made.correct(made.exposures[:4])
    made.estimate(made.exposures[:3])
    return made


def readRows(browser) -> list[dict]:
    answer = browser.get("/facility.json")
    assert answer.status_code == 200
    return answer.json()["rows"]


def testFacilityTellsWhatTheKeeperHasNotStarted(session, browser, tmp_path):
    now = time.time()
    runs = (KeptRun("/r/a", "26nov22c", "krios", "ctffind4.py", "ctf1", "waiting", "no movie", now),
            KeptRun("/r/b", "26nov22d", "krios", "motioncor2.py", "dd", "backing off", "exit 1", 0.0, 2e9, None, 2),
            KeptRun("/r/c", "26nov22e", "krios", "motioncor2.py", "dd", "running"))  # fmt: skip
    keeping = Keeping("em1", 77, now - 60, now - 5, runs, (NotStarted("26nov22f", "krios", EVIL),))
    with dask.config.set({"appion.keep.folder": str(tmp_path)}):
        assert browser.get("/facility.json").json()["keeper"] is None
        keepingPath(tmp_path).write_text(json.dumps(asdict(keeping)))
        found = browser.get("/facility.json").json()
        assert (found["keeper"]["trouble"], found["problems"]) == (False, [])
        assert [(one["verdict"], one["session"], one["state"]) for one in found["keeper"]["waiting"]] == [
            ("trouble", "26nov22d", "backing off"), ("waiting", "26nov22c", "waiting"),
            ("skipped", "26nov22f", "not started")]  # fmt: skip
        assert found["keeper"]["waiting"][0]["why"].startswith("exit 1; started 2 times so far; tried again at ")
        assert found["keeper"]["waiting"][2]["why"] == EVIL
        assert EVIL.encode() not in browser.get("/").content
        keepingPath(tmp_path).write_text(json.dumps(asdict(replace(keeping, heartbeat=now - 200))))
        assert "TROUBLE: the keeper shows no sign of life" in browser.get("/facility.json").json()["problems"][0]
        keepingPath(tmp_path).write_text("{")
        assert "the keeper cannot be told of" in browser.get("/facility.json").json()["problems"][0]
    assert session.exposures


def testFacilityHasARowForEveryRunThatIsAlive(session, browser, tmp_path):
    other = Session(tmp_path, 40, name="26nov22b", first=5000)
    other.correct(other.exposures, drift=80.0)
    session.saveStatus("motion", total=5, counts={"done": 4, "waiting": 1}, behind={"count": 1, "minutes": 2.5},
                       waiting_for=[{"count": 1, "reason": "the movie is not there", "image": 3, "images": []}])
    session.saveStatus("ctf", total=4, counts={"done": 3, "set aside": 1})
    other.saveStatus("motion", total=40, counts={"done": 40})
    other.saveStatus("ctf", heartbeat=time.time() - 3 * 86400)
    rows = {(row["session"], row["kind"]): row for row in readRows(browser)}
    assert rows.keys() == {("26nov22a", "motion"), ("26nov22a", "ctf"), ("26nov22b", "motion")}
    motion = rows["26nov22a", "motion"]
    assert (motion["verdict"], motion["taken"], motion["corrected"], motion["ctf"]) == ("ok", 5, 4, None)
    assert (motion["behind_minutes"], motion["per_hour"], motion["good"]) == (2.5, 300.0, 100)
    assert motion["waits"] == "1 x the movie is not there"
    assert motion["workers"] == "2 of 2 there (local)"
    assert motion["trend"][-1] == 10.0
    assert re.fullmatch(r"\d+ of \d+ GB free", motion["disk"])
    assert rows["26nov22a", "ctf"]["verdict"] == "trouble"
    assert "1 exposure failed for good" in rows["26nov22a", "ctf"]["words"]
    assert rows["26nov22b", "motion"]["good"] == 0
    assert rows["26nov22b", "motion"]["microscope"] == "Krios"
    page = browser.get(motion["url"])
    assert page.status_code == 200
    assert motion["url"] == session.url(f"?motion={session.motion.def_id}")


def testRunsOfEveryProjectAreSeen(mariadatabase, mariadb, browser, tmp_path):
    """Each project has an Appion database of its own; ids in them are the same and mean other runs."""
    assert mariadatabase.engine == "mariadb"
    first = Session(tmp_path, 2)
    first.correct(first.exposures)
    mariadb.execute("CREATE DATABASE IF NOT EXISTS ap2")
    for table in ("ApPathData", "ApDDStackParamsData", "ApDDStackRunData", "ApAceRunData", "ApDDAlignImagePairData",
                  "ApAppionJobData", "ApCtfData", "ApDDAlignStatsData", "ApDDFrameTrajectoryData"):  # fmt: skip
        mariadb.execute(f"CREATE TABLE ap2.`{table}` LIKE ap1.`{table}`")
    try:
        sinedon.insertRow(projectdata.projects, def_id=2, name="project 2", hidden=False)
        sinedon.insertRow(projectdata.processingdb, project=2, appiondb="ap2")
        sinedon.setup(2)
        second = Session(tmp_path, 3, name="26nov22b", first=5000)
        second.correct(second.exposures, drift=33.0)
        projectdata.projectexperiments.objects.filter(session_id=second.made.session_id).update(project_id=2)
        for one in (first, second):
            one.saveStatus("motion", total=3, counts={"done": 2})
        sinedon.setup()  # no database of a project is in use
        assert second.motion.def_id == first.motion.def_id
        assert [row["session"] for row in readRows(browser)] == ["26nov22a", "26nov22b"]
        for one, drift in ((first, [10.0] * 2), (second, [33.0] * 3)):
            answer = browser.get(one.url("series.json")).json()
            assert answer["columns"]["drift"] == drift
    finally:
        mariadb.execute("DROP DATABASE ap2")


def testExposureTellsEverything(session, browser):
    first, second, third = session.exposures[:3]
    session.saveStatus("motion")
    session.saveEvents("motion", {"image": second, "name": session.nameExposure(second), "what": "submitted"},
                       {"what": "started"},
                       {"image": second, "what": "failed", "reason": "the GPU <b>fell</b> off", "host": "node7"})
    session.fail("motion", second, "the GPU <b>fell</b> off")
    page = browser.get(session.url(f"exposure/{second}/"))
    text = html.unescape(re.sub(r"<[^>]*>", " ", page.content.decode()))
    assert page.status_code == 200
    for words in ("drift", "10.0 Å", "15500 Å", "2 of 5", "submitted", "a new daemon", "host=node7", "[image]"):
        assert words in text
    assert b"<b>" not in page.content
    assert f"/exposure/{first}/" in page.content.decode()
    assert f"/exposure/{third}/" in page.content.decode()
    assert browser.get(session.url("exposure/7/")).status_code == 404


def testWhatOthersWroteIsText(session, browser):
    """Names of sessions, runs and presets, and reasons."""
    leginondata.SessionData.objects.filter(def_id=session.made.session_id).update(name="<script>a")
    appiondata.ApDDStackRunData.objects.update(runname=EVIL)
    leginondata.AcquisitionImageData.objects.filter(def_id=session.exposures[0]).update(filename=EVIL)
    leginondata.PresetData.objects.filter(name="enn-a").update(name=EVIL)
    session.fail("motion", session.exposures[4], EVIL)
    session.saveStatus("motion", waiting_for=[{"count": 1, "reason": EVIL, "image": 3, "images": []}], total=5)
    session.saveEvents("motion", {"image": session.exposures[0], "what": "failed", "reason": EVIL, "name": EVIL})
    for address in ("/", "/session/%3Cscript%3Ea/", f"/session/%3Cscript%3Ea/exposure/{session.exposures[0]}/",
                    f"/session/%3Cscript%3Ea/exposure/{session.exposures[4]}/", "/session/%3Cscript%3Eb/",
                    "/session/%3Cscript%3Ea/?motion=%3Cscript%3E"):  # fmt: skip
        answer = browser.get(address)
        assert "<script" not in OURS.sub("", answer.content.decode())
        assert b"<script>a" not in answer.content
    rows = json.loads(browser.get("/facility.json").content)["rows"]
    assert rows[0]["waits"] == f"1 x {EVIL}"


@pytest.mark.parametrize("address", ["/session/../../etc/passwd/", "/session/%2e%2e/", "/session/%2e%2e%2f%2e%2e/",
                                     "/session/a%00b/", "/static/../settings.py", "/static/%2e%2e/settings.py",
                                     "/session/26nov22a/picture/../../x.jpg", "/session/26nov22a/thumb/%2e%2e.jpg",
                                     "/session/26nov22a/exposure/999999999999999999999999/",
                                     "/session/26nov22a/?motion=99999999999999999999", "/session/26nov22a/?ctf=-1",
                                     "/session/26nov22a/?motion=12", "/nothing", "/session/nobody/"])  # fmt: skip
def testAddressesThatLeadNowhere(session, browser, address):
    answer = browser.get(address)
    assert answer.status_code == 404
    assert session.root.name.encode() not in answer.content


@pytest.mark.parametrize("address", ["/", "/facility.json", "/nothing", "/session/26nov22a/", "/static/site.css",
                                     "/session/26nov22a/series.json", "/session/26nov22a/columns.json",
                                     "/session/26nov22a/squares.json", "/static/facility.js"])  # fmt: skip
def testEveryAnswerHasTheHeaders(session, browser, address):
    assert session.exposures
    answer = browser.get(address)
    assert {name: answer[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in POLICY
    assert "*" not in POLICY
    answer.close()
    refused = browser.get(address, headers={"Host": "evil.example.org"})
    assert refused.status_code == (200 if "static" in address else 400)
    assert refused["Content-Security-Policy"] == POLICY
    refused.close()
    assert browser.post("/facility.json").status_code in (403, 405)


def testSquaresHaveTheirHolesWhereTheyAre(session, browser):
    squares = browser.get(session.url("squares.json")).json()
    assert [len(square["holes"]) for square in squares] == [2, 2]
    holes = [hole for square in squares for hole in square["holes"]]
    assert sorted(exposure for hole in holes for exposure in hole["exposures"]) == session.exposures
    x = [hole["x"] for hole in squares[0]["holes"]]
    assert x == [round(0.5 + 100 / 1024, 5), round(0.5 + 150 / 1024, 5)]
    assert squares[0]["holes"][0]["y"] == round(0.5 - 200 / 1024, 5)
    columns = browser.get(session.url("series.json")).json()["columns"]
    assert set(columns["square"]) == {square["id"] for square in squares}
    assert set(columns["hole"]) == set(session.holes)


def testColumnsAreDescribed(session, browser):
    with dask.config.set({"appion.web.limits": {"drift": 12}}):
        columns = {one["name"]: one for one in browser.get(session.url("columns.json")).json()}
    assert columns["drift"] == {"name": "drift", "words": "drift", "unit": "Å", "digits": 1, "better": "low",
                                "threshold": 12, "step": None}  # fmt: skip
    assert columns["confidence"]["better"] == "high"
    assert browser.get(session.url("series.json")).json()["columns"].keys() <= columns.keys()


def testSessionWithoutRunsOrFolders(database, browser, tmp_path):
    """A session that nothing was run on has a page that says so; so has one whose run folder is away."""
    assert database.projectid == 1
    made = Session(tmp_path, 3)
    made.root.joinpath("appion").rename(tmp_path / "away")
    answer = browser.get(made.url("series.json")).json()
    assert (answer["order"], answer["summary"]["verdict"]) == (made.exposures, "stopped")
    appiondata.ApDDStackRunData.objects.all().delete()
    appiondata.ApAceRunData.objects.all().delete()
    assert browser.get(made.url()).status_code == 200
    assert browser.get(made.url("series.json")).json()["order"] == []


def testOneBrokenRunDoesNotHideTheOthers(session, browser, tmp_path):
    """A folder that is none, a status that is none, and a folder that may not be read."""
    others = [Session(tmp_path, 2, name=f"26nov22{letter}", first=5000 * number)
              for number, letter in enumerate("bcd", 1)]  # fmt: skip
    for one in (session, *others):
        one.correct(one.exposures[-1:])
        one.saveStatus("motion", total=5)
    statusPath(others[0].folders["motion"]).write_text('{"heartbeat": 1e12, "counts": 3}')
    seriesPath(others[1].folders["motion"]).unlink()
    seriesPath(others[1].folders["motion"]).mkdir()
    statusPath(others[2].folders["motion"]).write_text("{")
    attemptsPath(others[2].folders["motion"]).mkdir()
    facility = browser.get("/facility.json").json()
    assert "26nov22a" in {row["session"] for row in facility["rows"]}
    for one in others:
        assert browser.get(one.url()).status_code == 200
        assert browser.get(one.url("series.json")).json()["states"] == ["waiting", "corrected"]
        assert browser.get(one.url(f"exposure/{one.exposures[0]}/")).status_code == 200
    assert "cannot be read" in browser.get(others[1].url("series.json")).json()["summary"]["trouble"][-1]
