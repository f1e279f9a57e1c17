"""Parameters of exposures from the databases, readiness of movies, what a run has done."""

import os
import re
import struct
import time
from datetime import datetime

import numpy as np
import pytest

import sinedon
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, NotReady
from appion.base.records.program import Program
from appion.base.records.task import Taken
from appion.base.retrieve.paths import (
    constructFrameFolder,
    constructImagePath,
    constructMovieFormats,
    expandVariables,
    findMovie,
)
from appion.demo.writers import encodeMovie, writeMovie
from appion.motioncorrection.records import Defects, References
from appion.motioncorrection.retrieve.done import retrieveDone
from appion.motioncorrection.retrieve.params import ParamsContext, retrieveParams
from appion.motioncorrection.retrieve.ready import checkReady
from appion.motioncorrection.store.run import findStackRun
from sinedon.models import appiondata, leginondata
from tests.motioncorrection.exposures import loadExposures, readExposures
from tests.motioncorrection.samples import changeTask, makeOptions, makeTask


def makeContext(**changes):
    fields = {"rundir": "/appion/run1", "scratch": "/scratch", "options": makeOptions(),
              "program": Program("motioncor2", "/opt/motioncor2", "1.6.4")}
    return ParamsContext(**{**fields, **changes})


def insert(table, **fields):
    return sinedon.insertRow(getattr(leginondata, table), **fields).def_id


def makeExposure(camera="GatanK3", tag="", **changes):
    """Insert the rows of one exposure and return its image id; `changes` are of camera, image and preset."""
    session = insert("SessionData", name=f"s{tag}", image_path="/data/leginon/s/rawdata", frame_path=changes.pop(
        "frame_path", "/data/frames/s/rawdata"))
    instrument = insert("InstrumentData", name=camera, hostname="k")
    tem = insert("InstrumentData", name="Krios", hostname="t")
    if changes.pop("calibrated", True):
        insert("PixelSizeCalibrationData", magnification=100, tem=tem, ccdcamera=instrument, pixelsize=5e-11,
               def_timestamp=datetime(2020, 1, 1))
    preset = insert("PresetData", name=f"enn{tag}", session=session, dose=changes.pop("dose", 5e21))
    scope = insert("ScopeEMData", session=session, tem=tem, magnification=100, high_tension=300000)
    references = changes.pop("references", {})
    image = {key: changes.pop(key) for key in ("def_timestamp",) if key in changes}
    row = {"session": session, "ccdcamera": instrument, "dimension_x": 64, "dimension_y": 48, "binning_x": 2,
           "binning_y": 2, "exposure_time": 1000.0, "frame_time": 100.0, "nframes": 10, "save_frames": True,
           "frame_flip": False, "frame_rotate": 0, "tiff_frames": True, "eer_frames": False, **changes}
    camera_id = insert("CameraEMData", **row)
    return insert("AcquisitionImageData", session=session, camera=camera_id, scope=scope, preset=preset,
                  filename=f"s{tag}_00012enn", mrc_image=f"s{tag}_00012enn.mrc", **references, **image)


def readTask(image_id, **context):
    task = retrieveParams([image_id], makeContext(**context))[image_id]
    if isinstance(task, Failure):
        raise task
    return task


def readOne(image_id, **context):
    return readTask(image_id, **context).params


@pytest.mark.usefixtures("database")
def test_oneExposure():
    task = readTask(makeExposure(frame_flip=True, frame_rotate=3))
    origin, params = task.origin, task.params
    assert params.movie == "/data/frames/s/rawdata/s_00012enn.frames.tif"
    assert (params.movie_format, params.nframes, params.voltage) == ("tif", 10, 300)
    assert params.pixelsize == pytest.approx(1.0)
    assert params.totaldose == pytest.approx(50.0)
    assert (params.frame_flip, params.frame_rotate, origin.preset) == (True, 3, "enn")
    assert (origin.references, params.gain, params.picture) == (References(), "", "")
    assert (origin.camera_dimension, origin.camera_binning, params.frame_shape) == ((64, 48), (2, 2), (64, 48))
    image = leginondata.AcquisitionImageData.objects.get(pk=origin.image_id)
    assert origin.taken == Taken(image.def_timestamp.timestamp(), "enn")


def makeReferences(instrument_image, **plan):
    """Insert norm, dark and corrector plan of a session of references; return them as references of an image."""
    session = insert("SessionData", name="refs", image_path="${REFS}/refs/rawdata")
    camera = leginondata.AcquisitionImageData.objects.get(pk=instrument_image).camera.ccdcamera_id
    dark_camera = insert("CameraEMData", ccdcamera=camera, exposure_time=500.0, frame_time=100.0, nframes=99)
    return {
        "norm": insert("NormImageData", session=session, mrc_image="norm.mrc", filename="norm"),
        "dark": insert("DarkImageData", session=session, mrc_image="dark.mrc", filename="dark", camera=dark_camera),
        "corrector_plan": insert("CorrectorPlanData", session=session, **plan),
    }


@pytest.mark.usefixtures("database")
def test_references(monkeypatch, tmp_path):
    monkeypatch.setenv("REFS", "/ref")
    references = makeReferences(makeExposure(), bad_rows=(3,), bad_cols=(1, 2), bad_pixels=[(5, 6)])
    image = makeExposure(tag="b", references=references)
    found = readTask(image).origin.references
    assert (found.gain, found.dark) == ("/ref/refs/rawdata/norm.mrc", "/ref/refs/rawdata/dark.mrc")
    assert found.dark_nframes == 5
    assert found.defects == Defects((3,), (1, 2), ((5, 6),), (48, 64))
    assert readTask(image, options=makeOptions(gainfile="/my.mrc")).origin.references.gain == "/my.mrc"
    other = makeExposure(tag="c")
    assert readTask(other, options=makeOptions(refimgid=image)).origin.references.gain == "/ref/refs/rawdata/norm.mrc"
    assert readTask(other).origin.references.gain == ""
    falcon = makeExposure("Falcon3", tag="d", references=references, eer_frames=False, tiff_frames=False)
    found = readTask(falcon).origin.references
    assert (found.gain, found.dark) == ("", "")
    with pytest.raises(ConfigurationFailure, match=r"'GatanK3', image .* with 'Falcon3'"):
        readOne(falcon, options=makeOptions(refimgid=image))
    copy = tmp_path / "refs" / "rawdata"
    copy.mkdir(parents=True)
    (copy / "norm.mrc").touch()
    monkeypatch.setenv("LEGINON_READONLY_IMAGE_PATH", f"/nowhere:{tmp_path}")
    assert readTask(image).origin.references.gain == str(copy / "norm.mrc")


@pytest.mark.usefixtures("database")
def test_whatIsWrongIsNamed():
    with pytest.raises(ConfigurationFailure, match="no pixel size is calibrated for magnification 100 of camera"):
        readOne(makeExposure(calibrated=False))
    with pytest.raises(ConfigurationFailure, match="'Orius' is of no known kind"):
        readOne(makeExposure("Orius", tag="o"))
    with pytest.raises(ImageFailure, match="image 999 is not in the database"):
        readOne(999)
    with pytest.raises(ImageFailure, match="the number of frames is unknown"):
        readOne(makeExposure("Falcon4EC", tag="e", eer_frames=True, nframes=None))
    with pytest.raises(ImageFailure, match="refers to norm row 77"):
        readOne(makeExposure(tag="n", references={"norm": 77}))
    with pytest.raises(ConfigurationFailure, match="--force_cpu_flat"):
        readOne(makeExposure(tag="f", frame_flip=True), options=makeOptions(force_cpu_flat=True))
    with pytest.raises(ConfigurationFailure, match="no frame is left of 10"):
        readOne(makeExposure(tag="f"), options=makeOptions(startframe=10))
    good, bad = makeExposure(tag="g"), makeExposure(tag="h", dimension_x=None)
    result = retrieveParams([good, bad], makeContext())
    assert not isinstance(result[good], Failure)
    assert "dimension None x 48" in str(result[bad])


@pytest.mark.usefixtures("database")
def test_dosesThatAreUnknown():
    assert readOne(makeExposure(dose=None)).totaldose is None
    assert readOne(makeExposure(tag="z", dose=0.0)).totaldose is None
    assert readOne(makeExposure(tag="z", dose=0.0), options=makeOptions(totaldose=40.0)).totaldose == 40


@pytest.mark.usefixtures("database")
def test_oldCameraRows(tmp_path):
    """Rows from before a camera row told orientation and format."""
    folder = tmp_path / "frames"
    folder.mkdir()
    image = makeExposure("GatanK2Super", frame_path=str(folder), frame_rotate=None, tiff_frames=None, eer_frames=None)
    camera = leginondata.AcquisitionImageData.objects.get(pk=image).camera.ccdcamera_id
    assert readOne(image).frame_rotate == 0
    insert("K2FrameDMVersionChangeData", k2camera=camera, image=image - 1, frame_flip=True, frame_rotate=2)
    params = readOne(image)
    assert (params.frame_flip, params.frame_rotate, params.movie_format) == (True, 2, "mrc")
    (folder / "s_00012enn.frames.tif").touch()
    assert readOne(image).movie_format == "tif"


@pytest.mark.usefixtures("database")
def test_manyRenderedFramesAreWarnedOf(caplog):
    image = makeExposure("Falcon4EC", eer_frames=True, tiff_frames=False, nframes=1543)
    readOne(image, options=makeOptions(rendered_frame_size=6))
    assert not caplog.messages
    readOne(image, options=makeOptions(rendered_frame_size=1))
    readOne(image, options=makeOptions(rendered_frame_size=1))
    [message] = caplog.messages
    assert message.startswith("--rendered_frame_size=1 makes 1543 frames of each movie")
    assert "give 6 or more" in message


@pytest.mark.usefixtures("database")
def test_bufferHosts():
    image = makeExposure()
    row = leginondata.AcquisitionImageData.objects.get(pk=image)
    host = insert("BufferHostData", ccdcamera=row.camera.ccdcamera_id, buffer_hostname="b", disabled=False)
    insert("BufferFramePathData", session=row.session_id, host=host, buffer_frame_path="/buffer/s")
    assert readOne(image).movie == "/buffer/s/s_00012enn.frames.tif"
    assert readOne(image, framepath="/mine").movie == "/mine/s_00012enn.frames.tif"
    sinedon.updateRow(leginondata.BufferHostData, host, disabled=True)
    assert readOne(image).movie == "/data/frames/s/rawdata/s_00012enn.frames.tif"


@pytest.mark.usefixtures("anydatabase")
def test_queriesDoNotGrowWithExposures():
    loadExposures()
    ids = [exposure["image_id"] for exposure in readExposures()]
    counts = []
    for some in (ids[:1], ids):
        with sinedon.countQueries() as queries:
            result = retrieveParams(some, makeContext())
        assert not any(isinstance(params, Failure) for params in result.values())
        counts.append(queries.count)
    assert counts[1] <= 12
    assert counts[1] - counts[0] <= 2, "tables that the first exposure does not refer to"


def test_paths(tmp_path):
    assert expandVariables("${A}/$B/${C}", {"A": "a", "B": "b"}) == "a/$B/${C}"
    assert constructFrameFolder(None, "/leginon/x/leginon/s/rawdata") == "/leginon/x/frames/s/rawdata"
    assert constructFrameFolder("", "/data/s/rawdata") == "/data/s/rawdata"
    assert constructImagePath("/p", "s", "norm", {}) == "/p/norm.mrc"
    assert constructMovieFormats("DE", True, True) == ("mrc",)
    assert constructMovieFormats("Apollo", False, False) == ("tif",)
    assert constructMovieFormats("EER", True, True) == ("eer",)
    assert constructMovieFormats("K3", False, False) == ("mrc",)
    (tmp_path / "a.frames").mkdir()
    with pytest.raises(ImageFailure, match="folder of single frames"):
        findMovie([str(tmp_path)], "a", ("mrc",), "Falcon2")


def settle(path, age=100.0):
    os.utime(path, (time.time() - age,) * 2)


@pytest.mark.parametrize("kind", ["mrc", "tif", "eer"])
def test_readiness(tmp_path, kind):
    movie = tmp_path / f"a.frames.{kind}"
    task = makeTask(movie=str(movie), movie_format=kind, nframes=6)
    with pytest.raises(NotReady, match="is not there"):
        checkReady(task, 5.0)
    data = encodeMovie(np.ones((6, 32, 32), np.uint8), kind)
    movie.write_bytes(data)
    with pytest.raises(NotReady, match="changed"):
        checkReady(task, 5.0)
    settle(movie)
    checkReady(task, 5.0)
    checkReady(changeTask(task, nframes=5), 5.0)
    with pytest.raises(NotReady, match="6 frames, the camera row says 7"):
        checkReady(changeTask(task, nframes=7), 5.0)
    settle(movie, 3600)
    with pytest.raises(ImageFailure, match="has not changed for 60 minutes"):
        checkReady(changeTask(task, nframes=7), 5.0)
    with pytest.raises(ImageFailure, match="its name says"):
        checkReady(changeTask(task, movie_format="eer" if kind == "mrc" else "mrc"), 5.0)
    movie.write_bytes(data[: len(data) * 2 // 3])
    settle(movie)
    with pytest.raises(NotReady):
        checkReady(task, 5.0)


def test_missingAndEmptyMoviesAreToldApart(tmp_path):
    movie = tmp_path / "a.frames.tif"
    task = makeTask(movie=str(movie), movie_format="tif", nframes=6)
    movie.write_bytes(b"")
    settle(movie)
    with pytest.raises(NotReady, match=r"is there, but empty \(0 bytes\)"):
        checkReady(task, 5.0)
    elsewhere = makeTask(movie=str(tmp_path / "no" / "a.frames.tif"), movie_format="tif")
    with pytest.raises(NotReady, match="is not there, nor is its folder"):
        checkReady(elsewhere, 5.0)


@pytest.mark.parametrize(("names", "told"), [
    (["a.frames.tif.bz2"], "not there, but a.frames.tif.bz2 is"),
    ([".a.frames.tif.Xy12z", "a.frames.tif.part"], "but .a.frames.tif.Xy12z, a.frames.tif.part are"),
    (["a.frames.mrc"], "but a.frames.mrc is"), (["a.frames.TIFF"], "but a.frames.TIFF is"),
    (["b.frames.tif", "a.frames.txt", "aa.frames.tif"], "is not there$"),
    ([f"a.frames.tif.{n}" for n in range(9)], "a.frames.tif.2 and 6 more are")])
def test_whatIsThereInsteadOfAMovieIsNamed(tmp_path, names, told):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(NotReady) as caught:
        checkReady(makeTask(movie=str(tmp_path / "a.frames.tif"), movie_format="tif"), 5.0)
    assert re.search(told, caught.value.reason)


def test_theFolderIsAskedOnceForAllThatWaitInIt(tmp_path, monkeypatch):
    asked, ask = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: asked.append(path) or ask(path))
    for number in range(100):
        with pytest.raises(NotReady):
            checkReady(makeTask(movie=str(tmp_path / f"a{number}.frames.tif"), movie_format="tif"), 5.0)
    assert asked == [str(tmp_path)]


def test_framesThatMayBeMissing(tmp_path):
    movie = writeMovie(tmp_path / "a.frames.mrc", np.ones((6, 32, 32), np.uint8))
    settle(movie, 3600)
    task = makeTask(movie=str(movie), nframes=8)
    with pytest.raises(ImageFailure, match=r"6 frames, the camera row says 8.*missing_frames \(now 0\)"):
        checkReady(task, 5.0)
    with pytest.raises(ImageFailure, match=r"missing_frames \(now 1\)"):
        checkReady(changeTask(task, missing_frames=1), 5.0)
    checkReady(changeTask(task, missing_frames=2), 5.0)


def test_aMovieThatTheProgramWouldMisreadIsRefused(tmp_path):
    movie = writeMovie(tmp_path / "a.frames.mrc", np.ones((6, 32, 32), np.int8))
    content = bytearray(movie.read_bytes())
    content[152:160] = struct.pack("<2i", 1146047817, 1)
    movie.write_bytes(content)
    settle(movie)
    task = makeTask(movie=str(movie), nframes=6)
    with pytest.raises(ImageFailure, match=r"bytes from which 128 was subtracted.*motioncor2 would take"):
        checkReady(task, 5.0)
    checkReady(changeTask(task, program=Program("motioncor-cpu", "/opt/motioncor-cpu")), 5.0)


def test_clockOfTheFileServerIsAhead(tmp_path):
    movie = writeMovie(tmp_path / "a.frames.mrc", np.ones((6, 32, 32), np.uint8))
    settle(movie, -3600)
    task = makeTask(movie=str(movie), nframes=6)
    with pytest.raises(NotReady):
        checkReady(task, 0.05)
    time.sleep(0.1)
    checkReady(task, 0.05)


@pytest.mark.usefixtures("database")
def test_doneNeedsEveryResult():
    session = insert("SessionData", name="s", image_path="/p")
    presets = {name: insert("PresetData", name=name, session=session, dose=dose)
               for name, dose in (("enn", 5e21), ("dark", 0.0), ("enn-a", 5e21), ("enn-a-DW", 5e21))}
    path = sinedon.insertRow(appiondata.ApPathData, path="/appion/run1").def_id
    settings = sinedon.insertRow(appiondata.ApDDStackParamsData, preset="enn", align=True, bin=1).def_id
    run = sinedon.insertRow(appiondata.ApDDStackRunData, runname="run1", params=settings, session=session,
                            path=path).def_id

    def makeImage(name, preset):
        return insert("AcquisitionImageData", filename=name, session=session, preset=presets[preset])

    def pair(source, result_preset, run=run):
        result = makeImage(f"{source}-{result_preset}-{run}", result_preset)
        sinedon.insertRow(appiondata.ApDDAlignImagePairData, source=source, result=result, ddstackrun=run)

    whole, half, undosed, other = (makeImage(name, preset) for name, preset in
                                   (("a", "enn"), ("b", "enn"), ("c", "dark"), ("d", "enn")))
    for source in (whole, half, undosed):
        pair(source, "enn-a")
    pair(whole, "enn-a-DW")
    pair(other, "enn-a", run + 1)
    weighted = makeOptions(doseweight=True)
    with sinedon.countQueries() as queries:
        assert retrieveDone(run, session, weighted) == {whole, undosed}
    assert queries.count == 2
    assert retrieveDone(run, session, makeOptions()) == {whole, half, undosed}
    assert retrieveDone(run, session, makeOptions(doseweight=True, totaldose=50.0)) == {whole}
    assert retrieveDone(None, session, weighted) == set()
    assert findStackRun(session, "run1", "/appion/run1", "enn", True, 1.0) == run
    assert findStackRun(session, "run1", "/appion/run1", None, True, 2.0) is None


@pytest.mark.usefixtures("classicdatabase")
def test_databaseOlderThanTheColumns(tmp_path):
    """Leginon's tables of 2016 know neither movie formats nor references; what is there decides."""
    image = makeExposure("GatanK2Super", frame_path=str(tmp_path))
    (tmp_path / "s_00012enn.frames.mrc").touch()
    task = readTask(image)
    assert (task.params.movie_format, task.origin.references) == ("mrc", References())
    (tmp_path / "s_00012enn.frames.mrc").rename(tmp_path / "s_00012enn.frames.tif")
    assert readOne(image).movie_format == "tif"
