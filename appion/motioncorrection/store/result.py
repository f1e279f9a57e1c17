"""Storing the result of one exposure: names, then files, then rows, the markers last.

Nothing here is a transaction (classic databases have none): a process may die between any two steps. Each step is
therefore safe to repeat, and what was decided (the names) is written down before it is acted upon.
"""

from __future__ import annotations

from dataclasses import replace

from django.core.exceptions import ObjectDoesNotExist

import sinedon
from appion.base.failures import ConfigurationFailure, ImageFailure, InfrastructureFailure
from appion.base.records.task import encodeComputed
from appion.base.retrieve.journal import readResult
from appion.base.store.journal import saveResult
from appion.motioncorrection.records import ComputedCorrection, MotionCorrectionOrigin
from appion.motioncorrection.store import rows
from appion.motioncorrection.store.files import (
    Sum,
    chooseName,
    constructSums,
    findOwnName,
    placeSum,
    removeLeftovers,
    removeSums,
)
from appion.motioncorrection.store.run import StackRun
from sinedon.models.appiondata import ApDDAlignImagePairData
from sinedon.models.leginondata import AcquisitionImageData, CameraEMData

#: How often another name is chosen because somebody else took it between choosing and placing.
MAX_NAME_CHANGES = 100


def storeResult(computed: ComputedCorrection, run: StackRun) -> tuple[str, ...]:
    """Store files and rows of one exposure; what an earlier, interrupted attempt stored is found again.

    When this returns, the sums are among the session's images, their rows are complete, and the run folder holds
    neither of them any more. The journal's record stays for the caller to remove. Returns the paths of the sums.

    Raises:
        ImageFailure: the sums are gone, or the source image's rows are.
        ConfigurationFailure: the database lacks a table or column.
        InfrastructureFailure: the session's folder or the run folder cannot be written to.
        django.db.Error: the database does not answer (`sinedon.isDatabaseAway`); to be repeated on a new connection.
    """
    origin = computed.origin
    try:
        sums = placeSums(computed, run)
        image_ids = saveRows(computed, run, sums)
        # The markers say that nothing is left to do, so this comes before them.
        removeSums(sums)
    except OSError as error:
        raise InfrastructureFailure(
            f"cannot store {origin.filename}: {error}",
            f"make room or permit writing in {origin.image_path} and {origin.rundir}; it is tried again",
        ) from error
    except sinedon.errors.SchemaError as error:
        raise ConfigurationFailure(f"cannot store {origin.filename}: {error}") from error
    anew = [item.anew for item in sums]
    rows.savePairs(origin.image_id, list(zip(image_ids, anew, strict=True)), run)
    return tuple(f"{origin.image_path}/{item.name}.mrc" for item in sums)


def placeSums(computed: ComputedCorrection, run: StackRun) -> tuple[Sum, ...]:
    """Choose names, unless that was done, write them into the journal, and place the files under them."""
    origin = computed.origin
    mine, others = readStoredNames(origin.image_id, run)
    sums = constructSums(computed)
    if sums[0].name:
        removeLeftovers(origin, sums)
    elif not mine and not others and isUntouched(origin):
        sums = tuple(replace(item, anew=True) for item in sums)
    elif all(findOwnName(origin, item, mine) for item in sums):
        # Complete, so it was computed again on purpose: the new results stand beside the old ones.
        mine, others = {}, others | {name.lower() for name in mine}
    for _attempt in range(MAX_NAME_CHANGES):
        chosen = tuple(chooseName(origin, item, mine, others) for item in sums)
        names = tuple(item.name for item in chosen)
        if names != tuple(item.name for item in sums):
            named = replace(computed, origin=replace(origin, stored_names=names))
            saveResult(origin.rundir, origin.image_id, encodeComputed(named))
        sums = tuple(placeUnlessTaken(origin, item) for item in chosen)
        if all(item.name for item in sums):
            return sums
    raise InfrastructureFailure(f"no free name for {origin.filename} in {origin.image_path}", "look what writes there")


def isUntouched(origin: MotionCorrectionOrigin) -> bool:
    """Whether nobody began to store the result: its record in the journal has no names, which come before all rows."""
    record = readResult(origin.rundir, origin.image_id) or {}
    return "origin" in record and not record["origin"].get("stored_names")


def placeUnlessTaken(origin: MotionCorrectionOrigin, item: Sum) -> Sum:
    """Place a sum; if its name turns out to be somebody else's, return it without a name."""
    try:
        placeSum(origin, item)
    except FileExistsError:
        # A sum of this very run that was computed twice: the first stays, its rows describe it.
        return item if item.image_id else replace(item, name="")
    return item


def readStoredNames(image_id: int, run: StackRun) -> tuple[dict[str, int], set[str]]:
    """Return the results that an exposure has: {name: image id} of this run, and other runs' names in lower case."""
    pairs = list(ApDDAlignImagePairData.objects.filter(source_id=image_id))
    images = sinedon.readRows(AcquisitionImageData, [pair.result_id for pair in pairs])
    mine = {
        images[pair.result_id].filename: pair.result_id
        for pair in pairs
        if pair.ddstackrun_id == run.def_id and pair.result_id in images
    }
    return mine, {image.filename.lower() for image in images.values() if image.filename not in mine}


def saveRows(computed: ComputedCorrection, run: StackRun, sums: tuple[Sum, ...]) -> list[int]:
    """Write all rows of a result but the markers; return the ids of the aligned images, the plain one first."""
    origin, result = computed.origin, computed.result
    try:
        (source, image), (camera, shot) = sinedon.readWholeWith(AcquisitionImageData, origin.image_id, "camera")
    except ObjectDoesNotExist:
        name = f"image {origin.image_id} ({origin.filename})"
        raise ImageFailure(f"{name} or its camera row is not in the database") from None
    changes = rows.calcCameraChanges(camera, result)
    camera_id = 0
    geometry = {field: value for field, value in changes.items() if field not in ("align_frames", "use_frames")}
    image_ids = []
    for item in sums:
        image_id = item.image_id
        if image_id is None:
            # Exposures may be alike to the camera: always the first such row, or another try would miss its images.
            camera_id = camera_id or sinedon.copyRow(CameraEMData, shot, **changes)
            preset_id = rows.savePreset(source, camera, geometry, origin.preset, item.label, run)
            image_id = rows.saveImage(image, item.name, camera_id, preset_id, item.anew)
        image_ids.append(image_id)
    rows.saveDrift(image_ids[0], run, result, sums[0].anew)
    rows.saveThickness(source.def_id, image_ids)
    return image_ids
