"""Reference files: named without writing, written once per content, left out where there is nothing in them."""

import logging
import os

import mrcfile
import numpy as np
import pytest

from appion.base.failures import ConfigurationFailure, InfrastructureFailure, NotReady
from appion.motioncorrection.records import Defects, MotionCorrectionOptions
from appion.motioncorrection.store.references import constructReferenceNames, saveReferences
from tests.motioncorrection.samples import changeTask, makeTask

SHAPE = (6, 8)  # of the frames; the camera is turned by a quarter, so Leginon's pictures have 8 rows of 6


def saveMrc(path, array):
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(array)
    return str(path)


@pytest.fixture
def task(tmp_path):
    """An exposure with gain, dark and one bad column, its camera turned by a quarter."""
    os.mkdir(tmp_path / "run")
    return makeTask(
        camera_dimension=(6, 8), movie=saveMrc(tmp_path / "x.frames.mrc", np.ones((3, *SHAPE), np.int8)), nframes=3,
        frame_rotate=1, rundir=str(tmp_path / "run"), gain=saveMrc(tmp_path / "gain.mrc", np.ones((8, 6), np.float32)),
        dark=saveMrc(tmp_path / "dark.mrc", np.full((8, 6), 12, np.float32)), dark_nframes=4,
        defects=Defects(cols=(1,), shape=(8, 6)),
    )


def listReferences(task):
    folder = os.path.join(task.origin.rundir, "references")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def test_filesAreWhatTheirNamesSay(task):
    prepared = constructReferenceNames(task)
    named = prepared.params
    assert listReferences(task) == []
    assert saveReferences(task) == prepared
    assert named.gain == task.origin.references.gain
    assert sorted([named.dark, named.defect_map]) == [
        os.path.join(task.origin.rundir, "references", name) for name in listReferences(task)
    ]
    assert (mrcfile.read(named.dark) == np.full((8, 6), 3, np.float32)).all()
    with mrcfile.open(named.defect_map) as mrc:
        assert mrc.header.mode == 0
        assert mrc.data.shape == SHAPE
        assert mrc.data.sum(axis=1).tolist() == [0, 8, 0, 0, 0, 0]  # the bad column is a row of the frames
    assert saveReferences(prepared) == prepared  # safe to repeat


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("mean", [3000.0, 1.5])
def test_aGainFarFromOneIsWarnedOfAndNormalisedOnDemand(task, tmp_path, caplog, normalise, mean):
    values = np.linspace(0.5, 1.5, 48).reshape(8, 6).astype(np.float32) * np.float32(mean)
    task = changeTask(task, gain=saveMrc(tmp_path / f"gain{mean:g}{normalise}.mrc", values), normalise_gain=normalise)
    saved = saveReferences(task).params
    assert ("instead of about 1" in caplog.text) == (mean == 3000)
    if normalise and mean == 3000:
        assert mrcfile.read(saved.gain).mean() == pytest.approx(1)
        assert mrcfile.read(saved.gain)[0, 0] == pytest.approx(0.5)
        assert constructReferenceNames(task).params == saved
    else:
        assert saved.gain == task.origin.references.gain
        assert ("normalise_gain: true would" in caplog.text) == (mean == 3000)


def test_onceForEachContent(task):
    first = saveReferences(task).params
    folder = os.path.join(task.origin.rundir, "references")
    before = {name: os.stat(os.path.join(folder, name)).st_ino for name in listReferences(task)}
    assert saveReferences(changeTask(task, image_id=2, filename="x_00002en")).params == first
    after = {name: os.stat(os.path.join(folder, name)).st_ino for name in listReferences(task)}
    assert before == after
    changed = changeTask(task, dark_nframes=2, defects=Defects(cols=(2,), shape=(8, 6)), frame_flip=True)
    other = saveReferences(changed).params
    assert {other.dark, other.defect_map} & {first.dark, first.defect_map} == set()
    assert len(listReferences(task)) == 4
    os.utime(task.origin.references.dark, ns=(0, 0))  # a new file under the old name
    assert saveReferences(task).params.dark != first.dark


@pytest.mark.parametrize("case", ["zero", "missing", "none", "broken", "eer", "no gain"])
def test_nothingToSubtract(task, case, caplog):
    if case == "zero":
        saveMrc(task.origin.references.dark, np.zeros((8, 6), np.float32))
    elif case == "broken":
        with open(task.origin.references.dark, "wb") as file:
            file.write(b"no image")
    changes = {"missing": {"dark": task.origin.references.dark + ".gone"}, "none": {"dark": ""},
               "eer": {"movie_format": "eer"}, "no gain": {"gain": ""}}
    task = changeTask(task, **changes.get(case, {}))
    with caplog.at_level(logging.WARNING):
        assert saveReferences(task).params.dark == ""
        saveReferences(task)
    assert len(caplog.records) == (case in ("missing", "broken"))  # said once, with the name
    assert all(task.origin.references.dark in record.getMessage() for record in caplog.records)


def test_noDefectMap(task):
    assert saveReferences(changeTask(task, defects=Defects())).params.defect_map == ""
    options = MotionCorrectionOptions(force_cpu_flat=True)
    square = changeTask(task, options=options, gain=saveMrc(task.origin.references.gain, np.ones(SHAPE, np.float32)))
    assert saveReferences(square).params.defect_map == ""


def test_gainOfAnotherModeIsConverted(task):
    saveMrc(task.origin.references.gain, np.full((8, 6), 2, np.int16))
    named = saveReferences(task).params
    assert named.gain.startswith(os.path.join(task.origin.rundir, "references", "gain-"))
    with mrcfile.open(named.gain) as mrc:
        assert mrc.header.mode == 2
        assert (mrc.data == 2).all()


@pytest.mark.parametrize("shape", [(8, 6), (4, 3), (2, 2), (6, 8), (16, 12), (8, 3)])
def test_gainHasToFit(task, shape):
    """The same size after turning, or a whole fraction of it in both directions alike."""
    saveMrc(task.origin.references.gain, np.ones(shape, np.float32))
    if shape in ((8, 6), (4, 3)):
        assert saveReferences(task).params.gain == task.origin.references.gain
        return
    with pytest.raises(ConfigurationFailure, match=r"gain\.mrc.* --gainfile"):
        saveReferences(task)
    assert listReferences(task) == []


@pytest.mark.parametrize(
    ("content", "failure"),
    [(None, NotReady), (b"", NotReady), ("cut", NotReady),
     (b"x" * 2000, ConfigurationFailure)],
)
def test_unreadableGain(task, content, failure):
    """One that is missing or incomplete may come back, with its disk: the run waits for it and goes on by itself."""
    if content is None:
        os.unlink(task.origin.references.gain)
    elif content == "cut":
        os.truncate(task.origin.references.gain, 1100)
    else:
        with open(task.origin.references.gain, "wb") as file:
            file.write(content)
    with pytest.raises(failure, match=r"gain\.mrc.*--gainfile"):
        saveReferences(task)


def test_noPlaceToWrite(task):
    with open(os.path.join(task.origin.rundir, "references"), "w") as file:
        file.write("in the way")
    with pytest.raises(InfrastructureFailure, match="references/dark-"):
        saveReferences(task)
