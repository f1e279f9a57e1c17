"""Whether there may be anything new in a session: one query instead of many while nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Max, Min

from appion.base.retrieve.images import OVERLAP, readNewestImageId
from sinedon import Totals, readTotals
from sinedon.models import appiondata, leginondata

Ranges = dict[str, tuple[int | None, int | None]]

#: What counts of a row that judges an image; see :mod:`appion.base.retrieve.rejects`.
STATUSES = (("hidden", 1), ("trash", 2), ("exemplar", 3))
KEPT = ((0, 1), (1, 2))


def constructNews(session_id: int, judged: bool, siblings: bool = False) -> Callable[[bool], bool]:
    """Return the function `hasNews` of a step, for a session.

    Looked at are the images from a little below the newest there was, what judges those of the session if that matters
    (`judged`), and whether the session is declared finished. Rows that come, go or change are seen; of an image, only
    that it comes or goes. Which `siblings` judge each other follows from more than that: there may always be news.
    """
    asked: list[Totals] = []
    ends = Ends(session_id)
    heard: list[tuple[Any, ...]] = []

    def hasNews(afresh: bool) -> bool:
        """Whether an answer may be another than after the last call that said so; `afresh`: say so in any case."""
        if siblings:
            return True
        if asked and not afresh and readTotals(asked) == heard:
            return False
        questions = constructQuestions(session_id, ends if judged else None)
        asked[:], heard[:] = questions, readTotals(questions)
        return True

    return hasNews


class Ends:
    """The first and the last image of a session, of which only new ones are asked for again."""

    def __init__(self, session_id: int):
        self.session_id, self.first, self.last = session_id, 0, 0

    def read(self) -> tuple[int, int]:
        """Return their ids as they are now, 0 where there is none."""
        images = leginondata.AcquisitionImageData.objects.filter(session_id=self.session_id)
        # Behind the last one seen, less what comes late.
        ends = images.filter(def_id__gt=self.last - OVERLAP).aggregate(first=Min("def_id"), last=Max("def_id"))
        self.first = min(filter(None, (self.first, ends["first"])), default=0)
        self.last = max(self.last, ends["last"] or 0)
        return self.first, self.last


def constructQuestions(session_id: int, ends: Ends | None) -> list[Totals]:
    """Return what to ask: of the images two ranges of ids, which end where they end now; `ends` if they are judged."""
    newest = readNewestImageId()
    session: Ranges = {"session": (session_id, session_id)}
    questions = [
        Totals(leginondata.AcquisitionImageData, session | {"def_id": (newest - OVERLAP, None)}),
        Totals(leginondata.SessionDoneLog, session, "done", ((1, 1),)),
    ]
    if ends is not None:
        own: Ranges = {"image": ends.read()}
        questions += [
            Totals(leginondata.ViewerImageStatus, own, "status", STATUSES),
            Totals(appiondata.ApAssessmentData, own, "selectionkeep", KEPT),
        ]
    return questions
