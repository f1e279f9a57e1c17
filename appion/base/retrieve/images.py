"""Which images of a session a step may process: preset or list, id range, stage tilt, saved frames, particle stack.

Reading is incremental: an image is read once, when it is new, and in pages, so that a session may have a million.
Aligned images are copies of exposures and are told apart here, since they carry the exposure's camera settings.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import CharField, Count, Exists, IntegerField, Max, OuterRef, Value
from django.db.models.functions import Coalesce

from appion.base.failures import ConfigurationFailure
from appion.base.records.candidates import Candidates
from appion.base.records.ids import Ids, Names
from appion.base.retrieve.rejects import retrieveRejectedImages
from appion.base.retrieve.session import Session, readImageNames
from appion.base.retrieve.tilts import Some, TiltFilter
from sinedon import readPages
from sinedon.models import appiondata, leginondata

logger = logging.getLogger(__name__)

#: Preset name that stands for images taken without a preset.
MANUAL = "manual"

#: Rows this far behind the newest are looked at again: another client's row of a lower id may become visible later.
OVERLAP = 100


@dataclass(frozen=True)
class Selection:
    """What is asked for: the classic options, and what the step itself needs of an image.

    Attributes:
        session: the session; names: of the images of --mrclist, or empty.
        preset: name of the preset, ``manual``, or None for every image.
        startimgid, endimgid: inclusive, or None.
        tiltangle: a key of :data:`appion.base.retrieve.tilts.TILT_TESTS`.
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


@dataclass(frozen=True, slots=True)
class FoundImage:
    """A row of the selection query; `stage_a` (radians) is None unless it is needed."""

    image_id: int
    filename: str
    align_frames: bool | None
    stage_a: float | None = None


def constructSelection(args: argparse.Namespace, session: Session, saved_frames: bool = True, aligned: bool = False,
                       ) -> tuple[Callable[[int], Candidates], Callable[[], Ids]]:
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
    known = Names()
    looked_at: int | None = None

    def look(since: int) -> None:
        nonlocal looked_at
        newest = readNewestImageId()
        for images in retrieveImages(selection, since, looked_at):
            for image in images:
                if stack is None or image.image_id in stack:
                    known.put(image.image_id, image.filename)
        looked_at = newest

    def retrieveCandidates(after_id: int) -> Candidates:
        look(max(looked_at - OVERLAP, 0) if looked_at and after_id else 0)
        return Candidates(known, after_id)

    def retrieveRejected() -> Ids:
        if not (args.norejects or args.bestimages):
            return Ids()
        look(max((looked_at or 0) - OVERLAP, 0))
        return retrieveRejectedImages(known.copyIds(), session.def_id, args.bestimages, args.sibassess)

    return retrieveCandidates, retrieveRejected


def readNewestImageId() -> int:
    return leginondata.AcquisitionImageData.objects.aggregate(newest=Max("def_id"))["newest"] or 0


def retrieveImages(
    selection: Selection, after_id: int = 0, looked_at: int | None = None
) -> Iterator[list[FoundImage]]:
    """Yield the selected images with an id above `after_id`, by id, a page at a time.

    What is left out for a reason worth knowing is logged in the end, unless its id is not above `looked_at`: then it
    was. One query for the images of a page and one for which of them are aligned; one more where some are marked as
    aligned but not by this project, and one at the first look (`looked_at` None) where nothing is found, to say what
    there is.

    Raises:
        ConfigurationFailure: in the end: all images of the preset are aligned ones, so that waiting would be in vain.
    """
    tilts = TiltFilter(selection.tiltangle, looked_at or 0)
    aligned, left_out, found, usable, names = Some(), Some(), 0, 0, set[str]()
    for images in readImages(selection, after_id):
        found += len(images)
        names.update(image.filename for image in images if selection.names)
        if selection.tiltangle != "all":
            images = tilts.choose(images)
        if not selection.aligned and images:
            results = retrieveAligned(images)
            for image in images:
                if image.image_id in results:
                    aligned.add(image.filename)
                    if image.image_id > (looked_at or 0):
                        left_out.add(image.filename)
            images = [image for image in images if image.image_id not in results]
        usable += len(images)
        yield images
    if not found:
        if looked_at is None:
            explainNothing(selection)
        return
    missing = sorted(set(selection.names) - names)
    if missing and looked_at is None:
        logger.warning("--mrclist: no such image%s in session %s: %s", constructMovieNote(selection),
                       selection.session.name, ", ".join(missing))
    tilts.tell()
    if left_out.number and selection.names:
        logger.warning("%d aligned images are no input: %s", left_out.number, left_out)
    if selection.preset and after_id == 0 and aligned.number and not usable:
        raise ConfigurationFailure(
            f"--preset={selection.preset}: all {aligned.number} images of this preset in session "
            f"{selection.session.name} are aligned images, results that are no inputs: {aligned}",
            f"give the preset of the exposures; there are {describePresets(selection)}")


def readImages(selection: Selection, after_id: int) -> Iterator[list[FoundImage]]:
    """Yield pages of what was asked for; of listed names, which are few, the newest image of each in a single one."""
    query, columns = constructImageQuery(selection), ["filename", "camera__align_frames"]
    if selection.tiltangle != "all":
        columns.append("scope__stage_position_a")
    pages = ([FoundImage(*row) for row in rows] for rows in readPages(query, *columns, after=after_id))
    if selection.names:
        yield keepNewest([image for images in pages for image in images])
    else:
        yield from pages


def constructImageQuery(selection: Selection) -> Any:
    query = leginondata.AcquisitionImageData.objects.filter(session_id=selection.session.def_id)
    if selection.names:
        query = query.filter(filename__in=selection.names)
    if selection.startimgid is not None:
        query = query.filter(def_id__gte=selection.startimgid)
    if selection.endimgid is not None:
        query = query.filter(def_id__lte=selection.endimgid)
    if selection.preset == MANUAL:
        query = query.exclude(preset__gt=0)
    elif selection.preset is not None:
        # An outer join, or a server reads all images of the preset for each page, beginning with the table of presets.
        named = {"preset_name": Coalesce("preset__name", Value(""), output_field=CharField()),
                 "preset_session": Coalesce("preset__session_id", Value(0), output_field=IntegerField())}
        query = query.alias(**named).filter(preset_name=selection.preset, preset_session=selection.session.def_id)
    if selection.saved_frames:
        query = query.filter(camera__save_frames=True)
    return query


def keepNewest(images: Sequence[FoundImage]) -> list[FoundImage]:
    return sorted({image.filename: image for image in images}.values(), key=lambda image: image.image_id)


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


def retrieveStackImages(stackid: int, aligned: bool) -> Ids:
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
        return Ids(found)
    pairs = appiondata.ApDDAlignImagePairData.objects.filter(result_id__gte=min(found), result_id__lte=max(found))
    sources = dict(pairs.values_list("result_id", "source_id"))
    return Ids(sources.get(image_id) or image_id for image_id in found)


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
