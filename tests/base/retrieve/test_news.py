"""Whether there may be anything new: whatever changes an answer is noticed, nothing else is."""

from __future__ import annotations

import pytest
from django.db.utils import OperationalError

import sinedon
from appion.base.retrieve import news
from appion.base.retrieve.news import constructNews
from sinedon.models import appiondata, leginondata
from tests.services.sessions import addImages, makeSession

Status, Assessment, Done = (
    leginondata.ViewerImageStatus, appiondata.ApAssessmentData, leginondata.SessionDoneLog,
)  # fmt: skip


def judge(made, number, status):
    return sinedon.insertRow(Status, image=made.image_ids[number], status=status, session=None).def_id


@pytest.mark.usefixtures("anydatabase")
def test_news_are_told_once():
    made = makeSession(images=3)
    hasNews = constructNews(made.session_id, True)
    assert hasNews(False)
    assert not hasNews(False)
    assert hasNews(True)
    assert not hasNews(False)
    made = addImages(made, 1)
    assert hasNews(False)
    hidden = judge(made, 3, "hidden")  # of an image that has just come
    for change in (
        lambda: None,
        lambda: Status.objects.filter(def_id=hidden).update(status="visible"),
        lambda: Status.objects.filter(def_id=hidden).update(status="trash"),
        lambda: Status.objects.filter(def_id=hidden).delete(),
        lambda: judge(made, 0, "exemplar"),
        lambda: sinedon.insertRow(Assessment, image=made.image_ids[1], selectionkeep=0),
        lambda: Assessment.objects.filter(image_id=made.image_ids[1]).update(selectionkeep=1),
        lambda: sinedon.insertRow(Done, session=made.session_id, done=True),
        lambda: Done.objects.filter(session_id=made.session_id).update(done=False),
        lambda: leginondata.AcquisitionImageData.objects.filter(def_id=made.image_ids[0]).delete(),
    ):
        change()
        assert hasNews(False)
        assert not hasNews(False)


@pytest.mark.usefixtures("anydatabase")
def test_another_session_is_no_news():
    made, other = makeSession(images=2), makeSession(images=2, name="26mar20b")
    hasNews = constructNews(made.session_id, True)
    assert hasNews(False)
    other = addImages(other, 3)
    judge(other, 4, "hidden")
    sinedon.insertRow(Assessment, image=other.image_ids[-1], selectionkeep=0)
    sinedon.insertRow(Done, session=other.session_id, done=True)
    assert not hasNews(False)


@pytest.mark.usefixtures("database")
def test_an_image_of_a_lower_id_that_comes_late_is_news():
    made = makeSession(images=3)
    late = leginondata.AcquisitionImageData.objects.get(def_id=made.image_ids[1])
    leginondata.AcquisitionImageData.objects.filter(def_id=late.def_id).delete()
    hasNews = constructNews(made.session_id, False)
    assert hasNews(False)
    late.save(force_insert=True)
    assert hasNews(False)


@pytest.mark.usefixtures("database")
def test_judgements_are_no_news_where_they_do_not_matter_and_always_may_be_where_siblings_judge():
    made = makeSession(images=2)
    careless, careful = constructNews(made.session_id, False), constructNews(made.session_id, True, True)
    assert careless(False)
    judge(made, 0, "hidden")
    assert not careless(False)
    assert careful(False)
    assert careful(False)


@pytest.mark.usefixtures("database")
def test_news_that_could_not_be_taken_in_are_told_again(monkeypatch):
    made = makeSession(images=2)
    hasNews = constructNews(made.session_id, True)
    assert hasNews(False)
    addImages(made, 1)

    def fail(*_):
        raise OperationalError(2006, "MySQL server has gone away")

    with monkeypatch.context() as patch:
        patch.setattr(news, "constructQuestions", fail)
        with pytest.raises(OperationalError):
            hasNews(False)
    assert hasNews(False)
    assert not hasNews(False)
