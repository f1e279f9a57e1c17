"""Judging images: only where a site allows it, only for those who have logged in, and only by forms of the pages."""

from __future__ import annotations

import re

import dask.config
import pytest
from django.test import Client

from appion.base.retrieve.attempts import readAttempts, takeRetryRequests
from appion.web.security import FROM_PROXY
from sinedon.models import leginondata
from tests.web.rows import Session

#: What the trusted proxy adds to a question of somebody who has logged in.
LOGIN = {"HTTP_REMOTE_USER": "ada", FROM_PROXY: True}


@pytest.fixture
def session(anydatabase, tmp_path) -> Session:
    assert anydatabase.projectid == 1
    made = Session(tmp_path, 3)
    made.correct(made.exposures[:2])
    return made


@pytest.fixture
def curator(browser):
    """A client that checks where a form came from, and a site that allows judging."""
    assert browser
    with dask.config.set({"appion.web.curation": True}):
        yield Client(enforce_csrf_checks=True)


def press(curator, session, what: str, exposure: int, **login):
    """Load the page of an exposure and press a button of it."""
    page = curator.get(session.url(f"exposure/{exposure}/"), **login)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    form = {"csrfmiddlewaretoken": token[1]} if token else {}
    return curator.post(session.url(f"exposure/{exposure}/{what}"), form, **login)


def readStatuses() -> list[tuple]:
    rows = leginondata.ViewerImageStatus.objects.order_by("def_id")
    return list(rows.values_list("session_id", "image_id", "status"))


def testHiddenAsTheViewerHides(session, curator):
    """One row for each image, with its session; shown again, there is none."""
    first = session.exposures[0]
    leginondata.ViewerImageStatus.objects.create(image_id=first, status="exemplar")
    assert press(curator, session, "hide", first, **LOGIN).status_code == 302
    assert readStatuses() == [(session.made.session_id, image, "hidden") for image in (first, first + 1)]
    assert curator.get(session.url("series.json")).json()["columns"]["hidden"] == [1, 0, 0]
    assert press(curator, session, "unhide", first, **LOGIN).status_code == 302
    assert readStatuses() == []
    assert curator.get(session.url("series.json")).json()["columns"]["hidden"] == [0, 0, 0]


def testFailedExposureIsTriedAgain(session, curator):
    first, last = session.exposures[0], session.exposures[2]
    session.saveStatus("motion", host="another")
    session.fail("motion", last, "broken")
    session.fail("ctf", first + 1, "no fit")
    session.saveStatus("ctf", state="ended", ended="done")
    assert press(curator, session, "retry", last, **LOGIN).status_code == 302
    assert takeRetryRequests(session.folders["motion"]) == [{last}]
    assert press(curator, session, "retry", first, **LOGIN).status_code == 302
    assert readAttempts(session.folders["ctf"]) == {}
    assert press(curator, session, "retry", session.exposures[1], **LOGIN).status_code == 404


@pytest.mark.parametrize("login", [
    {}, {FROM_PROXY: True}, {"HTTP_REMOTE_USER": "ada"}, {"HTTP_REMOTE_USER": "ada", FROM_PROXY: False},
    {"HTTP_REMOTE_USER": " ", FROM_PROXY: True}, {"REMOTE_USER": "ada", FROM_PROXY: True},
])  # fmt: skip
def testNobodyElseJudges(session, curator, login):
    exposure = session.exposures[0]
    page = curator.get(session.url(f"exposure/{exposure}/"), **login)
    assert b"<button formaction" not in page.content
    for what in ("hide", "unhide", "retry"):
        answer = Client().post(session.url(f"exposure/{exposure}/{what}"), **login)
        assert answer.status_code == 403
    assert readStatuses() == []


def testOtherSitesCannotHaveItDone(session, curator):
    exposure = session.exposures[0]
    address = session.url(f"exposure/{exposure}/hide")
    for form in ({}, {"csrfmiddlewaretoken": "x" * 64}):
        assert curator.post(address, form, **LOGIN).status_code == 403
    assert curator.get(address, **LOGIN).status_code == 405
    assert readStatuses() == []


def testOffUnlessTurnedOn(session, browser):
    answer = browser.post(session.url(f"exposure/{session.exposures[0]}/hide"), **LOGIN)
    assert answer.status_code == 403
    assert browser.post(session.url("exposure/7/hide"), **LOGIN).status_code == 403
    assert readStatuses() == []
