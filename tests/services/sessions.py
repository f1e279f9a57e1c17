"""Makes Leginon sessions in whichever databases are set up: a few images for a test, thousands for a benchmark."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.db import connections, transaction

from sinedon import hasTable, insertRow
from sinedon.live import isMissing
from sinedon.models import leginondata, projectdata

START = datetime.datetime(2026, 3, 19, 12, 0, 0)
INTERVAL = datetime.timedelta(seconds=10)

#: Rows of one statement: SQLite takes 32,766 values.
AT_ONCE = 250


@dataclass(frozen=True)
class MadeSession:
    """Ids of the rows of a made session; `image_ids` and `filenames` belong together, oldest first."""

    session_id: int
    name: str
    image_path: str
    frame_path: str
    project_id: int
    tem_id: int
    ccdcamera_id: int
    preset_id: int
    preset: str
    calibration_id: int
    norm_id: int | None
    plan_id: int | None
    camera: dict[str, Any]
    scope: dict[str, Any]
    image_ids: tuple[int, ...] = ()
    filenames: tuple[str, ...] = ()


def makeSession(
    images: int = 3,
    nframes: int = 50,
    camera: str = "GatanK3",
    preset: str = "enn",
    name: str = "26mar19a",
    root: str | Path = "/data",
    projectid: int = 1,
    dimension: tuple[int, int] = (5760, 4092),
    binning: int = 2,
    pixelsize: float = 4.13e-11,
    magnification: int = 105000,
    dose: float | None = 5.4546e21,
    frame_time: float = 30.0,
    movie_format: str = "tif",
    norm: bool = True,
    bad_rows: tuple[int, ...] = (),
    bad_cols: tuple[int, ...] = (),
    bad_pixels: tuple[tuple[int, int], ...] = (),
    frame_flip: bool = False,
    frame_rotate: int = 0,
    start: datetime.datetime = START,
) -> MadeSession:
    """Insert a session of a project with `images` exposures of one preset and everything they refer to.

    Movies belong at ``<root>/frames/<name>/rawdata/<filename>.frames.<format>``, Leginon's pictures at
    ``<root>/leginon/<name>/rawdata/<filename>.mrc``; no file is written. `pixelsize` (m) is the calibrated, unbinned
    one, `dimension` (x, y) that of the binned picture, `dose` in e/m², `frame_time` in ms. Where the live database has
    no table for gain references or corrector plans, there are none.
    """
    before = {"def_timestamp": start - datetime.timedelta(days=1)}
    user = insertRow(leginondata.UserData, username="microscopist", firstname="Ada", lastname="Doe")
    session = insertRow(
        leginondata.SessionData, name=name, user=user, hidden=False, comment="",
        image_path=f"{root}/leginon/{name}/rawdata", frame_path=f"{root}/frames/{name}/rawdata", **before,
    )  # fmt: skip
    insertRow(projectdata.projectexperiments, project=projectid, session=session)
    tem = insertRow(leginondata.InstrumentData, name="Krios", hostname="krios", cs=0.0027, hidden=False)
    ccd = insertRow(leginondata.InstrumentData, name=camera, hostname="camera", hidden=False)
    inner = {"session": session.def_id, "tem": tem.def_id, "ccdcamera": ccd.def_id}
    geometry = {
        "dimension_x": dimension[0], "dimension_y": dimension[1], "binning_x": binning, "binning_y": binning,
        "offset_x": 0, "offset_y": 0, "exposure_time": nframes * frame_time, "frame_time": frame_time,
        "save_frames": True, "align_frames": False, "readout_delay": 0, "use_frames": tuple(range(nframes)),
    }  # fmt: skip
    camerastate = {
        "session": session.def_id, "ccdcamera": ccd.def_id, **geometry, "nframes": nframes, "exposure_type": "normal",
        "frame_flip": frame_flip, "frame_rotate": frame_rotate, "inserted": True, "dump": False,
        "tiff_frames": movie_format == "tif", "eer_frames": movie_format == "eer", "system_corrected": False,
    }  # fmt: skip
    scopestate = {
        "session": session.def_id, "tem": tem.def_id, "magnification": magnification, "high_tension": 300000,
        "defocus": -2e-6, "spot_size": 7, "intensity": 0.5, "probe_mode": "nano", "stage_position_a": 1e-5,
        "stage_position_x": 0.0, "stage_position_y": 0.0, "stage_position_z": 0.0,
    }  # fmt: skip
    presetrow = insertRow(
        leginondata.PresetData, **inner, **geometry, name=preset, magnification=magnification, dose=dose, number=5,
        defocus=-2e-6, spot_size=7, intensity=0.5, removed=False, skip=False, **before,
    )  # fmt: skip
    calibration = insertRow(
        leginondata.PixelSizeCalibrationData, **inner, magnification=magnification, pixelsize=pixelsize,
        comment="made", **before,
    )  # fmt: skip
    bad = {"bad_rows": bad_rows, "bad_cols": bad_cols, "bad_pixels": bad_pixels}
    norm_id, plan_id = insertReferences(name, camerastate, norm, bad, before)
    made = MadeSession(
        session.def_id, name, session.image_path, session.frame_path, projectid, tem.def_id, ccd.def_id,
        presetrow.def_id, preset, calibration.def_id, norm_id, plan_id, camerastate, scopestate,
    )  # fmt: skip
    return addImages(made, images, start)


def insertReferences(
    name: str, camerastate: dict[str, Any], norm: bool, bad: dict[str, Any], before: dict[str, Any]
) -> tuple[int | None, int | None]:
    """Insert a gain reference and a corrector plan and return their ids; None where there is no table for them."""
    camera = insertRow(leginondata.CameraEMData, **{**camerastate, "save_frames": False}, **before)
    inner = {"session": camera.session_id, "camera": camera, **before}
    norm_id = plan_id = None
    if hasTable(leginondata.CorrectorPlanData):
        plan_id = insertRow(leginondata.CorrectorPlanData, **inner, **bad, despike=False).def_id
    if norm and hasTable(leginondata.NormImageData):
        file = f"{name}_norm_0"
        row = insertRow(leginondata.NormImageData, **inner, filename=file, mrc_image=f"{file}.mrc", channel=0)
        norm_id = row.def_id
    return norm_id, plan_id


def addImages(made: MadeSession, images: int, start: datetime.datetime | None = None) -> MadeSession:
    """Insert further exposures into a made session and return the session with them."""
    first = len(made.image_ids)
    start = start or START + first * INTERVAL
    times = [start + index * INTERVAL for index in range(images)]
    cameras = insertMany(leginondata.CameraEMData, ({**made.camera, "def_timestamp": time} for time in times))
    scopes = insertMany(leginondata.ScopeEMData, ({**made.scope, "def_timestamp": time} for time in times))
    names = [f"{made.name}_{index + 1:05d}{made.preset}" for index in range(first, first + images)]
    rows = [
        {
            "session": made.session_id, "camera": camera, "scope": scope, "preset": made.preset_id, "filename": name,
            "norm": made.norm_id, "corrector_plan": made.plan_id, "mrc_image": f"{name}.mrc", "label": "Exposure",
            "pixels": made.camera["dimension_x"] * made.camera["dimension_y"], "pixeltype": "float32",
            "correction_channel": 0, "version": 0, "use_frames": made.camera["use_frames"], "def_timestamp": time,
        }
        for name, camera, scope, time in zip(names, cameras, scopes, times, strict=True)
    ]  # fmt: skip
    ids = insertMany(leginondata.AcquisitionImageData, rows)
    return replace(made, image_ids=(*made.image_ids, *ids), filenames=(*made.filenames, *names))


def insertMany(model: Any, rows: Iterable[dict[str, Any]]) -> list[int]:
    """Insert rows that all name the same fields, without looking for identical ones, and return their ids in order."""
    rows = list(rows)
    if not rows:
        return []
    alias, table = model._meta.app_label, model._meta.db_table
    connection = connections[alias]
    fields = [(name, model._meta.get_field(name)) for name in rows[0]]
    fields = [(name, field) for name, field in fields if not isMissing(alias, table, field.column)]
    columns = ", ".join(connection.ops.quote_name(field.column) for _, field in fields)
    marks = f"({', '.join(['%s'] * len(fields))})"
    values = [[field.get_db_prep_save(row[name], connection) for name, field in fields] for row in rows]
    start, ids = f"INSERT INTO {connection.ops.quote_name(table)} ({columns}) VALUES ", []
    with transaction.atomic(using=alias), connection.cursor() as cursor:
        for some in (values[first : first + AT_ONCE] for first in range(0, len(values), AT_ONCE)):
            # The statement itself says which ids these are: a daemon may be writing rows of the same table.
            statement = f"{start}{', '.join([marks] * len(some))} RETURNING DEF_id"
            cursor.execute(statement, [value for row in some for value in row])
            ids += sorted(row[0] for row in cursor.fetchall())
    return ids
