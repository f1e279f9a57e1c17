"""The models against the tables: names, completeness, field types."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy
import pytest
from django.db import connections

import sinedon
from sinedon.connection import registerDatabases
from sinedon.errors import ConfigurationError
from sinedon.fields import File, Reference, ReferenceId, Sequence
from sinedon.models import appiondata, leginondata, projectdata
from sinedon.schema import MODULES, listModels

DATA = Path(__file__).parent / "data"
MODELS = [model for alias in MODULES for model in listModels(alias)]


def constructAttribute(column: str) -> str:
    """Return the attribute's name that follows from a classic column."""
    parts = column.split("|")
    if parts[0] == "REF":
        name = f"{parts[-1]}_id"
    elif parts[0] == "MRC":
        name = f"mrc_{parts[1]}"
    elif column.startswith("DEF_"):
        name = column.lower()
    else:
        name = "_".join(part for part in parts if part not in ("SUBD", "SEQ"))
    return name.replace(" ", "_").replace("-", "_")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def testNames(model):
    meta = model._meta
    assert meta.db_table == model.__name__
    for field in meta.concrete_fields:
        assert field.attname == constructAttribute(field.column)
        assert "%" not in field.column
        assert len(field.column) <= 64
        assert len(f"{meta.db_table}") <= 64
        assert isinstance(field, Reference | ReferenceId) == field.column.startswith("REF|")
        assert isinstance(field, Sequence) == field.column.startswith("SEQ|")
        assert isinstance(field, File) == field.column.startswith("MRC|")
        if isinstance(field, Reference):
            assert field.related_model.__name__ in field.column
    assert len({field.column.lower() for field in meta.concrete_fields}) == len(meta.concrete_fields)


def testEveryColumnOfRealTablesIsThere():
    """Tables of a production database of 2025 and of an installation of 2016."""
    columns = json.loads((DATA / "columns-2025.json").read_text())
    definitions = (DATA / "classic-2016.sql").read_text()
    for table, body in re.findall(r"^CREATE TABLE `(\w+)` \((.*?)^\)", definitions, re.S | re.M):
        columns.setdefault(table, []).extend(re.findall(r"^  `([^`]+)`", body, re.M))
    models = {model.__name__: model for model in MODELS}
    for table, names in columns.items():
        known = {field.column for field in models[table]._meta.concrete_fields}
        assert set(names) <= known, table


def testModelsNeedSetup():
    registerDatabases({})  # whatever another test left
    with pytest.raises(ConfigurationError, match=r"'leginondata' is not set up; call sinedon.setup"):
        leginondata.SessionData.objects.first()


@pytest.mark.usefixtures("anydatabase")
def testFieldTypesRoundTrip():
    insert = sinedon.insertRow
    session = insert(leginondata.SessionData, name="26mar19a")
    camera = insert(
        leginondata.CameraEMData, session=session, use_frames=(0, 1, 2), exposure_time=0.1 + 0.2, nframes=3,
        frame_flip=1, save_frames=False, dimension_x=5760,
    )  # fmt: skip
    plan = insert(leginondata.CorrectorPlanData, bad_pixels=((1, 2), (3, 4)), bad_rows=(), camera=camera.def_id)
    image = insert(leginondata.AcquisitionImageData, session=session, camera=camera, corrector_plan=plan, preset=0)
    with connections["leginondata"].cursor() as cursor:
        cursor.execute("UPDATE AcquisitionImageData SET `REF|PresetData|preset` = 0")
    image = leginondata.AcquisitionImageData.objects.get()
    moves = insert(appiondata.ApDDFrameTrajectoryData, image=image, pos_x=list(numpy.float64([1.5, 2])), pos_y=[0])
    experiment = insert(projectdata.projectexperiments, project=1, session=session)
    camera = leginondata.CameraEMData.objects.get(pk=camera.def_id)
    assert camera.exposure_time == 0.1 + 0.2
    assert (camera.use_frames, camera.frame_flip, camera.save_frames) == ((0, 1, 2), True, False)
    assert (camera.eer_frames, camera.frame_rotate) == (None, None)
    assert (plan.bad_pixels, plan.bad_rows, plan.bad_cols) == (((1, 2), (3, 4)), (), None)
    assert (moves.pos_x, moves.pos_y) == ([1.5, 2.0], [0])
    assert (image.camera, image.session, image.corrector_plan) == (camera, session, plan)
    assert (image.preset, sinedon.refId(image, "preset"), image.dark) == (None, None, None)
    assert sinedon.refId(image, "camera") == camera.def_id
    assert moves.image == image
    assert experiment.session == session
    names = leginondata.AcquisitionImageData.objects.filter(session__name="26mar19a", camera__nframes=3)
    assert [row.def_id for row in names] == [image.def_id]


@pytest.mark.usefixtures("anydatabase")
def testSequencesAreDataNotCode():
    code = "__import__('os').getpid()"
    row = sinedon.insertRow(leginondata.CorrectorPlanData, bad_rows=code, bad_cols="(1, 2", despike=True)
    assert (row.bad_rows, row.bad_cols) == (None, None)


@pytest.mark.usefixtures("anydatabase")
def testSequencesOfOldProgramsAreRead():
    """Python 2 wrote long integers and unicode texts its own way, numpy 2 writes numbers as calls."""
    row = sinedon.insertRow(
        leginondata.CorrectorPlanData, bad_rows="(1151L, 1152L)", bad_cols="[np.int64(3), numpy.float64(4.0)]",
        bad_pixels="[(12L, 30L), (u'10L', 3)]",
    )  # fmt: skip
    assert (row.bad_rows, row.bad_cols) == ((1151, 1152), [3, 4.0])
    assert row.bad_pixels == [(12, 30), ("10L", 3)]


@pytest.mark.usefixtures("anydatabase")
def testReadRowsTakesOneQuery():
    ids = [sinedon.insertRow(leginondata.UserData, username=f"user{number}").def_id for number in range(5)]
    with sinedon.countQueries() as queries:
        rows = sinedon.readRows(leginondata.UserData, [*ids, None, 0, ids[0], 10**6])
    assert queries.count == 1
    assert sorted(rows) == ids
    assert rows[ids[2]].username == "user2"
    with sinedon.countQueries() as queries:
        assert sinedon.readRows(leginondata.UserData, [None, 0]) == {}
    assert queries.count == 0
