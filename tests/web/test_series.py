"""The numbers that a session page asks for: all of them, and what is new since."""

from __future__ import annotations

import pytest

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
