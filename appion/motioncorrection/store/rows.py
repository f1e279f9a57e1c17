"""Rows of an aligned image. What an interrupted attempt wrote is found again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Value

import sinedon
from appion.motioncorrection.records import MotionCorrectionResult
from appion.motioncorrection.store.geometry import (
    MAX_STORED_POSITIONS,
    CameraGeometry,
    calcAlignedGeometry,
    calcDrift,
    calcUsedFrames,
)
from appion.motioncorrection.store.names import constructPresetName
from appion.motioncorrection.store.run import StackRun
from sinedon.models.appiondata import (
    ApDDAlignImagePairData,
    ApDDAlignStatsData,
    ApDDFrameTrajectoryData,
    ApDDStackParamsData,
    ApDDStackRunData,
)
from sinedon.models.leginondata import (
    AcquisitionImageData,
    CameraEMData,
    ObjIceThicknessData,
    PresetData,
    ScopeEMData,
    ZeroLossIceThicknessData,
)

#: Tables that the rows of a run and of its results are added to.
WRITTEN = (
    ApDDStackParamsData, ApDDStackRunData, CameraEMData, PresetData, AcquisitionImageData, ApDDFrameTrajectoryData,
    ApDDAlignStatsData, ObjIceThicknessData, ZeroLossIceThicknessData, ApDDAlignImagePairData,
)  # fmt: skip


def calcCameraChanges(camera: Any, result: MotionCorrectionResult) -> dict[str, Any]:
    """Return the fields in which the camera row of an aligned image differs from its source's, `camera`."""
    options = result.params.options
    source = CameraGeometry(
        (camera.dimension_x, camera.dimension_y),
        (camera.binning_x or 1, camera.binning_y or 1),
        (camera.offset_x or 0, camera.offset_y or 0),
    )
    return {
        **constructGeometryFields(calcAlignedGeometry(source, options, result.shape)),
        "align_frames": True,
        "use_frames": calcUsedFrames(options, result.params.nframes),
    }


def constructGeometryFields(geometry: CameraGeometry) -> dict[str, int]:
    """Return a geometry as the fields that camera and preset rows share."""
    values = {"dimension": geometry.dimension, "binning": geometry.binning, "offset": geometry.offset}
    return {f"{name}_{axis}": value for name, pair in values.items() for axis, value in zip("xy", pair, strict=True)}


def savePreset(
    source: Any, camera: Any, geometry: dict[str, int], preset: str | None, label: str, run: StackRun
) -> int:
    """Return the id of the aligned image's preset: the source's with another name and the aligned geometry.

    It is the same for most images of a session, so the run remembers it.

    An image without a preset gets one that says as much as its scope and camera rows do.

    Args:
        source: the source's `AcquisitionImageData` row. camera: its `CameraEMData` row.
        geometry: fields of the aligned geometry.
        preset, label: the source preset's name and what is appended to it.
    """
    fields = {**geometry, "name": constructPresetName(preset, label), "exposure_time": camera.exposure_time}
    if source.preset_id:
        known = (source.preset_id, *fields.items())
        if known not in run.presets:
            run.presets[known] = sinedon.copyRow(PresetData, source.preset_id, **fields)
        return run.presets[known]
    scope = sinedon.readRows(ScopeEMData, [source.scope_id]).get(source.scope_id)
    if scope is not None:
        fields |= {"magnification": scope.magnification, "defocus": scope.defocus, "tem_id": scope.tem_id}
    return sinedon.insertRow(
        PresetData, session_id=source.session_id, ccdcamera_id=camera.ccdcamera_id, **fields
    ).def_id


def saveImage(source: dict[str, Any], name: str, camera_id: int, preset_id: int, anew: bool) -> int:
    """Return the id of the aligned image's row: a copy of the source's, with its own name, camera and preset.

    Args:
        source: the source's values by column. anew: there is no such row yet.
    """
    return sinedon.copyRow(
        AcquisitionImageData,
        source,
        anew=anew,
        filename=name,
        mrc_image=f"{name}.mrc",
        camera_id=camera_id,
        preset_id=preset_id,
    )


def saveDrift(image_id: int, run: StackRun, result: MotionCorrectionResult, anew: bool) -> None:
    """Write trajectory and statistics of the plain sum.

    Positions are pixels of the aligned image, whose pixel size (Å) the statistics give. The trajectory row holds the
    first positions and the last one; shift j is the move from frame j to frame j+1. What is there is left as it is,
    and not looked for if `anew` says that nothing is.
    """
    drift = calcDrift(result.positions)
    place = {"image_id": image_id, "ddstackrun_id": run.def_id}
    trajectory = None if anew else findId(ApDDFrameTrajectoryData, **place)
    if trajectory is not None and findId(ApDDAlignStatsData, **place) is not None:
        return
    if trajectory is None:
        last_x, last_y = drift.positions[-1] if drift.positions else (None, None)
        trajectory = sinedon.addRow(
            ApDDFrameTrajectoryData,
            **place,
            pos_x=[x for x, _y in drift.positions[:MAX_STORED_POSITIONS]],
            pos_y=[y for _x, y in drift.positions[:MAX_STORED_POSITIONS]],
            last_x=last_x,
            last_y=last_y,
            number_of_positions=len(drift.positions),
            reference_index=len(drift.positions) // 2,
        )
    top = {
        f"top_shift{number}_{what}": value
        for number, shift in enumerate(drift.top, 1)
        for what, value in zip(("value", "index"), shift, strict=True)
    }
    sinedon.addRow(
        ApDDAlignStatsData,
        **place,
        trajectory_id=trajectory,
        apix=result.params.pixelsize * result.params.options.bin,
        median_shift_value=drift.median,
        **top,
    )


def findId(model: Any, **fields: Any) -> int | None:
    """Return the id of the first row with these values, None if there is none."""
    return model.objects.filter(**fields).order_by("def_id").values_list("def_id", flat=True).first()


def saveThickness(source_id: int, image_ids: list[int]) -> None:
    """Copy the newest ice thickness of the source image, of either kind, to its aligned images."""
    models = ObjIceThicknessData, ZeroLossIceThicknessData
    first, second = (
        model.objects.filter(image_id__in=[source_id, *image_ids]).annotate(kind=Value(kind))
        .values_list("kind", "def_id", "image_id") for kind, model in enumerate(models)
    )  # fmt: skip
    rows = sorted(first.union(second, all=True))
    done = {(kind, image_id) for kind, _def_id, image_id in rows}
    newest = {kind: def_id for kind, def_id, image_id in rows if image_id == source_id}
    for kind, def_id in newest.items():
        for image_id in image_ids:
            if (kind, image_id) not in done:
                sinedon.copyRow(models[kind], def_id, image_id=image_id)


def savePairs(source_id: int, images: Sequence[tuple[int, bool]], run: StackRun) -> None:
    """Write the rows that say: these images are results of the run, and all that belongs to them is stored.

    Args:
        images: (id, whether there is no such row yet).
    """
    rows = [{"source_id": source_id, "result_id": image_id, "ddstackrun_id": run.def_id} for image_id, _anew in images]
    if all(anew for _image_id, anew in images):
        sinedon.addRows(ApDDAlignImagePairData, rows)
        return
    for row in rows:
        sinedon.insertRow(ApDDAlignImagePairData, **row)
