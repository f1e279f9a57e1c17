"""Which images of a session a step may process: preset or list, id range, stage tilt, saved frames, particle stack.

Reading is incremental: an image is read once, when it is new. Aligned images are copies of exposures and are told apart
here, since they carry the exposure's camera settings.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.rejects import retrieveRejectedImages
from appion.base.retrieve.session import Session, readImageNames
from appion.base.step import Candidate
from sinedon.models import appiondata, leginondata

logger = logging.getLogger(__name__)

#: Preset name that stands for images taken without a preset.
MANUAL = "manual"

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
    align_frames: bool
    scope_id: int | None
    stage_a: float | None = None


def constructSelection(args: argparse.Namespace, session: Session, saved_frames: bool = True, aligned: bool = False,
                       ) -> tuple[Callable[[int], list[Candidate]], Callable[[], set[int]]]:
    """Return the functions `retrieveCandidates` and `retrieveRejected` of a step for these options.

    Args:
        args: the options of the command line; ``stackid`` may be absent.
        session: the session.
        saved_frames: only images with a movie, as motion correction needs.
        aligned: whether aligned images may be inputs, as for CTF estimation.

    The rejected are those among the images that `retrieveCandidates` has returned so far.
    """
    selection = Selection(session, readImageNames(args.mrcnames), args.preset, args.startimgid, args.endimgid,
                          args.tiltangle, getattr(args, "stackid", None), saved_frames, aligned)
    stack = None if selection.stackid is None else retrieveStackImages(selection.stackid, aligned)
    known: set[int] = set()

    def retrieveCandidates(after_id: int) -> list[Candidate]:
        images = retrieveImages(selection, after_id)
        if stack is not None:
            images = [image for image in images if image.image_id in stack]
        known.update(image.image_id for image in images)
        return [Candidate(image.image_id, image.filename) for image in images]

    def retrieveRejected() -> set[int]:
        return retrieveRejectedImages(known, session.def_id, args.norejects, args.bestimages, args.sibassess)

    return retrieveCandidates, retrieveRejected


def retrieveImages(selection: Selection, after_id: int = 0) -> list[FoundImage]:
    """Return the selected images with an id above `after_id`, by id.

    One query for the images, one for which of them are aligned; some more at the first call (`after_id` 0) when nothing
    is found, to say what there is.
    """
    rows = constructImageQuery(selection, after_id)
    images = [FoundImage(*row) for row in rows]
    if selection.names:
        images = keepNewest(images)
    if not images:
        if after_id == 0:
            explainNothing(selection)
        return []
    missing = sorted(set(selection.names) - {image.filename for image in images})
    if missing and after_id == 0:
        logger.warning("--mrclist: no such image%s in session %s: %s", constructMovieNote(selection),
                       selection.session.name, ", ".join(missing))
    if selection.tiltangle != "all":
        images = filterTilt(images, selection.tiltangle)
    return images if selection.aligned else filterAligned(images, bool(selection.names))


def constructImageQuery(selection: Selection, after_id: int) -> Any:
    query = leginondata.AcquisitionImageData.objects.filter(session_id=selection.session.def_id, def_id__gt=after_id)
    if selection.names:
        query = query.filter(filename__in=selection.names)
    if selection.startimgid is not None:
        query = query.filter(def_id__gte=selection.startimgid)
    if selection.endimgid is not None:
        query = query.filter(def_id__lte=selection.endimgid)
    if selection.preset == MANUAL:
        query = query.filter(Q(preset__isnull=True) | Q(preset=0))
    elif selection.preset is not None:
        query = query.filter(preset__name=selection.preset, preset__session_id=selection.session.def_id)
    if selection.saved_frames:
        query = query.filter(camera__save_frames=True)
    columns = ["def_id", "filename", "camera__align_frames", "scope_id"]
    if selection.tiltangle != "all":
        columns.append("scope__stage_position_a")
    return query.order_by("def_id").values_list(*columns)


def keepNewest(images: Sequence[FoundImage]) -> list[FoundImage]:
    return sorted({image.filename: image for image in images}.values(), key=lambda image: image.image_id)


def filterTilt(images: Sequence[FoundImage], tiltangle: str) -> list[FoundImage]:
    """Return the images of the wanted stage tilt; one whose tilt is not recorded is left out with a warning."""
    unknown = [image.filename for image in images if image.stage_a is None]
    if unknown:
        logger.warning("--tiltangle=%s: %d images without a recorded stage tilt are left out: %s", tiltangle,
                       len(unknown), nameSome(unknown))
    return [image for image in images
            if image.stage_a is not None and TILT_TESTS[tiltangle](math.degrees(image.stage_a))]


def filterAligned(images: Sequence[FoundImage], say: bool) -> list[FoundImage]:
    """Return the images that are exposures, not aligned images made from one.

    Aligned images are results of an `ApDDAlignImagePairData` row. Those of another project, or whose row is not written
    yet, share their microscope row with the exposure they were copied from.
    """
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(result_id__gte=images[0].image_id,
                                                             result_id__lte=images[-1].image_id)
    aligned = set(pairs.values_list("result_id", flat=True))
    flagged = [image for image in images if image.align_frames and image.image_id not in aligned]
    aligned |= retrieveCopies(flagged)
    left_out = [image.filename for image in images if image.image_id in aligned]
    if left_out and say:
        logger.warning("%d aligned images are no input: %s", len(left_out), nameSome(left_out))
    return [image for image in images if image.image_id not in aligned]


def retrieveCopies(images: Collection[FoundImage]) -> set[int]:
    """Return the ids of those images that share their microscope row with an older image."""
    scopes = {image.scope_id for image in images if image.scope_id}
    if not scopes:
        return set()
    oldest: dict[int, int] = {}
    rows = leginondata.AcquisitionImageData.objects.filter(scope_id__in=scopes).values_list("scope_id", "def_id")
    for scope_id, image_id in rows:
        oldest[scope_id] = min(image_id, oldest.get(scope_id, image_id))
    return {image.image_id for image in images if image.scope_id and oldest.get(image.scope_id) != image.image_id}


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
    images = leginondata.AcquisitionImageData.objects.filter(session_id=session.def_id)
    if selection.saved_frames:
        images = images.filter(camera__save_frames=True)
    counts = images.values_list("preset__name").annotate(Count("def_id")).order_by("preset__name")
    there = ", ".join(f"{count} of preset {preset or MANUAL}" for preset, count in counts)
    wanted = f" of preset {selection.preset}" if selection.preset else ""
    logger.warning("no images%s%s yet in session %s; there are %s", wanted, constructMovieNote(selection), session.name,
                   there or "none")


def constructMovieNote(selection: Selection) -> str:
    return " with a movie" if selection.saved_frames else ""


def nameSome(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
