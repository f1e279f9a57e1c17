"""What a question asks for: a session by its name, runs and numbers by the words behind the ?."""

from __future__ import annotations

from django.http import Http404, HttpRequest

from appion.base.retrieve.runs import KINDS
from appion.web.retrieve.sessions import View, readSession, readView

#: The words behind the ? that are ids.
IDS = ("project", *KINDS)

#: Digits of an id.
DIGITS = 18


def findView(request: HttpRequest, name: str) -> View:
    """Return what a page of the session of this name shows. Raises Http404 where there is no such thing."""
    session = readSession(name)
    if session is None:
        raise Http404(f"There is no session {name!r}.")
    wanted = {}
    for word in IDS:
        text = request.GET.get(word, "")
        if text:
            if not (text.isascii() and text.isdecimal() and len(text) <= DIGITS):
                raise Http404(f"{word}={text[:40]!r} is no number of a run or project.")
            wanted[word] = int(text)
    view = readView(session, wanted)
    if view is None:
        shown = ", ".join(f"{word} {number}" for word, number in wanted.items())
        raise Http404(f"Session {session.name!r} has no {shown}.")
    return view
