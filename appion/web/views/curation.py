"""What a person who has logged in may do with an exposure: hide it, show it again, have it tried again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from appion.web.retrieve.failed import Failed
from appion.web.retrieve.pairs import listResults
from appion.web.retrieve.pictures import findMicrograph
from appion.web.retrieve.sessions import View
from appion.web.retrieve.tables import expireTable
from appion.web.security import findVisitor, mayCurate
from appion.web.store.curation import hideImages, retryImage, showImages
from appion.web.views.asked import findView

Act = Callable[[View, int, str], None]


def curates(act: Act) -> Callable[..., HttpResponse]:
    """Decorate what changes something: only for those who may, of an exposure that there is; then its page follows."""

    @require_POST
    @wraps(act)
    def answer(request: HttpRequest, name: str, exposure: int) -> HttpResponse:
        if not mayCurate(request):
            raise PermissionDenied
        view = findView(request, name)
        if findMicrograph(view.session, exposure) is None:
            raise Http404(f"Session {view.session.name!r} has no image {exposure}.")
        act(view, exposure, findVisitor(request))
        expireTable(view)
        address = reverse("exposure", args=[view.session.name, exposure])
        return HttpResponseRedirect(f"{address}?{view.query}")

    return answer


@curates
def hide(view: View, exposure: int, visitor: str) -> None:
    """Hide the exposure and the micrographs that were made of it."""
    hideImages(view.session.def_id, [exposure, *listResults(view, exposure)], visitor)


@curates
def unhide(view: View, exposure: int, visitor: str) -> None:
    """Show them again."""
    showImages([exposure, *listResults(view, exposure)], visitor)


@curates
def retry(view: View, exposure: int, visitor: str) -> None:
    """Have what failed of the exposure tried again."""
    images: list[Any] = [exposure, *listResults(view, exposure)]
    tried = False
    for run in view.shown:
        failed = Failed(run.folder)
        failed.update()
        for image in images:
            if image in failed.reasons:
                retryImage(run.folder, image, visitor)
                tried = True
    if not tried:
        raise Http404(f"Image {exposure} is not among the failures.")
