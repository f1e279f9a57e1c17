"""Journal records that the version before wrote are read; what cannot be is told from them."""

import json
from pathlib import Path

import pytest

from appion.base.controller.computed import setOthersAside
from appion.base.failures import ImageFailure
from appion.base.records.task import FORMAT, encodeComputed
from appion.base.retrieve.computed import retrieveOtherResults
from appion.base.store.journal import saveResult
from appion.motioncorrection.calc.internal.encoding import decodeOptions, decodeResult
from appion.motioncorrection.records import INDIFFERENT_OPTIONS, Defects, MotionCorrectionOptions, References
from tests.motioncorrection.results import makeExposure, makeRun

OLD = Path(__file__).parent / "data" / "journal-2026.11.json"
RUN = "/data/appion/26nov20a/ddstack/align"
NAME = "26nov20a_00002gr_00012enn"
OPTIONS = MotionCorrectionOptions(bin=2.0, doseweight=True, patchrows=5, patchcols=7, gpuids=(0, 1))


def test_recordOfTheVersionBefore():
    computed = decodeResult(json.loads(OLD.read_text()))
    origin, result = computed.origin, computed.result
    assert (origin.image_id, origin.filename, origin.session_id, origin.rundir) == (4711, NAME, 17, RUN)
    assert (origin.image_path, origin.preset) == ("/data/leginon/26nov20a/rawdata", "enn")
    assert (origin.camera_dimension, origin.camera_binning) == ((11520, 8184), (1, 1))
    images = "/data/leginon/26nov20a/rawdata"
    assert origin.references == References(
        f"{images}/26nov20a_norm_0.mrc", f"{images}/26nov20a_dark_0.mrc", 40,
        Defects((3,), (10, 11), ((5, 6),), (8184, 11520)),
    )  # fmt: skip
    assert origin.other_movies == (f"/buffer/{NAME}.frames.tif",)
    assert origin.stored_names == (f"{NAME}-a", f"{NAME}-a-DW")
    params = result.params
    assert (params.name, params.voltage, params.totaldose, params.pixelsize) == (NAME, 300, 54.546, 0.413)
    assert (params.scratch, params.picture) == (f"{RUN}/.appion/scratch/4711", f"{images}/{NAME}.mrc")
    assert params.frame_shape == (11520, 8184)  # the camera is turned by a quarter
    assert (params.files.sum, params.files.weighted) == (result.sum_file, result.dw_file)
    assert (params.files.shift_log, params.files.program_log) == (result.log_file, result.program_log_file)
    assert params.options == OPTIONS
    assert (params.program.kind, params.program.version, params.timeout) == ("motioncor2", "1.6.4", 1800.0)
    assert result.sum_file == f"{RUN}/{NAME}_c.mrc"
    assert (result.shape, result.orientation, len(result.orientation_scores)) == ((4092, 5760), 0, 8)
    assert result.positions == ((0.625, -0.25), (0.0, 0.0), (-0.375, 0.125))
    assert decodeResult(json.loads(json.dumps(encodeComputed(computed)))) == computed


def test_optionsOfTheVersionBeforeAreCompared(tmp_path):
    saveResult(tmp_path, 4711, json.loads(OLD.read_text()))
    same, other = MotionCorrectionOptions(bin=2.0, doseweight=True, patchrows=5, patchcols=7), MotionCorrectionOptions()
    assert retrieveOtherResults(tmp_path, decodeOptions, same, INDIFFERENT_OPTIONS) == {}
    assert "bin=2.0" in retrieveOtherResults(tmp_path, decodeOptions, other, INDIFFERENT_OPTIONS)[4711]
    setOthersAside(tmp_path, decodeOptions, same, True, INDIFFERENT_OPTIONS)
    assert [path.name for path in (tmp_path / ".appion" / "journal").iterdir()] == ["4711.json"]


@pytest.mark.parametrize("damage", ["format", "params", "nothing", "half"])
def test_recordThatIsNone(damage):
    record = json.loads(OLD.read_text())
    if damage == "format":
        record["format"] = FORMAT + 1
    elif damage == "params":
        del record["params"]["camera_dimension"]
    elif damage == "nothing":
        record = {}
    else:
        record = {"format": FORMAT, "origin": {}}
    with pytest.raises(ValueError, match=f"of format {FORMAT + 1}" if damage == "format" else "not a"):
        decodeResult(record)


@pytest.mark.usefixtures("database")
def test_recordOfTheVersionBeforeIsStored(tmp_path):
    """The rows are those of the same result in a record of today."""
    from appion.motioncorrection.store.result import storeResult

    run = makeRun(tmp_path)
    computed = makeExposure(tmp_path, run)
    record = json.loads(OLD.read_text())
    for field in ("image_id", "filename", "session_id", "image_path", "preset", "rundir"):
        record["params"][field] = getattr(computed.origin, field)
    record |= {"sum_file": computed.result.sum_file, "dw_file": computed.result.dw_file, "stored_names": []}
    assert len(storeResult(decodeResult(record), run)) == 2
    record["sum_file"] = "/nowhere/sum.mrc"
    with pytest.raises(ImageFailure, match="computed again"):
        storeResult(decodeResult(record | {"stored_names": ["a", "b"]}), run)
