"""The rule by which a row is found instead of written twice, copies, and what is done where columns are missing."""

from __future__ import annotations

import datetime

import numpy
import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

import sinedon
from sinedon.models import appiondata, leginondata

pytestmark = pytest.mark.usefixtures("anydatabase")

insert = sinedon.insertRow

CHARACTERS = st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("éµÅß%`'\"\\\n")
TEXTS = st.none() | st.text(CHARACTERS, max_size=8)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
WHOLE = st.none() | st.integers(-(2**31), 2**31 - 1)


def testIdenticalRowIsFound():
    first = insert(appiondata.ApPathData, path="/data/a")
    assert insert(appiondata.ApPathData, path="/data/a").def_id == first.def_id
    assert insert(appiondata.ApPathData, path="/data/b").def_id != first.def_id
    assert abs(datetime.datetime.now() - first.def_timestamp) < datetime.timedelta(minutes=5)


def testFieldsThatAreNotGivenAreNull():
    """A row that agrees in all given fields but has more is another row."""
    full = insert(appiondata.ApDDStackParamsData, preset="enn", align=True, bin=2)
    bare = insert(appiondata.ApDDStackParamsData, preset="enn")
    assert bare.def_id != full.def_id
    assert (bare.align, bare.bin) == (None, None)
    assert insert(appiondata.ApDDStackParamsData, preset="enn").def_id == bare.def_id
    assert insert(appiondata.ApDDStackParamsData, preset="enn", align=True, bin=2).def_id == full.def_id


def testNullSequencesAndDictionariesAndFilesAreNotCompared():
    camera = insert(leginondata.CameraEMData, nframes=5, use_frames=(1, 2), dimension_x=10)
    assert insert(leginondata.CameraEMData, nframes=5).def_id == camera.def_id
    assert insert(leginondata.CameraEMData, nframes=5, use_frames=(1,)).def_id != camera.def_id
    image = insert(leginondata.NormImageData, filename="a", mrc_image="a.mrc")
    assert insert(leginondata.NormImageData, filename="a", mrc_image="b.mrc").def_id == image.def_id


def testTheFirstOfSeveralIsTaken():
    connection = connections["appiondata"]
    with connection.cursor() as cursor:
        for number in (9, 4, 7):
            cursor.execute("INSERT INTO ApPathData (DEF_id, path) VALUES (%s, '/same')", [number])
    assert insert(appiondata.ApPathData, path="/same").def_id == 4


def testTimestampCountsOnlyWhenGiven():
    then = datetime.datetime(2025, 3, 19, 13, 3, 11)
    old = insert(leginondata.PixelSizeCalibrationData, magnification=105000, pixelsize=4.13e-11, def_timestamp=then)
    assert old.def_timestamp == then
    assert insert(leginondata.PixelSizeCalibrationData, magnification=105000, pixelsize=4.13e-11).def_id == old.def_id
    later = then + datetime.timedelta(days=1)
    new = insert(leginondata.PixelSizeCalibrationData, magnification=105000, pixelsize=4.13e-11, def_timestamp=later)
    assert new.def_id != old.def_id


@settings(max_examples=40, deadline=None)
@given(TEXTS, WHOLE, st.none() | st.booleans(), st.none() | st.lists(NUMBERS, max_size=3), NUMBERS, NUMBERS)
def testInsertingTwiceGivesOneRow(text, whole, truth, sequence, x, y):
    stack = {"preset": text, "bin": whole, "align": truth}
    moves = {"pos_x": sequence, "last_x": x, "last_y": y, "number_of_positions": whole}
    for model, fields in ((appiondata.ApDDStackParamsData, stack), (appiondata.ApDDFrameTrajectoryData, moves)):
        row = insert(model, **fields)
        before = model.objects.count()
        assert insert(model, **fields).def_id == row.def_id
        assert model.objects.count() == before
        if text is not None and model is appiondata.ApDDStackParamsData:
            assert row.preset.lower().rstrip() == text.lower().rstrip()
        if model is appiondata.ApDDFrameTrajectoryData:
            assert (row.last_x, row.last_y) == (x, y)


def testCoercionIsClassics():
    row = insert(appiondata.ApDDStackParamsData, bin=1.5, align=2)
    assert (row.bin, row.align) == (1, True)
    assert insert(appiondata.ApDDStackParamsData, bin=1, align=True).def_id == row.def_id


def testWrongFieldsAndValuesAreRefused():
    with pytest.raises(TypeError, match="ApPathData has no field 'pth'"):
        insert(appiondata.ApPathData, pth="/data")
    user = insert(leginondata.UserData, username="ada")
    with pytest.raises(TypeError, match=r"AcquisitionImageData.session refers to SessionData, not to .*UserData"):
        insert(leginondata.AcquisitionImageData, session=user)
    with pytest.raises(ValueError, match=r"ApCtfData.confidence = nan"):
        insert(appiondata.ApCtfData, confidence=float("nan"))
    assert not appiondata.ApCtfData.objects.exists()


def testArraysAreSequences():
    row = insert(leginondata.CameraEMData, use_frames=numpy.arange(1, 4))
    assert row.use_frames == [1, 2, 3]


def testCopyKeepsColumnsTheModelDoesNotKnow():
    camera = insert(leginondata.CameraEMData, nframes=5, dimension_x=10, use_frames=(1, 2), temperature=-40.5)
    with connections["leginondata"].cursor() as cursor:
        cursor.execute("ALTER TABLE CameraEMData ADD COLUMN `zero loss % state` TEXT")
        cursor.execute("UPDATE CameraEMData SET `zero loss % state` = 'tuned 100%'")
    sinedon.setup(1)
    number = sinedon.copyRow(leginondata.CameraEMData, camera.def_id, dimension_x=5, align_frames=True, use_frames=None)
    copy = leginondata.CameraEMData.objects.get(pk=number)
    assert number != camera.def_id
    assert (copy.nframes, copy.temperature, copy.dimension_x, copy.align_frames) == (5, -40.5, 5, True)
    assert copy.use_frames is None
    with connections["leginondata"].cursor() as cursor:
        cursor.execute("SELECT `zero loss % state` FROM CameraEMData WHERE DEF_id = " + str(number))
        assert cursor.fetchone() == ("tuned 100%",)
    again = sinedon.copyRow(leginondata.CameraEMData, camera.def_id, dimension_x=5, align_frames=True, use_frames=None)
    assert again == number
    assert sinedon.copyRow(leginondata.CameraEMData, number) == number
    with pytest.raises(leginondata.CameraEMData.DoesNotExist, match="no row 999"):
        sinedon.copyRow(leginondata.CameraEMData, 999)


def testCopyTakesATimeOfItsOwn():
    then = datetime.datetime(2020, 1, 1)
    image = insert(leginondata.AcquisitionImageData, filename="a", def_timestamp=then)
    copy = leginondata.AcquisitionImageData.objects.get(
        pk=sinedon.copyRow(leginondata.AcquisitionImageData, image.def_id, filename="a-DW")
    )
    assert copy.def_timestamp.year > 2020


def testUpdateRow():
    job = insert(appiondata.ApAppionJobData, name="a", jobtype="makeddrawframestack")
    sinedon.updateRow(appiondata.ApAppionJobData, job.def_id, status="R", clusterjobid=7)
    sinedon.updateRow(appiondata.ApAppionJobData, job.def_id, status="R")
    job = appiondata.ApAppionJobData.objects.get(pk=job.def_id)
    assert (job.status, job.clusterjobid, job.jobtype) == ("R", 7, "makeddrawframestack")
    with pytest.raises(appiondata.ApAppionJobData.DoesNotExist, match="no row 55"):
        sinedon.updateRow(appiondata.ApAppionJobData, 55, status="R")


@pytest.mark.usefixtures("anydatabase")
def testCopyThatUsesAllFramesIsNotTheOneThatUsesSome():
    source = sinedon.insertRow(leginondata.CameraEMData, nframes=5, use_frames=(0, 1, 2, 3, 4))
    some = sinedon.copyRow(leginondata.CameraEMData, source.def_id, align_frames=True, use_frames=(1, 2))
    every = sinedon.copyRow(leginondata.CameraEMData, source.def_id, align_frames=True, use_frames=None)
    assert every != some
    assert sinedon.copyRow(leginondata.CameraEMData, source.def_id, align_frames=True, use_frames=None) == every
