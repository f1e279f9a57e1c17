"""Every row that a number of exposures refer to, in a number of queries that does not depend on how many there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sinedon
from appion.base.retrieve.instruments import readBufferPaths, readCalibrations
from sinedon.models import leginondata


@dataclass(frozen=True)
class Rows:
    """The rows that a number of exposures refer to, by id; calibrations by (magnification, microscope, camera)."""

    images: dict[int, Any]
    sessions: dict[int, Any]
    cameras: dict[int, Any]
    instruments: dict[int, Any]
    scopes: dict[int, Any]
    presets: dict[int, Any]
    norms: dict[int, Any]
    darks: dict[int, Any]
    plans: dict[int, Any]
    calibrations: dict[tuple[int, int, int], list[tuple[int, Any, float]]]
    version_changes: dict[int, list[tuple[int, int, bool | None, int | None]]]
    buffer_paths: dict[tuple[int, int], str]


def readExposures(ids: Iterable[int], refimgid: int | None = None) -> Rows:
    """Read every row that the images refer to."""
    data = leginondata
    images = sinedon.readRows(data.AcquisitionImageData, [*ids, refimgid])

    def readReferred(model: Any, key: str, *tables: dict[int, Any]) -> dict[int, Any]:
        return sinedon.readRows(model, {sinedon.refId(row, key) for table in tables for row in table.values()})

    norms = readReferred(data.NormImageData, "norm", images)
    darks = readReferred(data.DarkImageData, "dark", images)
    cameras = readReferred(data.CameraEMData, "camera", images, darks)
    scopes = readReferred(data.ScopeEMData, "scope", images)
    return Rows(
        images=images,
        sessions=readReferred(data.SessionData, "session", images, norms, darks),
        cameras=cameras,
        instruments=readReferred(data.InstrumentData, "ccdcamera", cameras),
        scopes=scopes,
        presets=readReferred(data.PresetData, "preset", images),
        norms=norms,
        darks=darks,
        plans=readReferred(data.CorrectorPlanData, "corrector_plan", images),
        calibrations=readCalibrations(scopes, cameras),
        version_changes=readVersionChanges(cameras),
        buffer_paths=readBufferPaths(images, cameras),
    )


def readVersionChanges(cameras: dict[int, Any]) -> dict[int, list[tuple[int, int, bool | None, int | None]]]:
    """Return (row id, image id, flip, rotate) of changes of the cameras' software, where camera rows need them."""
    old = {sinedon.refId(camera, "ccdcamera") for camera in cameras.values() if camera.frame_rotate is None} - {None}
    changes = defaultdict(list)
    if old:
        found = leginondata.K2FrameDMVersionChangeData.objects.filter(k2camera__in=old)
        for camera, *change in found.values_list("k2camera_id", "def_id", "image_id", "frame_flip", "frame_rotate"):
            changes[camera].append((change[0], change[1] or 0, change[2], change[3]))
    return changes
