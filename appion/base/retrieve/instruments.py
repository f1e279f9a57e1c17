"""What rows of instruments say about any number of images: calibrations of pixel sizes, hosts that buffer movies."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sinedon
from appion.base.retrieve.paths import expandVariables
from sinedon.models import leginondata


def readCalibrations(
    scopes: dict[int, Any], cameras: dict[int, Any]
) -> dict[tuple[int, int, int], list[tuple[int, Any, float]]]:
    """Return (id, time, m per pixel) of the calibrations of these settings by (magnification, microscope, camera)."""
    found = leginondata.PixelSizeCalibrationData.objects.filter(
        magnification__in={scope.magnification for scope in scopes.values()},
        tem__in={sinedon.refId(scope, "tem") for scope in scopes.values()} - {None},
        ccdcamera__in={sinedon.refId(camera, "ccdcamera") for camera in cameras.values()} - {None},
        pixelsize__isnull=False,
    ).values_list("magnification", "tem_id", "ccdcamera_id", "def_id", "def_timestamp", "pixelsize")
    calibrations = defaultdict(list)
    for magnification, tem, ccdcamera, *calibration in found:
        calibrations[magnification, tem, ccdcamera].append(tuple(calibration))
    return calibrations


def readBufferPaths(images: dict[int, Any], cameras: dict[int, Any]) -> dict[tuple[int, int], str]:
    """Return the folders on buffer hosts by (session, camera instrument), of hosts that are not disabled."""
    if not sinedon.hasTable(leginondata.BufferHostData):
        return {}
    found = leginondata.BufferFramePathData.objects.filter(
        session__in={sinedon.refId(image, "session") for image in images.values()} - {None},
        host__ccdcamera__in={sinedon.refId(camera, "ccdcamera") for camera in cameras.values()} - {None},
    ).order_by("def_id")
    return {
        (session, instrument): expandVariables(path)
        for session, instrument, disabled, path in found.values_list(
            "session_id", "host__ccdcamera_id", "host__disabled", "buffer_frame_path"
        )
        if path and not disabled
    }
