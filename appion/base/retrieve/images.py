"""Which images of a session a step may process: preset or list, id range, stage tilt, saved frames, particle stack.

Reading is incremental: an image is read once, when it is new. Aligned images are copies of exposures and are told apart
here, since they carry the exposure's camera settings.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, Max, OuterRef

from appion.base.calc.limits import TILT, checkValue
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.rejects import retrieveRejectedImages
from appion.base.retrieve.session import Session, readImageNames
from appion.base.step import Candidate
from sinedon.models import appiondata, leginondata

logger = logging.getLogger(__name__)

#: Preset name that stands for images taken without a preset.
MANUAL = "manual"

#: Rows this far behind the newest are looked at again: another client's row of a lower id may become visible later.
OVERLAP = 100

#: Whether a stage tilt in degrees is wanted.
TILT_TESTS: dict[str, Callable[[float], bool]] = {
    "notilt": lambda tilt: abs(tilt) <= 3,
    "hightilt": lambda tilt: abs(tilt) >= 30,
    "lowtilt": lambda tilt: abs(tilt) < 30,
    "minustilt": lambda tilt: tilt <= -2,
    "plustilt": lambda tilt: tilt >= 2,
    "all": lambda _tilt: True,
}


@dataclass(frozen=True)
class Selection:
    """What is asked for: the classic options, and what the step itself needs of an image.

    Attributes:
        session: the session; names: of the images of --mrclist, or empty.
        preset: name of the preset, ``manual``, or None for every image.
        startimgid, endimgid: inclusive, or None.
        tiltangle: a key of :data:`TILT_TESTS`.
        stackid: only exposures with particles in this stack, or None.
        saved_frames: only images with a movie (`save frames` of the camera).
        aligned: whether aligned images may be inputs.
    """

    session: Session
    names: tuple[str, ...] = ()
    preset: str | None = None
    startimgid: int | None = None
    endimgid: int | None = None
    tiltangle: str = "all"
    stackid: int | None = None
    saved_frames: bool = True
    aligned: bool = False


@dataclass(frozen=True)
class FoundImage:
    """A row of the selection query; `stage_a` (radians) is None unless it is needed."""

    image_id: int
    filename: str
    align_frames: bool | None
    stage_a: float | None = None


def constructSelection(args: argparse.Namespace, session: Session, saved_frames: bool = True, aligned: bool = False,
                       ) -> tuple[Callable[[int], list[Candidate]], Callable[[], set[int]]]:
    """Return the functions `retrieveCandidates` and `retrieveRejected` of a step for these options.

    Args:
        args: the options of the command line; ``stackid`` may be absent.
        session: the session.
        saved_frames: only images with a movie, as motion correction needs.
        aligned: whether aligned images may be inputs, as for CTF estimation.

    What was looked at once is remembered and not read again, however many aligned images follow the last candidate;
    only `retrieveCandidates(0)` reads everything afresh. The rejected are ids of candidates there are at that moment.
    """
    selection = Selection(session, readImageNames(args.mrcnames), args.preset, args.startimgid, args.endimgid,
                          args.tiltangle, getattr(args, "stackid", None), saved_frames, aligned)
    stack = None if selection.stackid is None else retrieveStackImages(selection.stackid, aligned)
    known: dict[int, Candidate] = {}
    looked_at: int | None = None

    def look(since: int) -> None:
        nonlocal looked_at
        newest = readNewestImageId()
        for image in retrieveImages(selection, since, looked_at):
            if image.image_id not in known and (stack is None or image.image_id in stack):
                known[image.image_id] = Candidate(image.image_id, image.filename)
        looked_at = newest

    def retrieveCandidates(after_id: int) -> list[Candidate]:
        look(max(looked_at - OVERLAP, 0) if looked_at and after_id else 0)
        return [candidate for image_id, candidate in known.items() if image_id > after_id]

    def retrieveRejected() -> set[int]:
        if not (args.norejects or args.bestimages):
            return set()
        look(max((looked_at or 0) - OVERLAP, 0))
        return retrieveRejectedImages(known, session.def_id, args.bestimages, args.sibassess)

    return retrieveCandidates, retrieveRejected


def readNewestImageId() -> int:
    return leginondata.AcquisitionImageData.objects.aggregate(newest=Max("def_id"))["newest"] or 0


def retrieveImages(selection: Selection, after_id: int = 0, looked_at: int | None = None) -> list[FoundImage]:
    """Return the selected images with an id above `after_id`, by id.

    What is left out for a reason worth knowing is logged, unless its id is not above `looked_at`: then it was. One
    query for the images and one for which of them are aligned; one more where some are marked as aligned but not by
    this project, and one at the first look (`looked_at` None) where nothing is found, to say what there is.

    Raises:
        ConfigurationFailure: all images of the preset are aligned ones, so that waiting would be in vain.
    """
    rows = constructImageQuery(selection, after_id)
    images = [FoundImage(*row) for row in rows]
    if selection.names:
        images = keepNewest(images)
    if not images:
        if looked_at is None:
            explainNothing(selection)
        return []
    missing = sorted(set(selection.names) - {image.filename for image in images})
    if missing and looked_at is None:
        logger.warning("--mrclist: no such image%s in session %s: %s", constructMovieNote(selection),
                       selection.session.name, ", ".join(missing))
    if selection.tiltangle != "all":
        images = filterTilt(images, selection.tiltangle, looked_at or 0)
    if selection.aligned or not images:
        return images
    aligned = retrieveAligned(images)
    left_out = [image.filename for image in images if image.image_id in aligned and image.image_id > (looked_at or 0)]
    if left_out and selection.names:
        logger.warning("%d aligned images are no input: %s", len(left_out), nameSome(left_out))
    if selection.preset and after_id == 0 and all(image.image_id in aligned for image in images):
        raise ConfigurationFailure(
            f"--preset={selection.preset}: all {len(images)} images of this preset in session {selection.session.name}"
            f" are aligned images, results that are no inputs: {nameSome([image.filename for image in images])}",
            f"give the preset of the exposures; there are {describePresets(selection)}")
    return [image for image in images if image.image_id not in aligned]


def constructImageQuery(selection: Selection, after_id: int) -> Any:
    query = leginondata.AcquisitionImageData.objects.filter(session_id=selection.session.def_id, def_id__gt=after_id)
    if selection.names:
        query = query.filter(filename__in=selection.names)
    if selection.startimgid is not None:
        query = query.filter(def_id__gte=selection.startimgid)
    if selection.endimgid is not None:
        query = query.filter(def_id__lte=selection.endimgid)
    if selection.preset == MANUAL:
        query = query.exclude(preset__gt=0)
    elif selection.preset is not None:
        query = query.filter(preset__name=selection.preset, preset__session_id=selection.session.def_id)
    if selection.saved_frames:
        query = query.filter(camera__save_frames=True)
    columns = ["def_id", "filename", "camera__align_frames"]
    if selection.tiltangle != "all":
        columns.append("scope__stage_position_a")
    return query.order_by("def_id").values_list(*columns)


def keepNewest(images: Sequence[FoundImage]) -> list[FoundImage]:
    return sorted({image.filename: image for image in images}.values(), key=lambda image: image.image_id)


def filterTilt(images: Sequence[FoundImage], tiltangle: str, looked_at: int = 0) -> list[FoundImage]:
    """Return the images of the wanted stage tilt; those whose tilt is not recorded, or cannot be, are told of.

    Raises:
        ConfigurationFailure: at the first look (`looked_at` 0) no image has a tilt that can be.
    """
    unknown = [image.filename for image in images if image.stage_a is None and image.image_id > looked_at]
    if unknown:
        logger.warning("--tiltangle=%s: %d images without a recorded stage tilt are left out: %s", tiltangle,
                       len(unknown), nameSome(unknown))
    tilted = [(image, math.degrees(image.stage_a)) for image in images if image.stage_a is not None]
    odd = [image for image, tilt in tilted if not TILT.allows(tilt) and image.image_id > looked_at]
    if odd:
        try:
            checkValue(TILT, odd[0].stage_a, f"image {odd[0].image_id}: stage position a", "rad", "column")
        except ConfigurationFailure as failure:
            if len(odd) == len(tilted) and not looked_at:
                raise
            logger.warning("--tiltangle=%s: %d images are left out: %s", tiltangle, len(odd), failure)
    return [image for image, tilt in tilted if TILT.allows(tilt) and TILT_TESTS[tiltangle](tilt)]


def retrieveAligned(images: Sequence[FoundImage]) -> set[int]:
    """Return the ids of aligned images: those among the given ones that were made from an exposure.

    Aligned images are results of an `ApDDAlignImagePairData` row. Those of another project, or whose row is not written
    yet, share their microscope row with the exposure they were copied from.
    """
    first, last = images[0].image_id, images[-1].image_id
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(result_id__gte=first, result_id__lte=last)
    aligned = set(pairs.values_list("result_id", flat=True))
    if any(image.align_frames and image.image_id not in aligned for image in images):
        aligned |= retrieveCopies(first, last)
    return aligned


def retrieveCopies(first: int, last: int) -> set[int]:
    """Return the images (ids from `first` to `last`) marked as aligned that share an older one's microscope row."""
    images = leginondata.AcquisitionImageData.objects
    older = images.filter(scope_id=OuterRef("scope_id"), def_id__lt=OuterRef("def_id"))
    copies = images.filter(Exists(older), def_id__gte=first, def_id__lte=last, scope_id__gt=0,
                           camera__align_frames=True)
    return set(copies.values_list("def_id", flat=True))


def retrieveStackImages(stackid: int, aligned: bool) -> set[int]:
    """Return the ids of the images with particles in a stack; of aligned images the exposures, unless `aligned`.

    Raises:
        ConfigurationFailure: there is no such stack.
    """
    particles = appiondata.ApStackParticleData.objects.filter(stack_id=stackid)
    found = set(particles.values_list("particle__image_id", flat=True).distinct()) - {None, 0}
    if not found:
        raise ConfigurationFailure(f"--stackid={stackid}: this project has no such stack with particles",
                                   "check --projectid, or leave --stackid out")
    if aligned:
        return found
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(result_id__gte=min(found), result_id__lte=max(found))
    sources = dict(pairs.values_list("result_id", "source_id"))
    return {sources.get(image_id) or image_id for image_id in found}


def explainNothing(selection: Selection) -> None:
    """Say why there may be no image: which presets the session has, or that the listed names are unknown."""
    session = selection.session
    if selection.names:
        logger.warning("--mrclist: none of %s is an image%s of session %s", nameSome(selection.names),
                       constructMovieNote(selection), session.name)
        return
    wanted = f" of preset {selection.preset}" if selection.preset else ""
    logger.warning("no images%s%s yet in session %s; there are %s", wanted, constructMovieNote(selection), session.name,
                   describePresets(selection))


def describePresets(selection: Selection) -> str:
    """Return how many images of which presets the session has."""
    images = leginondata.AcquisitionImageData.objects.filter(session_id=selection.session.def_id)
    if selection.saved_frames:
        images = images.filter(camera__save_frames=True)
    counts = images.values_list("preset__name").annotate(Count("def_id")).order_by("preset__name")
    return ", ".join(f"{count} of preset {preset or MANUAL}" for preset, count in counts) or "none"


def constructMovieNote(selection: Selection) -> str:
    return " with a movie" if selection.saved_frames else ""


def nameSome(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
