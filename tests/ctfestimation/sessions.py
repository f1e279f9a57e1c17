"""Rows to start from: exposures, what was made from them, earlier results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sinedon
from appion.base.records.program import Program
from appion.ctfestimation.records import CTFOptions
from appion.ctfestimation.retrieve.params import ParamsContext
from sinedon.models import appiondata, leginondata
from tests.services.sessions import MadeSession

RUNDIR = "/d/appion/26mar19a/ctf/ctf1"


def makeContext(owners: dict[str, int] | None = None, kind: str = "ctffind", **options: Any) -> ParamsContext:
    return ParamsContext(
        rundir=RUNDIR, scratch=f"{RUNDIR}/.appion/scratch", options=CTFOptions(**options),
        program=Program(kind, f"/opt/{kind}", "4.1.14"), cs=2.7, owners=owners or {},
    )  # fmt: skip


def makeDDStackRun(made: MadeSession, name: str = "ddstack1") -> int:
    params = sinedon.insertRow(appiondata.ApDDStackParamsData, align=True, bin=1)
    return sinedon.insertRow(
        appiondata.ApDDStackRunData, runname=name, params=params, session=made.session_id
    ).def_id


def addAligned(made: MadeSession, source: int, run: int, label: str = "a", **camera: Any) -> int:
    """Insert the row of an image made from the movie of exposure `source`, as motion correction does; return its id."""
    row = leginondata.AcquisitionImageData.objects.get(pk=source)
    camera_id = sinedon.copyRow(leginondata.CameraEMData, row.camera_id, align_frames=True, **camera)
    preset_id = sinedon.copyRow(leginondata.PresetData, row.preset_id, name=f"{made.preset}-{label}")
    name = f"{row.filename}-{label}"
    image_id = sinedon.copyRow(
        leginondata.AcquisitionImageData, source, filename=name, mrc_image=f"{name}.mrc", camera_id=camera_id,
        preset_id=preset_id,
    )  # fmt: skip
    sinedon.insertRow(appiondata.ApDDAlignImagePairData, source_id=source, result_id=image_id, ddstackrun_id=run)
    return image_id


def addCTF(image_id: int, run: int | None = None, **values: Any) -> int:
    """Insert a plausible earlier result with the given columns changed; return its id."""
    fields = {
        "defocus1": 1.5e-6, "defocus2": 1.6e-6, "amplitude_contrast": 0.1234, "resolution_80_percent": 4.0,
        "resolution_50_percent": 3.5, "ctffind4_resolution": 3.0, "confidence": 0.9, "confidence_d": 0.8,
    } | values  # fmt: skip
    return sinedon.insertRow(appiondata.ApCtfData, image_id=image_id, acerun_id=run, **fields).def_id


def addScope(image_id: int, **values: Any) -> None:
    """Give an image a microscope row of its own."""
    row = leginondata.AcquisitionImageData.objects.get(pk=image_id)
    scope = sinedon.copyRow(leginondata.ScopeEMData, row.scope_id, **values)
    sinedon.updateRow(leginondata.AcquisitionImageData, image_id, scope_id=scope)


def renameImage(made: MadeSession, index: int, name: str) -> MadeSession:
    sinedon.updateRow(leginondata.AcquisitionImageData, made.image_ids[index], filename=name, mrc_image=f"{name}.mrc")
    names = list(made.filenames)
    names[index] = name
    return replace(made, filenames=tuple(names))
