"""Reference files: named without writing, written once per content, left out where there is nothing in them."""

import logging
import os
from dataclasses import replace

import mrcfile
import numpy as np
import pytest

from appion.base.failures import ConfigurationFailure, InfrastructureFailure, NotReady
from appion.base.records.program import Program
from appion.motioncorrection.records import Defects, MotionCorrectionOptions, MotionCorrectionParams
from appion.motioncorrection.store.references import constructReferenceNames, saveReferences

SHAPE = (6, 8)  # of the frames; the camera is turned by a quarter, so Leginon's pictures have 8 rows of 6


def saveMrc(path, array):
    with mrcfile.new(path, overwrite=True) as mrc:
        mrc.set_data(array)
    return str(path)


@pytest.fixture
def params(tmp_path):
    """An exposure with gain, dark and one bad column, its camera turned by a quarter."""
    os.mkdir(tmp_path / "run")
    return MotionCorrectionParams(
        image_id=1, filename="x_00001en", session_id=1, image_path=str(tmp_path), preset="en", camera_dimension=(6, 8),
        camera_binning=(1, 1), movie=saveMrc(tmp_path / "x.frames.mrc", np.ones((3, *SHAPE), np.int8)),
        movie_format="mrc", nframes=3, pixelsize=1.0, high_tension=300, totaldose=None, frame_flip=False,
        frame_rotate=1, rundir=str(tmp_path / "run"), scratch=str(tmp_path), options=MotionCorrectionOptions(),
        program=Program("motioncor2", "motioncor2"), gain=saveMrc(tmp_path / "gain.mrc", np.ones((8, 6), np.float32)),
        dark_source=saveMrc(tmp_path / "dark.mrc", np.full((8, 6), 12, np.float32)), dark_nframes=4,
        defects=Defects(cols=(1,), shape=(8, 6)),
    )


def listReferences(params):
    folder = os.path.join(params.rundir, "references")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def test_filesAreWhatTheirNamesSay(params):
    named = constructReferenceNames(params)
    assert listReferences(params) == []
    assert saveReferences(params) == named
    assert named.gain == params.gain
    assert sorted([named.dark, named.defect_map]) == [
        os.path.join(params.rundir, "references", name) for name in listReferences(params)
    ]
    assert (mrcfile.read(named.dark) == np.full((8, 6), 3, np.float32)).all()
    with mrcfile.open(named.defect_map) as mrc:
        assert mrc.header.mode == 0
        assert mrc.data.shape == SHAPE
        assert mrc.data.sum(axis=1).tolist() == [0, 8, 0, 0, 0, 0]  # the bad column is a row of the frames
    assert saveReferences(named) == named  # safe to repeat


def test_onceForEachContent(params):
    first = saveReferences(params)
    before = {name: os.stat(os.path.join(params.rundir, "references", name)).st_ino for name in listReferences(params)}
    assert saveReferences(replace(params, image_id=2, filename="x_00002en")) == replace(
        first, image_id=2, filename="x_00002en"
    )
    after = {name: os.stat(os.path.join(params.rundir, "references", name)).st_ino for name in listReferences(params)}
    assert before == after
    other = saveReferences(replace(params, dark_nframes=2, defects=Defects(cols=(2,), shape=(8, 6)), frame_flip=True))
    assert {other.dark, other.defect_map} & {first.dark, first.defect_map} == set()
    assert len(listReferences(params)) == 4
    os.utime(params.dark_source, ns=(0, 0))  # a new file under the old name
    assert saveReferences(params).dark != first.dark


@pytest.mark.parametrize("case", ["zero", "missing", "none", "broken", "eer", "no gain"])
def test_nothingToSubtract(params, case, caplog):
    if case == "zero":
        saveMrc(params.dark_source, np.zeros((8, 6), np.float32))
    elif case == "broken":
        with open(params.dark_source, "wb") as file:
            file.write(b"no image")
    changes = {"missing": {"dark_source": params.dark_source + ".gone"}, "none": {"dark_source": ""},
               "eer": {"movie_format": "eer"}, "no gain": {"gain": ""}}
    params = replace(params, **changes.get(case, {}))
    with caplog.at_level(logging.WARNING):
        assert saveReferences(params).dark == ""
        saveReferences(params)
    assert len(caplog.records) == (case in ("missing", "broken"))  # said once, with the name
    assert all(params.dark_source in record.getMessage() for record in caplog.records)


def test_noDefectMap(params):
    assert saveReferences(replace(params, defects=Defects())).defect_map == ""
    options = MotionCorrectionOptions(force_cpu_flat=True)
    square = replace(params, options=options, gain=saveMrc(params.gain, np.ones(SHAPE, np.float32)))
    assert saveReferences(square).defect_map == ""


def test_gainOfAnotherModeIsConverted(params):
    saveMrc(params.gain, np.full((8, 6), 2, np.int16))
    named = saveReferences(params)
    assert named.gain.startswith(os.path.join(params.rundir, "references", "gain-"))
    with mrcfile.open(named.gain) as mrc:
        assert mrc.header.mode == 2
        assert (mrc.data == 2).all()


@pytest.mark.parametrize("shape", [(8, 6), (4, 3), (2, 2), (6, 8), (16, 12), (8, 3)])
def test_gainHasToFit(params, shape):
    """The same size after turning, or a whole fraction of it in both directions alike."""
    saveMrc(params.gain, np.ones(shape, np.float32))
    if shape in ((8, 6), (4, 3)):
        assert saveReferences(params).gain == params.gain
        return
    with pytest.raises(ConfigurationFailure, match=r"gain\.mrc.* --gainfile"):
        saveReferences(params)
    assert listReferences(params) == []


@pytest.mark.parametrize(
    ("content", "failure"),
    [(None, NotReady), (b"", NotReady), ("cut", NotReady),
     (b"x" * 2000, ConfigurationFailure)],
)
def test_unreadableGain(params, content, failure):
    """One that is missing or incomplete may come back, with its disk: the run waits for it and goes on by itself."""
    if content is None:
        os.unlink(params.gain)
    elif content == "cut":
        os.truncate(params.gain, 1100)
    else:
        with open(params.gain, "wb") as file:
            file.write(content)
    with pytest.raises(failure, match=r"gain\.mrc.*--gainfile"):
        saveReferences(params)


def test_noPlaceToWrite(params):
    with open(os.path.join(params.rundir, "references"), "w") as file:
        file.write("in the way")
    with pytest.raises(InfrastructureFailure, match="references/dark-"):
        saveReferences(params)
