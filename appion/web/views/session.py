"""The page of a session, and the numbers that it asks for again and again."""

from __future__ import annotations

import gzip
import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from appion.base.config import setting
from appion.web.calc.words import describeColumns
from appion.web.retrieve.summary import summarize
from appion.web.retrieve.tables import findTable
from appion.web.views.asked import findView

#: Bytes from which an answer is worth packing, and how hard is tried.
LARGE, EFFORT = 4096, 1


@require_safe
def showSession(request: HttpRequest, name: str) -> HttpResponse:
    """The page; its numbers come by :func:`answerSeries`."""
    view = findView(request, name)
    return render(request, "session.html", {"view": view, "session": view.session, "query": view.query})


@require_safe
def answerSeries(request: HttpRequest, name: str) -> HttpResponse:
    """What is new since the cursor of an earlier answer, or everything, and how the session is doing."""
    table = findTable(findView(request, name))
    answer = table.answer(request.GET.get("since", ""))
    return answerJson(request, answer | {"summary": summarize(table)})


@require_safe
def answerColumns(request: HttpRequest, name: str) -> HttpResponse:
    """What the columns of :func:`answerSeries` are."""
    findView(request, name)
    return JsonResponse(describeColumns(setting("web.limits")), safe=False)


@require_safe
def answerSquares(request: HttpRequest, name: str) -> HttpResponse:
    """The squares and where on their pictures the holes are that exposures were taken in."""
    return answerJson(request, findTable(findView(request, name)).listSquares())


def answerJson(request: HttpRequest, value: Any) -> HttpResponse:
    """Return JSON, packed if it is large and the one who asks can unpack it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    response = HttpResponse(text, content_type="application/json")
    response.headers["Vary"] = "Accept-Encoding"
    if len(text) >= LARGE and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.content = gzip.compress(text, EFFORT)
        response.headers["Content-Encoding"] = "gzip"
    return response
