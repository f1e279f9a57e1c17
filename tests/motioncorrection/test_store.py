"""Rows and files of stored results, column by column, against values computed by hand."""

import os
from dataclasses import replace

import pytest
from django.db import OperationalError, connections

import sinedon
from appion.base.failures import ImageFailure
from appion.base.records.task import encodeComputed
from appion.base.retrieve.journal import readResult
from appion.base.store.journal import saveResult
from appion.motioncorrection.calc.internal.encoding import decodeResult
from appion.motioncorrection.store import rows
from appion.motioncorrection.store.result import storeResult
from appion.motioncorrection.store.run import saveStackRun
from sinedon.models.appiondata import (
    ApDDAlignImagePairData,
    ApDDAlignStatsData,
    ApDDFrameTrajectoryData,
    ApDDStackParamsData,
    ApDDStackRunData,
    ApPathData,
)
from sinedon.models.leginondata import (
    AcquisitionImageData,
    CameraEMData,
    ObjIceThicknessData,
    PresetData,
    ZeroLossIceThicknessData,
)
from tests.motioncorrection.results import makeExposure, makeRun, readResults, readRow, readText

#: Tests that run on MariaDB, too; most need only one kind of database.
everywhere = pytest.mark.parametrize("run", ["database", "mariadatabase"], indirect=True)


@pytest.fixture
def run(request, tmp_path):
    """A run in an empty database."""
    request.getfixturevalue(getattr(request, "param", "database"))
    return makeRun(tmp_path)


@everywhere
def test_superresolutionExposure(tmp_path, run):
    """A K3 movie of 11520 x 8184 at --bin=2: every column of every row."""
    with connections["leginondata"].cursor() as cursor:  # a column of a newer Leginon
        cursor.execute("ALTER TABLE `AcquisitionImageData` ADD COLUMN `SUBD|probe|tilt` double")
    result = makeExposure(tmp_path, run)
    with connections["leginondata"].cursor() as cursor:
        cursor.execute("UPDATE `AcquisitionImageData` SET `SUBD|probe|tilt` = 0.125")
    origin = result.origin
    storeResult(result, run)

    source = AcquisitionImageData.objects.get(pk=origin.image_id)
    plain, weighted = readResults(result)
    assert plain.camera_id == weighted.camera_id
    geometry = {
        "SUBD|dimension|x": 5760, "SUBD|dimension|y": 4092, "SUBD|binning|x": 2, "SUBD|binning|y": 2,
        "SUBD|offset|x": 0, "SUBD|offset|y": 0,
    }
    assert readRow(CameraEMData, plain.camera_id) == {
        **readRow(CameraEMData, source.camera_id), **geometry, "align frames": 1, "SEQ|use frames": None,
    }
    for image, label, text in ((plain, "a", "plain 1"), (weighted, "a-DW", "weighted 1")):
        assert readRow(PresetData, image.preset_id) == {
            **readRow(PresetData, source.preset_id), **geometry, "name": f"esn-{label}", "exposure time": 1500.0,
        }
        assert readRow(AcquisitionImageData, image.def_id) == {
            **readRow(AcquisitionImageData, source.def_id),
            "REF|CameraEMData|camera": image.camera_id,
            "REF|PresetData|preset": image.preset_id,
            "filename": f"25nov22a_00002hl_00001esn-{label}",
            "MRC|image": f"25nov22a_00002hl_00001esn-{label}.mrc",
        }
        assert readRow(AcquisitionImageData, image.def_id)["SUBD|probe|tilt"] == 0.125
        assert readText(result, image.filename) == text

    trajectory = ApDDFrameTrajectoryData.objects.get()
    assert readRow(ApDDFrameTrajectoryData, trajectory.def_id) == {
        "REF|leginondata|AcquisitionImageData|image": plain.def_id,
        "REF|ApStackParticleData|particle": None,
        "REF|ApDDStackRunData|ddstackrun": run.def_id,
        "SEQ|pos_x": "[12.5, 12.0, 11.5, 11.0, 10.5, 10.0, 9.5, 9.0, 8.5, 8.0, 7.5, 7.0, 6.5, 6.0, 5.5, 5.0, 4.5, 4.0, "
        "3.5, 3.0]",
        "SEQ|pos_y": "[-6.25, -6.0, -5.75, -5.5, -5.25, -5.0, -4.75, -4.5, -4.25, -4.0, -3.75, -3.5, -3.25, -3.0, "
        "-2.75, -2.5, -2.25, -2.0, -1.75, -1.5]",
        "last_x": -12.0,
        "last_y": 6.0,
        "number_of_positions": 50,
        "reference_index": 25,
    }
    shift = 0.3125**0.5  # hypot(0.5, 0.25) between all frames
    assert readRow(ApDDAlignStatsData, ApDDAlignStatsData.objects.get().def_id) == {
        "REF|leginondata|AcquisitionImageData|image": plain.def_id,
        "REF|ApDDStackRunData|ddstackrun": run.def_id,
        "REF|ApDDFrameTrajectoryData|trajectory": trajectory.def_id,
        "apix": 0.826,
        "top_shift1_index": 0, "top_shift1_value": shift,
        "top_shift2_index": 0, "top_shift2_value": shift,
        "top_shift3_index": 0, "top_shift3_value": shift,
        "median_shift_value": shift,
    }
    pairs = [readRow(ApDDAlignImagePairData, pair.def_id) for pair in ApDDAlignImagePairData.objects.order_by("def_id")]
    assert pairs == [
        {
            "REF|leginondata|AcquisitionImageData|source": source.def_id,
            "REF|leginondata|AcquisitionImageData|result": image.def_id,
            "REF|ApDDStackRunData|ddstackrun": run.def_id,
        }
        for image in (plain, weighted)
    ]
    assert not os.path.exists(result.result.sum_file)
    assert not os.path.exists(result.result.dw_file)
    record = readResult(origin.rundir, origin.image_id)
    assert record is not None
    assert record["origin"]["stored_names"] == [plain.filename, weighted.filename]


@pytest.mark.parametrize(
    ("camera", "options", "shape", "expected"),
    [
        # (dimension x, y, binning x, y, offset x, y)
        ({"dimension_x": 5760, "dimension_y": 4092, "binning_x": 2, "binning_y": 2}, {"bin": 1.0}, (4092, 5760),
         (5760, 4092, 2, 2, 0, 0)),
        ({}, {"square": True}, (4092, 5760), (4092, 4092, 2, 2, 834, 0)),
        ({}, {"trim": 8}, (4092, 5760), (5752, 4084, 2, 2, 4, 4)),
        # Movies of a camera that is built in at a right angle: the sum is as Leginon's picture.
        ({"dimension_x": 8184, "dimension_y": 11520, "frame_rotate": 1}, {}, (5760, 4092), (4092, 5760, 2, 2, 0, 0)),
        ({"dimension_x": 4096, "dimension_y": 4096, "eer_frames": True}, {"eer_sampling": 2, "bin": 1.0}, (4096, 4096),
         (4096, 4096, 1, 1, 0, 0)),
        ({"dimension_x": 2000, "dimension_y": 2000, "offset_x": 1000, "offset_y": 500}, {}, (1000, 1000),
         (1000, 1000, 2, 2, 500, 250)),
        ({"offset_x": None, "offset_y": None}, {}, (4092, 5760), (5760, 4092, 2, 2, 0, 0)),
    ],
)
def test_geometry(tmp_path, run, camera, options, shape, expected):
    fields = {"frame_rotate", "eer_frames"} & set(camera)
    result = makeExposure(
        tmp_path, run, camera={name: value for name, value in camera.items() if name not in fields}, options=options,
        shape=shape, movie_format="eer" if "eer_frames" in camera else "tif",
    )
    source = AcquisitionImageData.objects.get(pk=result.origin.image_id)
    for field in fields:
        sinedon.updateRow(CameraEMData, source.camera_id, **{field: camera[field]})
    storeResult(result, run)
    plain, weighted = readResults(result)
    for row in (CameraEMData.objects.get(pk=plain.camera_id), PresetData.objects.get(pk=weighted.preset_id)):
        assert (row.dimension_x, row.dimension_y, row.binning_x, row.binning_y, row.offset_x, row.offset_y) == expected


def test_someFrames(tmp_path, run):
    result = makeExposure(tmp_path, run, options={"startframe": 2, "nframe": 3})
    storeResult(result, run)
    camera = readRow(CameraEMData, readResults(result)[0].camera_id)
    assert camera["SEQ|use frames"] == "(2, 3, 4)"


def test_noPreset(tmp_path, run):
    """An image taken by hand: its results get a preset from the scope and camera rows."""
    result = makeExposure(tmp_path, run, preset=None)
    storeResult(result, run)
    plain, weighted = readResults(result)
    assert [plain.filename, weighted.filename] == ["25nov22a_00002hl_00001ma-a", "25nov22a_00002hl_00001ma-a-DW"]
    preset = PresetData.objects.get(pk=plain.preset_id)
    assert (preset.name, preset.magnification, preset.defocus, preset.exposure_time) == ("ma-a", 105000, -2e-6, 1500.0)
    assert (preset.tem.name, preset.ccdcamera.name, preset.session_id) == ("Krios", "GatanK3", run.session_id)
    assert (preset.dimension_x, preset.binning_x, preset.dose) == (5760, 2, None)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_shortMovies(tmp_path, run, count):
    result = makeExposure(tmp_path, run, positions=[(3.0 * i, 4.0 * i * i) for i in range(count)], weighted=False)
    storeResult(result, run)
    trajectory, stats = ApDDFrameTrajectoryData.objects.get(), ApDDAlignStatsData.objects.get()
    assert (trajectory.number_of_positions, trajectory.reference_index) == (count, count // 2)
    assert trajectory.pos_x == [3.0 * i for i in range(count)]
    values = [stats.top_shift1_value, stats.top_shift2_value, stats.top_shift3_value]
    assert values == [[None] * 3, [None] * 3, [5.0, None, None], [153**0.5, 5.0, None]][count]
    assert [stats.top_shift1_index, stats.top_shift2_index] == [[None] * 2, [None] * 2, [0, None], [1, 0]][count]
    assert len(readResults(result)) == 1


@everywhere
def test_thickness(tmp_path, run):
    """The newest measurement of the source goes to both results, once."""
    result = makeExposure(tmp_path, run)
    image_id = result.origin.image_id
    for thickness in (20.0, 30.0):
        sinedon.insertRow(ObjIceThicknessData, image=image_id, vacuum_intensity=9.0, mfp=300.0, intensity=8.0,
                          thickness=thickness)
    sinedon.insertRow(ZeroLossIceThicknessData, image=image_id, no_slit_mean=5.0, no_slit_sd=1.0, slit_mean=4.0,
                      slit_sd=0.5, thickness=25.0)
    storeResult(result, run)
    for image in readResults(result):
        for model in (ObjIceThicknessData, ZeroLossIceThicknessData):
            newest = model.objects.filter(image=image_id).order_by("-def_id").first()
            copy = model.objects.get(image=image.def_id)
            assert readRow(model, copy.def_id) == {
                **readRow(model, newest.def_id), "REF|AcquisitionImageData|image": image.def_id
            }


def test_presetsAreShared(tmp_path, run):
    results = [makeExposure(tmp_path, run, number) for number in (1, 2)]
    for result in results:
        storeResult(result, run)
    assert PresetData.objects.count() == 3
    assert CameraEMData.objects.count() == 4
    assert [image.filename for image in readResults(results[1])] == [
        "25nov22a_00002hl_00002esn-a", "25nov22a_00002hl_00002esn-a-DW"
    ]


@everywhere
def test_repeating(tmp_path, run):
    """Storing the journal's record again adds nothing; what is computed again on purpose stands beside the first."""
    result = makeExposure(tmp_path, run)
    storeResult(result, run)
    names = tuple(readResult(result.origin.rundir, result.origin.image_id)["origin"]["stored_names"])

    def countRows():
        return [model.objects.count() for model in (AcquisitionImageData, CameraEMData, PresetData,
                ApDDAlignImagePairData, ApDDFrameTrajectoryData, ApDDAlignStatsData)]

    before = countRows()
    storeResult(replace(result, origin=replace(result.origin, stored_names=names)), run)
    assert countRows() == before == [3, 2, 3, 2, 1, 1]
    again = makeExposure(tmp_path, run, positions=[(0.0, 0.0), (1.0, 1.0)])
    with open(again.result.sum_file, "w") as file:
        file.write("another plain 1")
    storeResult(again, run)
    assert countRows() == [5, 2, 3, 4, 2, 2]
    assert readText(result, "25nov22a_00002hl_00001esn-a") == "plain 1"
    assert readText(result, "25nov22a_00002hl_00001esn-a_v01") == "another plain 1"


def test_missingHalfIsAdded(tmp_path, run):
    """What another program left of this run (a plain sum without statistics) is completed, not doubled."""
    result = makeExposure(tmp_path, run, weighted=False)
    storeResult(result, run)
    ApDDAlignStatsData.objects.all().delete()
    storeResult(makeExposure(tmp_path, run), run)
    assert [image.filename for image in readResults(result)] == [
        "25nov22a_00002hl_00001esn-a", "25nov22a_00002hl_00001esn-a-DW"
    ]
    assert ApDDAlignStatsData.objects.get().trajectory_id == ApDDFrameTrajectoryData.objects.get().def_id


@everywhere
@pytest.mark.parametrize("model", [AcquisitionImageData, CameraEMData])
def test_anExposureWhoseRowsAreGoneIsHeldAgainstIt(tmp_path, run, model):
    result = makeExposure(tmp_path, run)
    model.objects.all().delete()
    with pytest.raises(ImageFailure, match=r"image 1 \(.+\) or its camera row is not in the database"):
        storeResult(result, run)
    assert not ApDDAlignImagePairData.objects.exists()


@pytest.mark.parametrize("run", ["database", "mariadatabase", "classicdatabase"], indirect=True)
def test_queries(tmp_path, run):
    """Few statements, and the same number for each exposure."""
    counts = []
    for number in (1, 2, 3):
        result = makeExposure(tmp_path, run, number)
        saveResult(result.origin.rundir, result.origin.image_id, encodeComputed(result))
        with sinedon.countQueries() as queries:
            storeResult(result, run)
        counts.append(queries.count)
    assert counts[1] == counts[2] <= 12


@everywhere
@pytest.mark.parametrize("after", ["saveImage", "saveDrift", "saveThickness", "savePairs"])
def test_storingThatIsCutOffGoesOnWithTheRowsThereAre(tmp_path, run, monkeypatch, after):
    """The database goes away in the middle: the next try, from memory or the journal, goes on with what was written.

    The exposure is one of several that the camera takes for the same.
    """
    other, result = makeExposure(tmp_path, run, 2), makeExposure(tmp_path, run)
    CameraEMData.objects.update(system_time=1.0, frames_name="frames")
    saveResult(other.origin.rundir, other.origin.image_id, encodeComputed(other))
    storeResult(other, run)
    saveResult(result.origin.rundir, result.origin.image_id, encodeComputed(result))
    save = getattr(rows, after)

    def saveAndLose(*args):
        save(*args)
        raise OperationalError(2006, "gone away")

    monkeypatch.setattr(rows, after, saveAndLose)
    with pytest.raises(OperationalError):
        storeResult(result, run)
    monkeypatch.setattr(rows, after, save)
    record = readResult(result.origin.rundir, result.origin.image_id)
    storeResult(decodeResult(record) if after == "savePairs" else result, run)
    assert [image.filename for image in readResults(result)] == [
        "25nov22a_00002hl_00001esn-a", "25nov22a_00002hl_00001esn-a-DW"
    ]
    assert [model.objects.count() for model in (AcquisitionImageData, CameraEMData, PresetData,
            ApDDFrameTrajectoryData, ApDDAlignStatsData)] == [6, 3, 3, 2, 2]


@pytest.mark.parametrize("run", ["classicdatabase"], indirect=True)
def test_oldDatabase(tmp_path, run, caplog, monkeypatch):
    """A Leginon database of 2016 lacks columns: what it has is right, what it lacks is said once."""
    monkeypatch.setattr(sinedon.rows, "_warned", set())
    with caplog.at_level("WARNING"):
        for number in (1, 2):
            storeResult(makeExposure(tmp_path, run, number), run)
    plain, weighted = readResults(makeExposure(tmp_path, run, 2))
    camera = readRow(CameraEMData, plain.camera_id)
    assert (camera["SUBD|dimension|x"], camera["SUBD|binning|x"], camera["align frames"]) == (5760, 2, 1)
    assert "SUBD|offset|x" not in camera
    assert readRow(PresetData, weighted.preset_id)["name"] == "esn-a-DW"
    lines = [record.getMessage() for record in caplog.records if "SUBD|offset|x" in record.getMessage()]
    assert len([line for line in lines if "CameraEMData" in line]) == 1


@everywhere
def test_run(tmp_path, run):
    """A restart finds its run; other settings make another one; parameters come before the run that refers to them."""
    row = ApDDStackRunData.objects.get(pk=run.def_id)
    params = ApDDStackParamsData.objects.get(pk=row.params_id)
    assert (params.preset, params.align, params.bin, params.stack_id, params.method) == ("esn", True, 2, None, None)
    assert makeRun(tmp_path) == run
    assert makeRun(tmp_path, preset=None).def_id == run.def_id  # no preset asks for any
    assert makeRun(tmp_path, bin=2.5).def_id == run.def_id
    others = {makeRun(tmp_path, **change).def_id for change in ({"bin": 1.5}, {"align": False}, {"preset": "enn"})}
    assert len(others | {run.def_id}) == 4
    twin = ApPathData(path=str(tmp_path / "run"))
    twin.save(using="appiondata")
    assert saveStackRun(run.session_id, "run", twin.def_id, "esn", True, 2.0).def_id == run.def_id
