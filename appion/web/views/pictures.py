"""Pictures: from run folders as they lie there, of micrographs as they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.views.decorators.http import require_safe

from appion.base.retrieve.session import Session
from appion.web.retrieve.pairs import listResults
from appion.web.retrieve.pictures import (
    GRAPHS,
    Micrograph,
    calcKey,
    chooseSide,
    drawMicrograph,
    findDriftPlot,
    findGraph,
    findMicrograph,
    findThumbnail,
)
from appion.web.retrieve.sessions import View
from appion.web.security import answerError
from appion.web.store.cache import Busy, keepPicture
from appion.web.views.asked import findView

KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}

#: Browsers ask whether a picture has changed after so many seconds: results may be computed again.
FRESH = "private, max-age=60"

#: The longer side of a picture in a film strip.
SMALL = 512


@require_safe
def sendPicture(request: HttpRequest, name: str, image: int) -> HttpResponse:
    """Any image of the session as JPEG, ``size`` pixels or a little more at most."""
    session = findView(request, name).session
    found = findMicrograph(session, image)
    if found is None:
        raise Http404(f"Session {session.name!r} has no image {image}.")
    return sendMicrograph(request, found, chooseSide(request.GET.get("size", "")))


@require_safe
def sendThumbnail(request: HttpRequest, name: str, exposure: int) -> HttpResponse:
    """The small picture of an exposure's micrograph; one is made where the run has none, as classic's."""
    view = findView(request, name)
    found = findExposure(view.session, exposure)
    path = findThumbnail(view.motion, found.name) if view.motion else None
    if path is not None:
        return sendFile(request, path)
    results = listResults(view, exposure)
    micrograph = findMicrograph(view.session, results[-1]) if results else None
    if micrograph is None:
        raise Http404(f"There is no micrograph of image {exposure}.")
    return sendMicrograph(request, micrograph, SMALL)


@require_safe
def sendDriftPlot(request: HttpRequest, name: str, exposure: int) -> HttpResponse:
    """The plot of an exposure's drift."""
    view = findView(request, name)
    found = findExposure(view.session, exposure)
    path = findDriftPlot(view.motion, found.name) if view.motion else None
    if path is None:
        raise Http404(f"There is no plot of the drift of image {exposure}.")
    return sendFile(request, path)


@require_safe
def sendSpectrum(request: HttpRequest, name: str, exposure: int) -> HttpResponse:
    """A picture of an exposure's CTF: that of number ``graph``, from 1, as the row names them."""
    view = findView(request, name)
    text = request.GET.get("graph", "1")
    number = int(text) - 1 if text in ("1", "2", "3", "4") else len(GRAPHS)
    path = None
    if view.ctf and number < len(GRAPHS):
        path = findGraph(view.ctf, [exposure, *listResults(view, exposure)], number)
    if path is None or path.suffix.lower() not in KINDS:
        raise Http404(f"There is no such picture of image {exposure}.")
    return sendFile(request, path)


def findExposure(session: Session, exposure: int) -> Micrograph:
    """Return an exposure of a session. Raises Http404."""
    found = findMicrograph(session, exposure)
    if found is None:
        raise Http404(f"Session {session.name!r} has no image {exposure}.")
    return found


def sendMicrograph(request: HttpRequest, micrograph: Micrograph, side: int) -> HttpResponse:
    """Send a picture of an image file."""
    try:
        return sendFile(request, keepPicture(calcKey(micrograph, side), lambda: drawMicrograph(micrograph, side)))
    except (FileNotFoundError, ValueError) as error:
        raise Http404(f"There is no picture of image {micrograph.image_id}.") from error
    except Busy:
        response = answerError(request, 503, "Many pictures are being made.", "Ask again in a moment.")
        response.headers["Retry-After"] = "5"
        return response


def sendFile(request: HttpRequest, path: Path) -> Any:
    """Send a picture, unless the one who asks has it already."""
    file = path.open("rb")
    state = path.stat()
    tag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
    if request.headers.get("If-None-Match") == tag:
        file.close()
        response: Any = HttpResponseNotModified()
    else:
        response = FileResponse(file, content_type=KINDS[path.suffix.lower()])
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = FRESH
    return response


def listGraphs(view: View, exposure: int) -> list[dict[str, Any]]:
    """Return number and words of the pictures of an exposure's CTF that are there."""
    if view.ctf is None:
        return []
    images = [exposure, *listResults(view, exposure)]
    return [{"number": number + 1, "words": words} for number, words in enumerate(GRAPHS)
            if findGraph(view.ctf, images, number)]  # fmt: skip
