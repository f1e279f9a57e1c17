"""What people judge on the pages: the one place that writes anything of theirs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db.utils import Error as DatabaseError

import sinedon
from appion.base.calc.plain import makePlain
from appion.base.controller.retry import forgetFailures
from appion.base.failures import ConfigurationFailure
from sinedon.models import leginondata

logger = logging.getLogger(__name__)

#: What Leginon's viewer writes of an image that is hidden.
HIDDEN = "hidden"


def hideImages(session_id: int, images: Iterable[int], visitor: str) -> None:
    """Hide images of a session as Leginon's viewer does: rows of before go, one that says so comes.

    Raises:
        ConfigurationFailure: the account of the database may not.
    """
    for image in images:
        removeStatus(image)
        with explainRefusal():
            sinedon.insertRow(leginondata.ViewerImageStatus, session=session_id, image=image, status=HIDDEN)
        logger.info("image %d was hidden by %s", image, makePlain(visitor))


def showImages(images: Iterable[int], visitor: str) -> None:
    """Show images again as the viewer does: what was said of them goes. Raises as :func:`hideImages`."""
    for image in images:
        removeStatus(image)
        logger.info("image %d was shown again by %s", image, makePlain(visitor))


def removeStatus(image: int) -> None:
    with explainRefusal():
        leginondata.ViewerImageStatus.objects.filter(image_id=image).delete()


@contextmanager
def explainRefusal() -> Iterator[None]:
    """Say what to do where the account of the database may not write."""
    try:
        yield
    except DatabaseError as error:
        refusal = sinedon.findRefusal(error)
        if refusal is None:
            raise
        logger.error("%s: %s", error, refusal.remedy)
        what = "the account of the database may not write the table of Leginon's viewer"
        raise ConfigurationFailure(what, "the server's log says what to type") from error


def retryImage(folder: str, image: int, visitor: str) -> None:
    """Have an image that failed tried again, as `appion retry` does.

    Raises:
        ConfigurationFailure, OSError: see :func:`appion.base.controller.retry.forgetFailures`.
    """
    forgetFailures(Path(folder), [image])
    logger.info("image %d of %s is tried again for %s", image, makePlain(folder), makePlain(visitor))
