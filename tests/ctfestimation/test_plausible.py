"""Values of rows that cannot be: named before a micrograph is looked at. What is real passes."""

import pytest

import sinedon
from appion.base.failures import ConfigurationFailure, Failure
from appion.ctfestimation.retrieve.micrographs import readCs
from appion.ctfestimation.retrieve.params import retrieveParams
from sinedon.models import appiondata, leginondata
from tests.ctfestimation.sessions import addAligned, addCTF, addScope, makeContext, makeDDStackRun
from tests.motioncorrection.exposures import loadExposures, readExposures
from tests.services.sessions import makeSession

pytestmark = pytest.mark.usefixtures("database")


def read(image_id, kind="ctffind", **options):
    task = retrieveParams([image_id], makeContext(kind=kind, **options))[image_id]
    if isinstance(task, Failure):
        raise task
    return task.params


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"high_tension": 300},
            "high tension=300 is not possible: it looks like kV, the column wants 10000 to ",
        ),
        ({"high_tension": 0}, "high tension=0 is not possible"),
        ({"defocus": -2.0}, "defocus=-2 is not possible: it looks like µm, the column wants -0.0001 to 0.0001 m"),
        ({"defocus": 15000.0}, "defocus=15000 is not possible: it looks like Å"),
        ({"magnification": 0}, "magnification=0 is not possible"),
        ({"projection_mode": "diffraction"}, "projection mode is diffraction"),
    ],
)
@pytest.mark.parametrize("kind", ["ctffind", "gctf", "gctffind"])
def test_microscopes(kind, values, said):
    image_id = makeSession(images=1).image_ids[0]
    addScope(image_id, **values)
    number = leginondata.AcquisitionImageData.objects.get(pk=image_id).scope_id
    with pytest.raises(ConfigurationFailure) as caught:
        read(image_id, kind)
    assert f"ScopeEMData row {number}: {said}" in caught.value.reason


@pytest.mark.parametrize("defocus", [0.0, -0.0, -3e-8, -2e-6, 1e-6, -2.6e-5])
def test_defocusOfTheMicroscopeAsItMayBe(defocus):
    image_id = makeSession(images=1).image_ids[0]
    addScope(image_id, defocus=defocus)
    assert read(image_id).defmax > 0


def test_aWrongDefocusCanBePassedBy():
    image_id = makeSession(images=1).image_ids[0]
    addScope(image_id, defocus=-2.0)
    assert read(image_id, nominal=20000.0).defmax == 45000.0


@pytest.mark.parametrize(
    ("pixelsize", "said"),
    [(1.06, "pixelsize=1.06 is not possible: it looks like Å"), (0.0, "pixelsize=0 is not possible"),
     (5e-8, "give another --preset"), (-1e-10, "pixelsize=-1e-10 is not possible")],
)  # fmt: skip
def test_calibrations(pixelsize, said):
    made = makeSession(images=1)
    sinedon.updateRow(leginondata.PixelSizeCalibrationData, made.calibration_id, pixelsize=pixelsize)
    with pytest.raises(ConfigurationFailure) as caught:
        read(made.image_ids[0])
    assert f"PixelSizeCalibrationData row {made.calibration_id}: " in caught.value.reason
    assert said.removeprefix("give ") in str(caught.value)


@pytest.mark.parametrize(
    ("cs", "said"),
    [(2.7, "it looks like mm, the column wants 0 or 1e-07 to 0.01 m"), (-0.0027, "is not possible"),
     (2700, "looks like µm"), (2.7e-6, "next to nothing")],
)  # fmt: skip
def test_lenses(cs, said):
    made = makeSession(images=1)
    sinedon.updateRow(leginondata.InstrumentData, made.tem_id, cs=cs)
    with pytest.raises(ConfigurationFailure, match=f"InstrumentData row {made.tem_id}: cs=") as caught:
        readCs(made.session_id, made.name)
    assert said in caught.value.reason


@pytest.mark.parametrize("cs", [0.0, 1e-6, 1e-5, 0.0014, 0.0027, 0.0064])
def test_lensesAsTheyAre(cs):
    made = makeSession(images=1)
    sinedon.updateRow(leginondata.InstrumentData, made.tem_id, cs=cs)
    assert readCs(made.session_id, made.name) == pytest.approx(cs * 1e3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"defocus1": 15000.0}, "defocus1=15000 is not possible: it looks like Å"),
        ({"defocus2": 1.6}, "defocus2=1.6 is not possible: it looks like µm"),
        ({"amplitude_contrast": 7.0}, "amplitude_contrast=7 is not possible: it looks like %"),
        ({"resolution_80_percent": 4e-10, "resolution_50_percent": 3e-10}, "resmax by its resolutions"),
    ],
)
def test_earlierResults(values, said):
    image_id = makeSession(images=1).image_ids[0]
    number = addCTF(image_id, **values)
    with pytest.raises(ConfigurationFailure) as caught:
        read(image_id, bestdb=True, resmax=4.0)
    assert f"ApCtfData row {number}: {said}" in caught.value.reason


def test_pixelSizesOfAlignedImages():
    made = makeSession(images=1, binning=1, pixelsize=5e-11)
    run = makeDDStackRun(made)
    image_id = addAligned(made, made.image_ids[0], run)
    sinedon.insertRow(appiondata.ApDDAlignStatsData, image=image_id, ddstackrun=run, apix=7.5e-11)
    with pytest.raises(ConfigurationFailure, match=f"image {image_id}: apix=7.5e-11 is not possible: it looks like m"):
        read(image_id)


def test_realExposuresPass():
    loadExposures()
    for exposure in readExposures():
        assert read(exposure["image_id"]).voltage == 300


def test_oneOddImageIsAFailureOfItsOwn():
    made = makeSession(images=3)
    addScope(made.image_ids[1], high_tension=300)
    found = retrieveParams(made.image_ids, makeContext())
    assert [isinstance(one, ConfigurationFailure) for one in found.values()] == [False, True, False]


def test_pixelsThatShowNothingOfTheFit():
    image_id = makeSession(images=1, pixelsize=2e-9, binning=1).image_ids[0]
    for kind in ("ctffind", "gctf"):
        with pytest.raises(ConfigurationFailure, match="--resmin=30 Å is not possible: pixels of 20 Å show nothing"):
            read(image_id, kind, resmin=30.0)
        assert read(image_id, kind, resmin=45.0).resmin == 45.0
    assert read(image_id, "gctffind", resmin=30.0).pixelsize == pytest.approx(20.0)
