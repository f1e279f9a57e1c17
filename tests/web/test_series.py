"""The numbers that a session page asks for: all of them, and what is new since."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client

import sinedon
from appion.base.records.runfolder import seriesPath
from sinedon.models import appiondata
from tests.web.rows import Session


@pytest.fixture
def session(anydatabase, tmp_path) -> Session:
    assert anydatabase.projectid == 1
    made = Session(tmp_path, 6)
    made.correct(made.exposures[:4])
    made.estimate(made.exposures[:3])
    return made


def ask(browser, session, **query):
    answer = browser.get(session.url("series.json"), query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def testEveryExposureIsThereWithItsNumbers(session, browser):
    found = ask(browser, session)
    assert found["full"]
    assert found["order"] == session.exposures
    columns = found["columns"]
    assert all(len(values) == 6 for values in columns.values())
    assert columns["drift"] == [10.0] * 4 + [None] * 2
    assert columns["ctf_resolution"] == [4.2] * 3 + [None] * 3
    assert found["states"] == ["done"] * 3 + ["corrected"] + ["waiting"] * 2
    assert columns["defocus_nominal"] == [20000.0] * 6
    assert found["summary"]["counts"] == {"taken": 6, "corrected": 4, "ctf": 3, "set_aside": 0}


def testOnlyWhatIsNewComesWithACursor(session, browser):
    first = ask(browser, session)
    again = ask(browser, session, since=first["cursor"])
    assert (again["full"], again["order"]) == (False, [])
    taken = session.take(1)
    session.correct([session.exposures[4]])
    news = ask(browser, session, since=again["cursor"])
    assert not news["full"]
    assert news["order"] == [session.exposures[4], *taken]
    assert news["states"] == ["corrected", "waiting"]
    session.fail("ctf", session.exposures[3] + 1, "the fit <script>alert(1)</script> failed")
    session.fail("motion", taken[0], "the movie is broken", next_try=1e10)
    news = ask(browser, session, since=news["cursor"])
    assert dict(zip(news["order"], zip(news["states"], news["reasons"], strict=True), strict=True)) == {
        session.exposures[3]: ("failed", "the fit <script>alert(1)</script> failed"),
        taken[0]: ("waiting", "the movie is broken"),
    }
    assert news["summary"]["counts"]["set_aside"] == 1
    assert ask(browser, session, since="other.3")["full"]


@pytest.mark.parametrize("lines", [True, False], ids=["series", "rows"])
def testQueriesAreAsManyForAnyNumberOfExposures(anydatabase, browser, tmp_path, lines):
    """For everything and for what is new, of runs with a series and of those that only rows tell of."""
    assert anydatabase.projectid == 1
    counted = []
    for number, exposures in enumerate((4, 300)):
        made = Session(tmp_path, exposures, name=f"26nov22{number}", first=5000 * (number + 1))
        made.correct(made.exposures, lines)
        made.estimate(made.exposures[:-1], lines)
        browser.get(made.url())
        with sinedon.countQueries() as first:
            found = ask(browser, made)
            browser.get(made.url("squares.json"))
        assert found["states"].count("done") == exposures - 1
        made.correct(made.take(1), lines)
        with sinedon.countQueries() as update:
            news = ask(browser, made, since=found["cursor"])
        assert news["states"] == ["corrected"]
        counted.append((first.count, update.count))
    assert counted[0] == counted[1]


def testRunsOfOtherProgramsTellByTheirRows(anydatabase, browser, tmp_path):
    """Classic writes no series: drift, defocus and the rest come from rows."""
    assert anydatabase.projectid == 1
    made = Session(tmp_path, 3)
    made.correct(made.exposures[:2], lines=False)
    made.estimate(made.exposures[:1], lines=False)
    first = made.exposures[0]
    path = sinedon.insertRow(appiondata.ApDDFrameTrajectoryData, image=first + 1, ddstackrun=made.motion,
                             pos_x=[0.0, 3.0, 3.0], pos_y=[0.0, 4.0, 5.0])  # fmt: skip
    sinedon.insertRow(appiondata.ApDDAlignStatsData, image=first + 1, ddstackrun=made.motion, apix=2.0,
                      top_shift1_value=5.0, trajectory=path)  # fmt: skip
    found = ask(browser, made)
    columns = found["columns"]
    assert found["states"] == ["done", "corrected", "waiting"]
    assert (columns["drift"], columns["drift_jump"]) == ([12.0, None, None], [10.0, None, None])
    assert (columns["defocus"][0], columns["astigmatism"][0]) == (pytest.approx(15500), pytest.approx(1000))
    assert (columns["ctf_resolution"][0], columns["confidence"][0], columns["spectrum"][0]) == (4.2, 0.9, 1)
    assert columns["thumb"] == [1, 1, 0]
    assert found["summary"]["verdict"] == "stopped"


def testSeriesThatBeginsLaterIsFollowed(session, browser):
    """A folder that a run is begun anew in has other numbers: everything is sent again."""
    first = ask(browser, session)
    path = seriesPath(session.folders["motion"])
    path.rename(path.with_suffix(".old"))
    session.appendLines("motion", session.exposures[:2], {"drift": 77.0})
    again = ask(browser, session, since=first["cursor"])
    assert again["full"]
    assert again["columns"]["drift"][:2] == [77.0, 77.0]


def testNumbersOfTheLastAreComparedWithTheSession(database, browser, tmp_path):
    assert database.projectid == 1
    made = Session(tmp_path, 60)
    made.correct(made.exposures[:40])
    made.correct(made.exposures[40:], drift=31.0)
    summary = ask(browser, made)["summary"]
    assert summary["sentences"] == ["drift of the last 20 is 3.1 times the session's (31.0 Å, 10.0 Å)"]
    assert summary["good"] == "60 of 60 are good (100 %): drift at most 50 Å"


def testManyAskAtOnce(session, browser):
    """Threads share what is kept; each exposure is there once."""
    assert browser
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(askInThread, [session] * 24))
    assert all(answer["order"] == session.exposures for answer in found)


def askInThread(session):
    try:
        return ask(Client(), session)
    finally:
        sinedon.closeConnections()
