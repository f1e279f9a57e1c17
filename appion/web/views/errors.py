"""Pages for what went wrong. They say nothing of files, statements or settings."""

from __future__ import annotations

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse

from appion.web.security import answerError

logger = logging.getLogger(__name__)


def refuseQuestion(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    return answerError(request, 400, "This cannot be asked.")


def refuseVisitor(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    return answerError(request, 403, "This is not allowed.", "Has somebody logged in who may judge images?")


def refuseForm(request: HttpRequest, **_: Any) -> HttpResponse:
    return answerError(request, 403, "This was not asked by a page of this server.", "Load the page again.")


def findNothing(request: HttpRequest, exception: Exception, **_: Any) -> HttpResponse:
    """Say what is not there, if the view that did not find it said so."""
    what = str(exception.args[0]) if exception.args and isinstance(exception.args[0], str) else "There is no such page."
    return answerError(request, 404, what)


def admitFault(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    return answerError(request, 500, "Something went wrong.", "The server's log says what.")
