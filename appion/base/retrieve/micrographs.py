"""Micrographs, aligned or not, and every row that any number of them refer to, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sinedon
from appion.base.calc.limits import PIXEL_SIZE, checkValue
from appion.base.calc.pixelsize import calcPixelSize, selectPixelSize
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, classifyException
from appion.base.records.micrograph import MeasureContext, MeasureParams, MeasureTask
from appion.base.records.task import Origin, Task
from appion.base.retrieve.instruments import readCalibrations
from appion.base.retrieve.paths import constructImagePath
from appion.base.retrieve.plausible import checkCalibration, checkCamera, checkScope
from appion.base.retrieve.relatives import Relatives, readPixelSizes, readRelatives
from appion.base.retrieve.rows import getRow, readPair
from appion.base.retrieve.taken import constructTaken
from sinedon.models import leginondata


@dataclass(frozen=True)
class Rows:
    """The rows that a number of micrographs refer to, by id.

    Attributes:
        calibrations: by (magnification, microscope, camera).
        relatives: of aligned images. pixelsizes: that motion correction noted for them, Å.
    """

    images: dict[int, Any]
    sessions: dict[int, Any]
    cameras: dict[int, Any]
    scopes: dict[int, Any]
    calibrations: dict[tuple[int, int, int], list[tuple[int, Any, float]]]
    relatives: Relatives
    pixelsizes: dict[int, float]

    def findExposure(self, image: Any) -> Any:
        """Return the row of what an aligned image was made from, the image's own if it is not aligned."""
        sources = (self.images.get(source) for source, _ in sorted(self.relatives.sources.get(image.def_id, ())))
        return next(filter(None, sources), image)


def readRows(ids: Sequence[int]) -> Rows:
    """Read every row that the images refer to, and those of the exposures that they were made from.

    At most 8 queries (per 5000 images).
    """
    relatives = readRelatives(ids)
    sources = {source for image_id in ids for source, _ in relatives.sources.get(image_id, ())}
    images = sinedon.readRows(leginondata.AcquisitionImageData, {*ids, *sources})
    cameras = readReferred(leginondata.CameraEMData, "camera", images)
    scopes = readReferred(leginondata.ScopeEMData, "scope", images)
    return Rows(
        images=images,
        sessions=readReferred(leginondata.SessionData, "session", images),
        cameras=cameras,
        scopes=scopes,
        calibrations=readCalibrations(scopes, cameras),
        relatives=relatives,
        pixelsizes=readPixelSizes(ids, relatives),
    )


def readReferred(model: Any, key: str, table: dict[int, Any]) -> dict[int, Any]:
    """Return the rows that those of a table refer to by a field, by id; one query."""
    return sinedon.readRows(model, {sinedon.refId(row, key) for row in table.values()})


def retrieveParams(ids: Sequence[int], context: MeasureContext) -> dict[int, MeasureTask | Failure]:
    """Return what is to be measured of the images `ids`; a Failure where an image's rows do not give it."""
    rows = readRows(ids)
    result: dict[int, MeasureTask | Failure] = {}
    for image_id in ids:
        try:
            result[image_id] = constructTask(image_id, rows, context)
        except Exception as error:  # one odd row must not keep the others from being read
            result[image_id] = classifyException(error)
    return result


def constructTask(image_id: int, rows: Rows, context: MeasureContext) -> MeasureTask:
    """Return origin and parameters of one image.

    Raises:
        ImageFailure: a row that the image refers to is missing.
        ConfigurationFailure: no calibration of the pixel size, or a value that cannot be.
    """
    image = rows.images.get(image_id)
    if image is None:
        raise ImageFailure(f"image {image_id} is not in the database")
    session, camera = getRow(rows.sessions, image, "session"), getRow(rows.cameras, image, "camera")
    scope = getRow(rows.scopes, image, "scope")
    checkScope(scope)
    checkCamera(camera)
    taken = constructTaken(rows.findExposure(image), scope)
    params = MeasureParams(
        micrograph=constructImagePath(session.image_path or "", session.name or "", image.filename),
        dimension=readPair(camera, "dimension"),
        pixelsize=calcImagePixelSize(image, rows),
        options=context.options.values,
        program=context.program,
    )
    return Task(Origin(image_id, image.filename, session.def_id, context.rundir, taken=taken), params)


def calcImagePixelSize(image: Any, rows: Rows) -> float:
    """Return the pixel size (Å) of an image: the calibration that held when it was taken, times the binning.

    The camera row of an aligned image holds a rounded binning; where that matters, the size noted with its drift is.
    """
    camera, scope = getRow(rows.cameras, image, "camera"), getRow(rows.scopes, image, "scope")
    setting = scope.magnification, sinedon.refId(scope, "tem") or 0, sinedon.refId(camera, "ccdcamera") or 0
    calibration = selectPixelSize(rows.calibrations.get(setting, ()), image.def_timestamp)
    if calibration is None:
        raise ConfigurationFailure(
            f"no pixel size is calibrated for magnification {scope.magnification} (microscope {setting[1]}, camera "
            f"{setting[2]})", "calibrate it in Leginon"
        )  # fmt: skip
    binning = readPair(camera, "binning")[0]
    checkCalibration(rows.calibrations[setting], calibration, binning)
    noted = rows.pixelsizes.get(image.def_id)
    if noted is not None:
        checkNoted(image, noted)
    if noted is not None and isFractional(noted / calcPixelSize(calibration, 1)):
        return noted
    return calcPixelSize(calibration, binning)


def isFractional(binning: float) -> bool:
    """Return whether a binning is not a whole number, which is all that a camera row can hold."""
    return abs(binning - round(binning)) > 0.01


def checkNoted(image: Any, pixelsize: float) -> None:
    """Look at the pixel size (Å) that motion correction noted for an aligned image. Raises ConfigurationFailure."""
    checkValue(PIXEL_SIZE, pixelsize, f"ApDDAlignStatsData of image {image.def_id}: apix", holder="column")
