"""The page of all runs that are alive or were today."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

from appion.web.retrieve.facility import readFacility


@require_safe
def showFacility(request: HttpRequest) -> HttpResponse:
    """The page, with the rows that it begins with; further ones come by :func:`answerFacility`."""
    return render(request, "facility.html", {"facility": constructAnswer()})


@require_safe
def answerFacility(_request: HttpRequest) -> HttpResponse:
    """The rows, for a page that is open."""
    return JsonResponse(constructAnswer())


def constructAnswer() -> dict[str, Any]:
    """Return what is known, each row with the address of its session's page."""
    known = readFacility()
    return known | {"rows": [row | {"url": findAddress(row)} for row in known["rows"]]}


def findAddress(row: dict[str, Any]) -> str:
    """Return the address of the page that shows a run; empty where its session's name fits into none."""
    try:
        return f"{reverse('session', args=[row['session']])}?{urlencode({row['kind']: row['id']})}"
    except NoReverseMatch:
        return ""
