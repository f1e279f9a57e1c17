"""Parameters of micrographs from the databases: search range, earlier results, movies, what is missing."""

import math
import os

import numpy as np
import pytest

import sinedon
from appion.base.failures import ConfigurationFailure, Failure, ImageFailure, NotReady
from appion.base.retrieve.relatives import readRelatives
from appion.ctfestimation.calc.external import constructAnswers
from appion.ctfestimation.records import PhaseSearch
from appion.ctfestimation.retrieve.best import EarlierCTF, calcConfidenceScore, readBestCTFs, selectBest
from appion.ctfestimation.retrieve.micrographs import readCs, readDDStackRun
from appion.ctfestimation.retrieve.params import retrieveParams
from appion.ctfestimation.retrieve.ready import checkReady
from appion.ctfestimation.retrieve.search import calcSearch
from sinedon.models import appiondata, leginondata
from tests.ctfestimation.micrographs import makeTask, saveMicrograph
from tests.ctfestimation.sessions import RUNDIR, addAligned, addCTF, addScope, makeContext, makeDDStackRun
from tests.services.sessions import makeSession


def readTask(image_id, **options):
    task = retrieveParams([image_id], makeContext(**options))[image_id]
    if isinstance(task, Failure):
        raise task
    return task


def readOne(image_id, **options):
    return readTask(image_id, **options).params


def readCentre(image_id, **options):
    return readTask(image_id, **options).origin.defocus_init


@pytest.mark.usefixtures("anydatabase")
def test_oneMicrograph():
    made = makeSession(images=1, pixelsize=5.3e-11)
    task = readTask(made.image_ids[0], resmax=4.0)
    origin, params = task.origin, task.params
    path = "/data/leginon/26mar19a/rawdata/26mar19a_00001enn.mrc"
    assert (params.micrograph, params.input, params.is_movie) == (path, path, False)
    assert origin.filename == "26mar19a_00001enn"
    assert params.name == "26mar19a_01enn"
    assert (params.pixelsize, params.micrograph_pixelsize) == (pytest.approx(1.06), pytest.approx(1.06))
    assert params.dimension == (5760, 4092)
    assert (params.voltage, params.cs, params.amplitude_contrast) == (300.0, 2.7, 0.07)
    assert (params.resmin, params.resmax, params.fieldsize) == (50.0, 4.0, 1024)
    assert (params.defmin, params.defmax, params.defstep, params.astigmatism) == (1000.0, 45000.0, 1000.0, 500.0)
    assert origin.defocus_init == pytest.approx(20000.0)
    assert (origin.rundir, params.folder, params.phase, params.analyse) == (RUNDIR, RUNDIR, None, True)
    answers = constructAnswers(readOne(made.image_ids[0], phase=PhaseSearch(10, 170, 10)))
    assert [answers[key] for key in ("Defocus search step", "Expected (tolerated) astigmatism")] == ["1000.0", "500.0"]
    assert answers["Minimum phase shift (rad)"] == "0.174533"


@pytest.mark.usefixtures("database")
def test_earlierResultsOfAnImageAndItsSisters():
    made = makeSession(images=3)
    first, second, third = made.image_ids
    run = makeDDStackRun(made)
    plain, weighted = addAligned(made, first, run), addAligned(made, first, run, "a-DW")
    other = addAligned(made, second, run)
    addCTF(plain, resolution_80_percent=5.0, defocus1=1.1e-6)
    best = addCTF(weighted, resolution_80_percent=3.9, defocus1=1.2e-6, defocus2=1.21e-6)
    addCTF(weighted, resolution_80_percent=4.0, defocus1=1.3e-6)
    addCTF(third, resolution_80_percent=9.0, defocus1=1.4e-6)
    ids = [first, plain, weighted, other, third]
    found = readBestCTFs(ids, readRelatives(ids))
    assert {image_id: row.defocus1 for image_id, row in found.items()} == {
        plain: 1.2e-6, weighted: 1.2e-6, third: 1.4e-6
    }  # fmt: skip
    assert found[plain].def_id == best
    assert readCentre(plain) == pytest.approx(12000.0)
    assert readCentre(other) == pytest.approx(20000.0)
    assert readCentre(first) == pytest.approx(20000.0)
    addCTF(first, resolution_80_percent=3.0, defocus1=0.9e-6)
    assert readCentre(weighted) == pytest.approx(9000.0)
    assert readCentre(weighted, nominal=-25000.0) == pytest.approx(25000.0)


def makeRow(**values):
    return EarlierCTF(**{"def_id": 1, "image_id": 1, "defocus1": 1e-6, "defocus2": 1.1e-6, **values})


def test_rankOfRows():
    with_resolution = makeRow(resolution_80_percent=3.6, confidence=0.9)
    assert selectBest([with_resolution, makeRow(def_id=2, confidence=0.27)]) is with_resolution
    confident = makeRow(def_id=2, confidence=0.2, confidence_30_10=0.29)
    assert selectBest([with_resolution, confident]) is confident
    newer = makeRow(def_id=3, resolution_80_percent=3.6)
    assert selectBest([newer, with_resolution]) is newer
    assert selectBest([with_resolution, newer]) is newer
    assert selectBest([makeRow(defocus2=None)]) is None
    assert selectBest([]) is None
    assert calcConfidenceScore(makeRow(confidence=-0.3)) == 0.0
    assert calcConfidenceScore(makeRow()) == 0.0
    assert calcConfidenceScore(makeRow(confidence=0.3, confidence_5_peak=0.8)) == 0.8


def calc(best=None, defocus=-2e-6, is_gctf=False, **options):
    return calcSearch(makeContext(**options).options, best, defocus, is_gctf)


def test_searchWithAndWithoutAnEarlierResult():
    best = makeRow(defocus1=1.5e-6, defocus2=1.6e-6, amplitude_contrast=0.1234, resolution_80_percent=4.0,
                   resolution_50_percent=3.5, ctffind4_resolution=3.0)  # fmt: skip
    search = calc(best, resmax=4.0, numstep=10)
    assert (search.centre, search.defmin, search.defmax) == (pytest.approx(15000), 5000.0, 25000.0)
    assert (search.amplitude_contrast, search.astigmatism, search.resmax) == (0.07, 500.0, 4.0)
    search = calc(best, bestdb=True, resmax=4.0)
    assert (search.defmin, search.defmax) == (1000.0, 40000.0)
    assert (search.amplitude_contrast, search.astigmatism) == (0.123, 1000.0)
    assert search.resmax == round((4.0 * 3.5 * 4.0) ** (1 / 3), 2)
    search = calc(best, bestdb=True, nominal=30000.0, resmax=4.0)
    assert (search.centre, search.amplitude_contrast, search.astigmatism) == (30000.0, 0.07, 500.0)
    round_fit = makeRow(defocus1=1.5e-6, defocus2=1.5005e-6, amplitude_contrast=0.0, resolution_80_percent=None)
    search = calc(round_fit, bestdb=True, resmax=4.0)
    assert (search.amplitude_contrast, search.astigmatism, search.resmax) == (0.07, 500.0, 4.0)
    search = calc(makeRow(resolution_80_percent=100.0, resolution_50_percent=300.0), bestdb=True, resmax=4.0)
    assert search.resmax == 4.0
    with pytest.raises(ImageFailure, match="no defocus"):
        calc(None, None)


def test_searchOfGctf():
    best = makeRow(defocus1=1.5e-6, defocus2=1.5005e-6, amplitude_contrast=0.0, resolution_80_percent=None,
                   resolution_50_percent=3.5, ctffind4_resolution=3.0)  # fmt: skip
    search = calc(best, is_gctf=True, bestdb=True, resmax=4.0)
    assert (search.amplitude_contrast, search.astigmatism) == (0.0, 5.0)
    assert search.resmax == round((3.0 * 3.5 * 4.0) ** (1 / 3), 2)
    search = calc(makeRow(), is_gctf=True, bestdb=True, resmax=4.0)
    assert search.resmax == round((100.0 * 100.0 * 4.0) ** (1 / 3), 2)


@pytest.mark.usefixtures("database")
def test_moviesInPlaceOfMicrographs(tmp_path):
    made = makeSession(images=2, root=tmp_path, binning=1, pixelsize=5e-11)
    run, other = makeDDStackRun(made), makeDDStackRun(made, "ddstack2")
    aligned = addAligned(made, made.image_ids[0], run, binning_x=2, binning_y=2)
    params = readOne(aligned, ddstackid=run)
    assert params.input == f"{made.frame_path}/{made.filenames[0]}.frames.tif"
    assert params.micrograph == f"{made.image_path}/{made.filenames[0]}-a.mrc"
    assert (params.is_movie, params.frame_average) == (True, 7)
    assert (params.pixelsize, params.micrograph_pixelsize) == (pytest.approx(0.5), pytest.approx(1.0))
    assert readOne(made.image_ids[1], ddstackid=run).input.endswith(f"{made.filenames[1]}.frames.tif")
    with pytest.raises(ImageFailure, match=f"no result of --ddstackid={other}"):
        readOne(aligned, ddstackid=other)
    readDDStackRun(run)
    with pytest.raises(ConfigurationFailure, match="--ddstackid=99"):
        readDDStackRun(99)


@pytest.mark.usefixtures("database")
def test_howTheExposureWasTaken():
    """Of an aligned image that of the exposure, whose row is older; the microscope's row is the same."""
    made = makeSession(images=1)
    source = made.image_ids[0]
    addScope(source, stage_position_x=1.5e-3, stage_position_z=-2e-5, stage_position_a=math.radians(10),
             image_shift_x=1e-6, defocus=-1.5e-6)  # fmt: skip
    sinedon.updateRow(leginondata.AcquisitionImageData, source, target_id=12)
    written = leginondata.AcquisitionImageData.objects.get(pk=source).def_timestamp
    aligned = addAligned(made, source, makeDDStackRun(made))
    for image_id in (source, aligned):
        taken = readTask(image_id).origin.taken
        assert (taken.time, taken.target_id, taken.grid_id) == (written.timestamp(), 12, None)
        assert taken.stage == pytest.approx((1500.0, 0.0, -20.0))
        assert (taken.tilt, taken.defocus) == (pytest.approx(10.0), pytest.approx(15000.0))
        assert taken.image_shift == (pytest.approx(1.0), None)


@pytest.mark.usefixtures("database")
def test_fractionalBinningIsExact():
    made = makeSession(images=2, binning=1, pixelsize=5e-11)
    runs = makeDDStackRun(made), makeDDStackRun(made, "ddstack2")
    plain, weighted = (addAligned(made, made.image_ids[0], runs[0], label, binning_x=2) for label in ("a", "a-DW"))
    other = addAligned(made, made.image_ids[0], runs[1], "b", binning_x=2)
    sinedon.insertRow(appiondata.ApDDAlignStatsData, image=plain, ddstackrun=runs[0], apix=0.75)
    sinedon.insertRow(appiondata.ApDDAlignStatsData, image=other, ddstackrun=runs[1], apix=1.0)
    found = retrieveParams([plain, weighted, other, made.image_ids[1]], makeContext())
    assert [one.params.pixelsize for one in found.values()] == pytest.approx([0.75, 0.75, 1.0, 0.5])


@pytest.mark.usefixtures("database")
def test_whatIsMissingIsNamed():
    made = makeSession(images=4)
    first, second, third, fourth = made.image_ids
    addScope(first, magnification=1)
    addScope(second, defocus=None)
    addScope(third, high_tension=None)
    sinedon.updateRow(leginondata.AcquisitionImageData, fourth, scope_id=0)
    found = retrieveParams([*made.image_ids, 999], makeContext())
    assert isinstance(found[first], ConfigurationFailure)
    for image_id, said in ((first, "magnification 1 "), (second, "no defocus"), (third, "no high tension"),
                           (fourth, "has no scope"), (999, "999 is not in the database")):  # fmt: skip
        assert said in str(found[image_id])


@pytest.mark.usefixtures("anydatabase")
def test_queriesDoNotGrow():
    made = makeSession(images=60)
    run = makeDDStackRun(made)
    aligned = [addAligned(made, source, run) for source in made.image_ids[:50]]
    for image_id in aligned:
        addCTF(image_id)
    counts = {}
    for options in ({}, {"ddstackid": run}, {"nominal": 10000.0}):
        for ids in (aligned[:2], aligned):
            with sinedon.countQueries() as queries:
                found = retrieveParams(ids, makeContext(**options))
            assert not any(isinstance(one, Failure) for one in found.values())
            counts.setdefault(str(options), []).append(queries.count)
    assert list(counts.values()) == [[9, 9], [11, 11], [8, 8]]


@pytest.mark.usefixtures("database")
def test_sphericalAberration():
    made = makeSession(images=1)
    assert readCs(made.session_id, made.name) == 2.7
    sinedon.updateRow(leginondata.InstrumentData, made.tem_id, cs=None)
    with pytest.raises(ConfigurationFailure, match="'Krios' is not recorded"):
        readCs(made.session_id, made.name)
    sinedon.updateRow(leginondata.InstrumentData, made.tem_id, cs=0.0)
    assert readCs(made.session_id, made.name) == 0.0
    leginondata.InstrumentData.objects.filter(pk=made.tem_id).delete()
    with pytest.raises(ConfigurationFailure, match=rf"\(id {made.tem_id}\) is not among the instruments"):
        readCs(made.session_id, made.name)
    sinedon.updateRow(leginondata.ScopeEMData, leginondata.ScopeEMData.objects.latest("def_id").def_id, tem_id=0)
    with pytest.raises(ConfigurationFailure, match="name no microscope"):
        readCs(made.session_id, made.name)
    empty = sinedon.insertRow(leginondata.SessionData, name="26mar20a").def_id
    with pytest.raises(ConfigurationFailure, match="26mar20a has no microscope rows"):
        readCs(empty, "26mar20a")


def test_readiness(tmp_path):
    path = saveMicrograph(tmp_path / "a.mrc")
    os.utime(path, (1e9, 1e9))
    task = makeTask(micrograph=str(path), input=str(path))
    checkReady(task, 2.0)
    with pytest.raises(NotReady, match=r"b\.mrc is not there"):
        checkReady(makeTask(micrograph=str(tmp_path / "b.mrc"), input=str(path)), 2.0)
    os.utime(path)
    with pytest.raises(NotReady, match="complete after 60 s"):
        checkReady(task, 60.0)
    os.truncate(path, path.stat().st_size - 100)
    with pytest.raises(NotReady, match="bytes instead of"):
        checkReady(task, 0.0)
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    with pytest.raises(ImageFailure):
        checkReady(task, 0.0)
