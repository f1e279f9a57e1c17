"""Values of rows that cannot be: named before a movie is looked at, in words of the row. What is real passes."""

import pytest

import sinedon
from appion.base.failures import ConfigurationFailure
from appion.base.retrieve.plausible import checkCalibration, checkCamera, checkScope
from appion.motioncorrection.retrieve.plausible import checkDose, checkFrames, checkTimes
from sinedon.models import leginondata
from tests.motioncorrection.exposures import loadExposures, readExposures
from tests.motioncorrection.samples import makeOptions
from tests.motioncorrection.test_params import makeExposure, readOne


def change(image_id, key, **values):
    """Change the row of an image's camera, scope or preset; return its id."""
    row = leginondata.AcquisitionImageData.objects.get(pk=image_id)
    number = getattr(row, f"{key}_id")
    sinedon.updateRow(type(getattr(row, key)), number, **values)
    return number


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("key", "values", "said"),
    [
        ("scope", {"high_tension": 300}, "ScopeEMData row N: high tension=300 is not possible: it looks like kV"),
        ("scope", {"high_tension": 0}, "ScopeEMData row N: high tension=0 is not possible"),
        ("scope", {"high_tension": -300000}, "ScopeEMData row N: high tension=-300000 is not possible"),
        ("scope", {"magnification": 0}, "ScopeEMData row N: magnification=0 is not possible"),
        ("scope", {"magnification": -100}, "ScopeEMData row N: magnification=-100 is not possible"),
        ("scope", {"projection_mode": "diffraction"}, "ScopeEMData row N: projection mode is diffraction"),
        ("camera", {"binning_x": 0}, "CameraEMData row N: SUBD|binning|x=0 is not possible"),
        ("camera", {"binning_x": -2}, "CameraEMData row N: SUBD|binning|x=-2 is not possible"),
        ("camera", {"binning_y": 4096}, "CameraEMData row N: SUBD|binning|y=4096 is not possible"),
        ("camera", {"dimension_y": -48}, "CameraEMData row N: SUBD|dimension|y=-48 is not possible"),
        ("camera", {"exposure_time": 1.0}, "CameraEMData row N: exposure time=1 is not possible: it looks like s"),
        ("camera", {"exposure_time": -1e3}, "CameraEMData row N: exposure time=-1000 is not possible"),
        ("camera", {"frame_time": 0.1}, "CameraEMData row N: frame time=0.1 is not possible: it looks like s"),
        ("camera", {"frame_rotate": 90}, "CameraEMData row N: frame rotate=90 is not possible: it looks like degrees"),
        ("camera", {"exposure_time": None, "nframes": 10**7}, "CameraEMData row N: number of frames=10000000 is not"),
        ("preset", {"dose": 50.0}, "PresetData row N: dose=50 is not possible: it looks like e/Å²"),
        ("preset", {"dose": -5e21}, "PresetData row N: dose=-5e+21 is not possible"),
        ("preset", {"dose": 5e30}, "PresetData row N: dose=5e+30 is not possible"),
    ],
)
def test_whatCannotBeIsNamed(key, values, said):
    image_id = makeExposure()
    number = change(image_id, key, **values)
    with pytest.raises(ConfigurationFailure) as caught:
        readOne(image_id, options=makeOptions(doseweight=True))
    assert said.replace("row N", f"row {number}") in caught.value.reason
    assert caught.value.remedy


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("pixelsize", "said"),
    [
        (0.5, "pixelsize=0.5 is not possible: it looks like Å, the column wants 5e-12 to 1e-08 m"),
        (0.0, "pixelsize=0 is not possible"), (-5e-11, "pixelsize=-5e-11 is not possible"),
        (1e-13, "pixelsize=1e-13 is not possible"), (2e-8, "another --preset"),
        (9e-9, "pixelsize times binning 2=1.8e-08 is not possible"),
    ],
)  # fmt: skip
def test_calibrations(pixelsize, said):
    image_id = makeExposure()
    number = leginondata.PixelSizeCalibrationData.objects.get().def_id
    sinedon.updateRow(leginondata.PixelSizeCalibrationData, number, pixelsize=pixelsize)
    with pytest.raises(ConfigurationFailure, match=f"PixelSizeCalibrationData row {number}: ") as caught:
        readOne(image_id)
    assert said in str(caught.value)


@pytest.mark.usefixtures("database")
def test_whatIsNotKnownOrNotUsedIsNoError():
    image_id = makeExposure(dose=50.0)  # without weighting by dose
    change(image_id, "scope", high_tension=None)
    assert readOne(image_id).nframes == 10
    assert readOne(image_id, options=makeOptions(totaldose=50.0)).totaldose == 50
    change(image_id, "preset", dose=None)
    assert readOne(image_id, options=makeOptions(doseweight=True)).totaldose is None
    change(image_id, "preset", dose=0.0)
    assert readOne(image_id, options=makeOptions(doseweight=True)).totaldose is None
    change(image_id, "camera", exposure_time=0.0)
    assert readOne(image_id).nframes == 10


@pytest.mark.usefixtures("database")
def test_realExposuresPass():
    """Whatever rows eight exposures of production sessions and their references have."""
    loadExposures()
    for exposure in readExposures():
        readOne(exposure["image_id"], options=makeOptions(doseweight=True))
    for scope in leginondata.ScopeEMData.objects.all():
        checkScope(scope)
    for camera in leginondata.CameraEMData.objects.all():
        checkCamera(camera)
        checkTimes(camera, "K3")
        checkFrames(camera, camera.nframes or 1)
    for preset in leginondata.PresetData.objects.all():
        checkDose(preset)
    found = list(leginondata.PixelSizeCalibrationData.objects.values_list("def_id", "def_timestamp", "pixelsize"))
    assert len(found) > 10
    for calibration in found:
        checkCalibration([calibration], calibration[2], 2)
