"""What keeps pages safe: headers of every answer, who is logged in, and errors that say no more than they should."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db.utils import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

import sinedon
from appion.base.config import setting
from appion.base.failures import ConfigurationFailure

logger = logging.getLogger(__name__)

#: Nothing is taken from anywhere else, and nothing that stands in a page is run.
POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:",
        "connect-src 'self'", "font-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
    )
)  # fmt: skip

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

#: Where the server notes that a question came from the proxy whose word counts.
FROM_PROXY = "appion.from_proxy"

Answer = Callable[[HttpRequest], HttpResponse]


class AddHeaders:
    """Adds the headers to every answer, also to errors and files. What is not said to be kept is not kept."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class TellErrors:
    """Says in words what could not be read, and logs what nobody thought of."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer for a failure that has words; those of databases, with names of accounts and hosts, go to the log."""
        if sinedon.isDatabaseAway(error) or isinstance(error, sinedon.errors.ConnectionFailure):
            logger.warning("the database does not answer: %s", error)
            sinedon.closeConnections()
            return answerError(request, 503, "The database does not answer.", "It is asked again with the next look.")
        refusal = sinedon.findRefusal(error) if isinstance(error, DatabaseError) else None
        if refusal is not None or isinstance(error, sinedon.errors.SinedonError):
            logger.error("a database cannot be read: %s %s", error, refusal.remedy if refusal else "")
            sinedon.closeConnections()
            return answerError(request, 503, "The database refuses what these pages ask.", "The server's log says why.")
        if isinstance(error, ConfigurationFailure):
            return answerError(request, 500, error.reason, error.remedy)
        if isinstance(error, OSError) and error.errno is not None:
            logger.warning("a file cannot be read: %s", error)
            return answerError(request, 503, "A file or folder does not answer.", error.strerror or "")
        return None


def answerError(request: HttpRequest, status: int, what: str, remedy: str = "") -> HttpResponse:
    """Return an error as the one who asks can read it: JSON where JSON was asked for."""
    if request.path_info.endswith(".json"):
        return JsonResponse({"error": what, "remedy": remedy}, status=status)
    return render(request, "error.html", {"what": what, "remedy": remedy, "status": status}, status=status)


def findVisitor(request: HttpRequest) -> str:
    """Return who has logged in, as the trusted proxy says; empty if nobody has, or anybody else says so."""
    if not request.META.get(FROM_PROXY):
        return ""
    return str(request.headers.get(setting("web.login_header"), "")).strip()


def mayCurate(request: HttpRequest) -> bool:
    """Whether the visitor may judge images: the site allows it and somebody has logged in."""
    return bool(setting("web.curation") and findVisitor(request))


def describeVisitor(request: HttpRequest) -> dict[str, Any]:
    """What every template may say of the visitor."""
    return {"visitor": findVisitor(request), "may_curate": mayCurate(request)}
