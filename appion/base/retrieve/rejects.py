"""Which images people or programs have judged bad or good: the viewer's status and the assessments.

The newest `ViewerImageStatus` row of an image says hidden or trash (bad), exemplar (good) or nothing; its newest
`ApAssessmentData` row keep (good) or not (bad). An image that either calls bad is bad, otherwise one that either calls
good is good. Both are looked up by image: a viewer's row need not name a session.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Exists, OuterRef

import sinedon
from appion.base.records.ids import Ids
from sinedon.models import appiondata, leginondata

HIDDEN = ("hidden", "trash")
EXEMPLAR = ("exemplar",)


def retrieveRejectedImages(image_ids: Ids, session_id: int, bestimages: bool, sibassess: bool) -> Ids:
    """Return those of the images that are judged bad now.

    Args:
        image_ids: the images in question, all of one session.
        session_id: that session.
        bestimages: reject also what is not judged good.
        sibassess: judge an image by its sibling; one without a sibling is not judged.

    Two queries for the bad ones, two more for the good ones and one for the siblings, each limited to the range of ids
    of the images or to their session.
    """
    if not image_ids:
        return image_ids
    siblings = retrieveSiblings(image_ids, session_id) if sibassess else None
    judges = image_ids if siblings is None else Ids(siblings.values())
    if not judges:
        return image_ids if bestimages else judges
    first, last = int(judges.numbers[0]), int(judges.numbers[-1])

    def findJudged(by: Ids) -> Ids:
        return image_ids & by if siblings is None else Ids(one for one, judge in siblings.items() if judge in by)

    bad = retrieveJudged(first, last, HIDDEN, 0)
    if bestimages:
        return image_ids - findJudged(retrieveJudged(first, last, EXEMPLAR, 1) - bad)
    return findJudged(bad)


def retrieveJudged(first: int, last: int, statuses: Collection[str], keep: int) -> Ids:
    """Return the images (ids from `first` to `last`) with one of these viewer statuses or with this assessment."""
    viewed = leginondata.ViewerImageStatus.objects.filter(status__in=statuses)
    assessed = appiondata.ApAssessmentData.objects.filter(selectionkeep=keep)
    return Ids(image_id for rows in (viewed, assessed) for image_id in retrieveNewest(rows, first, last))


def retrieveNewest(rows: Any, first: int, last: int) -> Iterable[int]:
    """Yield the images of those rows that are their image's newest."""
    newer = rows.model.objects.filter(image_id=OuterRef("image_id"), def_id__gt=OuterRef("def_id"))
    rows = rows.filter(image_id__gte=first, image_id__lte=last).exclude(Exists(newer))
    return rows.values_list("image_id", flat=True).iterator()


def retrieveSiblings(image_ids: Collection[int], session_id: int) -> dict[int, int]:
    """Return each image's sibling: the newest other image whose target is the same spot of the same parent image.

    Parent images that were themselves taken at one spot with one preset (acquired again, say after drift) count as the
    same. An image without a preset, or uploaded, has as sibling the image named as itself with ``_2`` for ``_1`` at the
    end.
    """
    images = readTargets(session_id)
    by_name: dict[str, list[int]] = {}
    by_spot: dict[Any, list[int]] = {}
    spots = {image_id: findSpot(images, image_id) for image_id in images}
    for image_id, (filename, *_) in images.items():
        by_name.setdefault(filename, []).append(image_id)
        if spots[image_id] is not None:
            by_spot.setdefault(spots[image_id], []).append(image_id)
    siblings = {}
    for image_id in image_ids:
        filename, preset, *_ = images.get(image_id, ("", None))
        if preset in (None, "upload"):
            twins = by_name.get(re.sub("_1$", "_2", filename), []) if filename.endswith("_1") else []
            found = twins if len(twins) == 1 else []
        else:
            found = [other for other in by_spot.get(spots.get(image_id), []) if other != image_id]
        if found:
            siblings[image_id] = found[-1]
    return siblings


def readTargets(session_id: int) -> dict[int, tuple[Any, ...]]:
    """Return filename, preset name, parent image and target number of every image of a session, by id."""
    columns = ["def_id", "filename", "preset__name"]
    if sinedon.hasTable(leginondata.AcquisitionImageTargetData):
        columns += ["target__image_id", "target__number"]
    rows = leginondata.AcquisitionImageData.objects.filter(session_id=session_id).order_by("def_id")
    return {image_id: (filename, preset, *(target or (None, None)))
            for image_id, filename, preset, *target in rows.values_list(*columns)}


def findSpot(images: dict[int, tuple[Any, ...]], image_id: int) -> Any:
    """Return what images of one target share: the parent's own spot and preset (else its id) and the number."""
    _, _, parent_id, number = images[image_id]
    if not parent_id:
        return None
    _, preset, grandparent_id, parent_number = images.get(parent_id, (None, None, None, None))
    parent = (grandparent_id, parent_number, preset) if grandparent_id else parent_id
    return parent, number
