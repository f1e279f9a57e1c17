"""Which images are to be done, and the name that the files of each begin with."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from appion.base.records.ids import Ids
from appion.base.retrieve.images import constructSelection
from appion.base.retrieve.relatives import readRelatives
from appion.base.retrieve.session import Session
from appion.base.step import Candidate
from appion.ctfestimation.calc.internal.shortname import constructShortName
from appion.ctfestimation.retrieve.best import calcConfidenceScore, readBestCTFs
from appion.ctfestimation.retrieve.owners import Owners

log = logging.getLogger(__name__)


def constructCTFSelection(
    args: argparse.Namespace, session: Session
) -> tuple[Callable[[int], Iterable[Candidate]], Callable[[], Ids], Owners]:
    """Return the functions `retrieveCandidates` and `retrieveRejected` of the step, and who has which short name.

    Every image of the session may be a candidate, aligned or not. With ``--reprocess`` an image is judged when it is
    first seen: if its best confidence so far is above the threshold it is left out for good.

    Who has a short name is the first image seen with it; the owners grow with the candidates.
    """
    retrieveImages, retrieveRejected = constructSelection(args, session, saved_frames=False, aligned=True)
    owners = Owners()
    wanted: dict[int, bool] = {}

    def retrieveCandidates(after_id: int) -> Iterable[Candidate]:
        candidates = retrieveImages(after_id)
        for one in candidates:
            owners.add(constructShortName(one.filename), one.image_id)
        if args.reprocess is None:
            return candidates
        new = [one.image_id for one in candidates if one.image_id not in wanted]
        good = retrieveGoodImages(new, args.reprocess)
        wanted.update((image_id, image_id not in good) for image_id in new)
        if good:
            log.info("--reprocess=%g: %d of %d images have a better confidence and are left out", args.reprocess,
                     len(good), len(new))
        return [one for one in candidates if wanted[one.image_id]]

    return retrieveCandidates, retrieveRejected, owners


def retrieveGoodImages(ids: Sequence[int], threshold: float) -> set[int]:
    """Return those of the images whose best CTF so far has a confidence above the threshold."""
    if not ids:
        return set()
    best = readBestCTFs(ids, readRelatives(ids))
    return {image_id for image_id, row in best.items() if calcConfidenceScore(row) > threshold}


def chooseShortName(image_id: int, filename: str, owners: Mapping[str, int] | Owners) -> str:
    """Return what the names of an image's files begin with: its short name, with its id if another image has that."""
    short = constructShortName(filename)
    return short if owners.get(short, image_id) == image_id else f"{short}_{image_id}"
