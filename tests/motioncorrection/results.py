"""An exposure with its rows in the database and its sums in a run folder, as they are when a worker has finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from django.db import connections

import sinedon
from appion.base.records.program import Program
from appion.motioncorrection.records import (
    ComputedCorrection,
    MotionCorrectionOptions,
    MotionCorrectionOrigin,
    MotionCorrectionParams,
    MotionCorrectionResult,
)
from appion.motioncorrection.retrieve.params import constructFiles
from appion.motioncorrection.store.run import StackRun, saveStackRun
from sinedon.models.appiondata import ApDDAlignImagePairData, ApPathData
from sinedon.models.leginondata import (
    AcquisitionImageData,
    CameraEMData,
    InstrumentData,
    PresetData,
    ScopeEMData,
    SessionData,
)

#: A Gatan K3 that saves super-resolution pixels.
SUPERRES = {
    "dimension_x": 11520, "dimension_y": 8184, "binning_x": 1, "binning_y": 1, "offset_x": 0, "offset_y": 0,
}


def readRow(model, def_id):
    """A row as {classic column: value}, straight from the table, without id and time."""
    connection = connections[model._meta.app_label]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)} WHERE `DEF_id` = %s", [def_id]
        )
        row = dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))
    return {column: value for column, value in row.items() if column not in ("DEF_id", "DEF_timestamp")}


def readResults(result):
    """Rows of the plain and the weighted image, in the order they were declared done."""
    pairs = ApDDAlignImagePairData.objects.filter(source=result.origin.image_id).order_by("def_id")
    return [AcquisitionImageData.objects.get(pk=pair.result_id) for pair in pairs]


def readText(result, name):
    return (Path(result.origin.image_path) / f"{name}.mrc").read_text()


def makeRun(folder: Path, session: str = "25nov22a", **changes) -> StackRun:
    """A session and a run in `folder`/run."""
    (folder / "run").mkdir(exist_ok=True)
    row = sinedon.insertRow(SessionData, name=session, image_path=str(folder / "images"), frame_path=str(folder))
    path = sinedon.insertRow(ApPathData, path=str(folder / "run"))
    options = {"preset": "esn", "align": True, "bin": 2.0, **changes}
    return saveStackRun(row.def_id, "run", path.def_id, **options)


def makeExposure(
    folder: Path, run: StackRun, number: int = 1, camera=None, preset: str | None = "esn", weighted: bool = True,
    options=None, positions=None, shape=(4092, 5760), **params,
) -> ComputedCorrection:
    """Rows and sums of exposure `number`."""
    tem = sinedon.insertRow(InstrumentData, name="Krios", hostname="krios", hidden=False)
    ccd = sinedon.insertRow(InstrumentData, name="GatanK3", hostname="krios-k3", hidden=False)
    scope = sinedon.insertRow(
        ScopeEMData, session=run.session_id, tem=tem, magnification=105000, defocus=-2e-6, high_tension=300000,
        system_time=float(number),
    )
    geometry = {**SUPERRES, **(camera or {})}
    camera_row = sinedon.insertRow(
        CameraEMData, session=run.session_id, ccdcamera=ccd, exposure_time=1500.0, frame_time=30.0, nframes=50,
        save_frames=True, align_frames=False, frame_flip=False, frame_rotate=0, system_time=1742389376.772 + number,
        frames_name=f"frames{number}", use_frames=tuple(range(50)), **geometry,
    )
    preset_row = preset and sinedon.insertRow(
        PresetData, session=run.session_id, tem=tem, ccdcamera=ccd, name=preset, magnification=105000, defocus=-2e-6,
        dose=5.4546e21, exposure_time=1400.0, **geometry,
    )
    filename = f"25nov22a_00002hl_{number:05d}{preset or 'ma'}"
    image = sinedon.insertRow(
        AcquisitionImageData, session=run.session_id, scope=scope, camera=camera_row, preset=preset_row or None,
        filename=filename, mrc_image=f"{filename}.mrc", label="Exposure", pixels=94279680, pixeltype="float32",
        version=0, use_frames=tuple(range(50)),
    )
    sums = [folder / "run" / f"{filename}_c.mrc", folder / "run" / f"{filename}_c-DW.mrc"]
    sums[0].write_text(f"plain {number}")
    if weighted:
        sums[1].write_text(f"weighted {number}")
    origin = MotionCorrectionOrigin(
        image_id=image.def_id, filename=filename, session_id=run.session_id, rundir=str(folder / "run"),
        image_path=str(folder / "images"), preset=preset,
        camera_dimension=(geometry["dimension_x"], geometry["dimension_y"]),
        camera_binning=(geometry["binning_x"], geometry["binning_y"]),
    )
    record = MotionCorrectionParams(
        name=filename, movie=str(folder / f"{filename}.frames.tif"), movie_format="tif", nframes=50, pixelsize=0.413,
        voltage=300, totaldose=54.546, files=constructFiles(str(folder / "run"), filename, "motioncor3"),
        scratch=str(folder / str(image.def_id)),
        options=MotionCorrectionOptions(**{"bin": 2.0, "doseweight": True, **(options or {})}),
        program=Program("motioncor3", "motioncor3"),
    )
    positions = [(0.5 * (25 - i), 0.25 * (i - 25)) for i in range(50)] if positions is None else positions
    result = MotionCorrectionResult(
        params=replace(record, **params), argv=("motioncor3",), host="localhost", started=0.0, seconds=1.0,
        shifts=tuple(positions), positions=tuple(positions), sum_file=str(sums[0]),
        dw_file=str(sums[1]) if weighted else "", shape=shape, log_file="", program_log_file="",
    )
    return ComputedCorrection(origin, result)
