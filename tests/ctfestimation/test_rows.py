"""Rows of runs and results, column by column; the parameters of a run that is continued."""

import math
from dataclasses import replace

import pytest

import sinedon
from appion.base.failures import ConfigurationFailure, ImageFailure
from appion.base.store.path import savePathData
from appion.ctfestimation.records import ComputedCTF, CTFConfidence, CTFOptions, CTFResult, LocalRefinement, PhaseSearch
from appion.ctfestimation.retrieve.done import retrieveDone
from appion.ctfestimation.retrieve.micrographs import readCs
from appion.ctfestimation.retrieve.params import retrieveParams
from appion.ctfestimation.store.result import constructFields, storeResult
from appion.ctfestimation.store.run import checkTables, constructRunParams, findCTFRun, saveCTFRun
from sinedon.models import appiondata
from tests.ctfestimation.micrographs import makeOrigin, makeParams
from tests.ctfestimation.sessions import makeContext
from tests.services.sessions import makeSession

ANALYSIS = CTFConfidence(0.91, 0.95, 0.1, 0.2, 3.6, 2.9)
GRAPHS = ("a-powerspec.jpg", "a-plots.png", "a-pow.jpg", "a-pow_avrot.png")


def makeComputed(origin=None, params=None, **changes):
    fields = {
        "params": params or makeParams(), "defocus1": 15000.0, "defocus2": 16000.0, "angle_astigmatism": 29.92,
        "cross_correlation": 0.25, "confidence": 0.5, "confidence_d": 0.5, "ctffind4_resolution": 3.1,
        "extra_phase_shift": 0.0, "argv": ("/opt/ctffind",), "host": "h", "started": 0.0, "seconds": 1.0,
        "analysis": ANALYSIS, "graphs": GRAPHS,
    }  # fmt: skip
    return ComputedCTF(origin or makeOrigin(), CTFResult(**{**fields, **changes}))


def readColumns(row):
    """Return every column of a row by field name, but those that the server fills."""
    names = [field.attname for field in row._meta.concrete_fields]
    return {name: getattr(row, name) for name in names if name not in ("def_id", "def_timestamp")}


EMPTY = dict.fromkeys(
    ["ctfvalues_file", "mat_file", "tilt_angle", "tilt_axis_angle", "localplot", "localCTFstarfile", "snr",
     "lowercutoff", "uppercutoff", *(f"{name}{n}" for name in ("noise", "envelope") for n in (1, 2, 3, 4))]
)  # fmt: skip


@pytest.mark.usefixtures("anydatabase")
def test_resultColumnByColumn():
    made = makeSession(images=1)
    run = saveCTFRun(made.session_id, "ctf1", savePathData("/d/ctf1"), constructRunParams(CTFOptions(), 2.7, "ctffind"))
    computed = makeComputed(makeOrigin(image_id=made.image_ids[0], defocus_init=15500.0))
    with sinedon.countQueries() as queries:
        storeResult(computed, run)
    assert queries.count <= 5
    storeResult(computed, run)
    assert readColumns(appiondata.ApCtfData.objects.get()) == {
        "acerun_id": run.def_id, "image_id": made.image_ids[0], "cs": 2.7, "defocusinit": 1.55e-6,
        "amplitude_contrast": 0.07, "defocus1": 15000 * 1e-10, "defocus2": 16000 * 1e-10, "angle_astigmatism": 29.92,
        "ctffind4_resolution": 3.1, "confidence": 0.95, "confidence_d": 0.5, "confidence_30_10": 0.91,
        "confidence_5_peak": 0.95, "overfocus_conf_30_10": 0.1, "overfocus_conf_5_peak": 0.2,
        "resolution_80_percent": 3.6, "resolution_50_percent": 2.9, "graph1": "a-powerspec.jpg",
        "graph2": "a-plots.png", "graph3": "a-pow.jpg", "graph4": "a-pow_avrot.png", "cross_correlation": 0.25,
        "extra_phase_shift": 0.0, **EMPTY,
    }  # fmt: skip
    storeResult(replace(computed, result=replace(computed.result, defocus1=15100.0)), run)
    assert appiondata.ApCtfData.objects.count() == 2


@pytest.mark.usefixtures("classicdatabase")
def test_tablesOfClassic():
    checkTables(constructRunParams(CTFOptions(), 2.7, "ctffind"))
    made = makeSession(images=2)
    assert readCs(made.session_id, made.name) == 2.7
    task = retrieveParams(made.image_ids, makeContext())[made.image_ids[0]]
    run = saveCTFRun(made.session_id, "ctf1", savePathData("/d/ctf1"), constructRunParams(CTFOptions(), 2.7, "ctffind"))
    for _ in range(2):
        storeResult(makeComputed(task.origin, task.params), run)
    row = appiondata.ApCtfData.objects.get(acerun_id=run.def_id)
    assert (row.image_id, row.defocus1, row.graph3) == (made.image_ids[0], 1.5e-6, "a-pow.jpg")
    assert retrieveDone(run.def_id) == {made.image_ids[0]}


@pytest.mark.usefixtures("anydatabase")
def test_runColumnByColumn():
    made = makeSession(images=1)
    options = CTFOptions(phase=PhaseSearch(10.0, 170.0, 5.0), bestdb=True, local=LocalRefinement())
    params = constructRunParams(options, 2.7, "gctf")
    path_id = savePathData("/d/ctf1")
    run = saveCTFRun(made.session_id, "ctf1", path_id, params)
    assert saveCTFRun(made.session_id, "ctf1", path_id, params) == run
    row = appiondata.ApAceRunData.objects.get()
    found = appiondata.ApCtfFind4ParamsData.objects.get()
    assert readColumns(row) == {
        "aceparams_id": None, "ctftilt_params_id": None, "ace2_params_id": None, "xmipp_ctf_params_id": None,
        "ctffind4_params_id": found.def_id, "gctffind_params_id": None, "session_id": made.session_id,
        "path_id": path_id, "name": "ctf1", "hidden": False, "transferred": None,
    }  # fmt: skip
    assert readColumns(found) == {
        "ampcontrast": 0.07, "fieldsize": 1024, "cs": 2.7, "bestdb": True, "resmin": 50.0, "defstep": 0.1,
        "shift_phase": True, "min_phase_shift": 10.0, "max_phase_shift": 170.0, "phase_search_step": 5.0,
        "local_refine": True,
    }  # fmt: skip
    plain = constructRunParams(CTFOptions(), 2.7, "ctffind").fields
    assert (plain["shift_phase"], plain["min_phase_shift"], "local_refine" in plain) == (False, None, False)


@pytest.mark.usefixtures("anydatabase")
def test_otherParametersAreListed():
    made = makeSession(images=1)
    params = constructRunParams(CTFOptions(), 2.7, "ctffind")
    run = saveCTFRun(made.session_id, "ctf1", savePathData("/d/ctf1"), params)

    def find(name="ctf1", rundir="/d/ctf1", **changes):
        return findCTFRun(made.session_id, name, rundir, replace(params, fields={**params.fields, **changes}))

    assert find(ampcontrast=0.070009, cs=2.69999) == run.def_id
    assert find("ctf2") is None
    with pytest.raises(ConfigurationFailure) as caught:
        find(ampcontrast=0.1, bestdb=True, shift_phase=True, min_phase_shift=10.0, resmin=49.99998)
    assert caught.value.reason == (
        "all parameters of a run must be identical; run ctf1 has ampcontrast 0.07, now 0.1; bestdb False, now True; "
        "resmin 50, now 49.99998; shift_phase False, now True; min_phase_shift none, now 10"
    )
    with pytest.raises(ConfigurationFailure, match="is in /d/ctf1, not in /e/ctf1"):
        find(rundir="/e/ctf1")
    gctf = constructRunParams(CTFOptions(), 2.7, "gctf")
    with pytest.raises(ConfigurationFailure, match=r"was made by ctffind4.py or ctffind5.py, not by gctf.py"):
        findCTFRun(made.session_id, "ctf1", "/d/ctf1", gctf)
    sinedon.insertRow(appiondata.ApAceRunData, name="ace", session=made.session_id, path=savePathData("/d/ace"))
    with pytest.raises(ConfigurationFailure, match="run ace of this session was made by another program"):
        find("ace", "/d/ace")


def test_whatSQLCannotHold():
    nan, inf = math.nan, math.inf
    fields = constructFields(
        makeComputed(None, makeParams(amplitude_contrast=0.004), ctffind4_resolution=inf, cross_correlation=nan,
                   confidence=nan, confidence_d=inf, extra_phase_shift=nan,
                   analysis=CTFConfidence(nan, nan, inf, -0.2, inf, 0.0)), 1
    )  # fmt: skip
    assert all(math.isfinite(value) for value in fields.values() if isinstance(value, float))
    assert fields["ctffind4_resolution"] == fields["resolution_80_percent"] == 100000.0
    assert fields["resolution_50_percent"] == 100000.0
    assert (fields["confidence"], fields["amplitude_contrast"], fields["overfocus_conf_5_peak"]) == (0.0, 0.0, -0.2)
    for wrong in (0.0, -1.0, nan):
        assert constructFields(makeComputed(ctffind4_resolution=wrong), 1)["ctffind4_resolution"] == 100000.0
    with pytest.raises(ImageFailure, match="no result"):
        constructFields(makeComputed(defocus1=nan), 1)


def test_conventionOfTheRow():
    fields = constructFields(makeComputed(defocus1=-15000.0, defocus2=-14000.0, angle_astigmatism=80.0), 1)
    assert (fields["defocus1"], fields["defocus2"]) == (14000 * 1e-10, 15000 * 1e-10)
    assert fields["angle_astigmatism"] == -10.0
    fields = constructFields(makeComputed(analysis=None, graphs=("a-pow.jpg", "", "", "")), 1)
    assert (fields["graph1"], fields["graph2"], fields["confidence"]) == ("a-pow.jpg", None, 0.5)
    assert "resolution_80_percent" not in fields


@pytest.mark.usefixtures("database")
def test_tablesThatAreNotComplete():
    from django.db import connections

    from sinedon.live import readLiveTables

    with connections["appiondata"].cursor() as cursor:
        cursor.execute("ALTER TABLE ApCtfData DROP COLUMN snr")
    readLiveTables("appiondata")
    with pytest.raises(ConfigurationFailure, match=r"ApCtfData has no column snr .*sinedon init"):
        checkTables(constructRunParams(CTFOptions(), 2.7, "ctffind"))
