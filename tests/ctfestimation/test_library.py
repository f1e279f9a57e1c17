"""estimateCTF: what it returns, what it keeps, what it refuses."""

import sys

import pytest

from appion import estimateCTF
from appion.base.failures import ConfigurationFailure, NotReady
from tests.ctfestimation.micrographs import saveMicrograph
from tests.ctfestimation.test_external import FAKE


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a program, a micrograph, and a place for temporary files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    script = tmp_path / "ctffind"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} "$@"\n')
    script.chmod(0o755)
    saveMicrograph(tmp_path / "a.mrc")
    return tmp_path


def estimate(place, output=None, **changes):
    fields = {"pixelsize": 1.5, "analyse": False, "program": place / "ctffind"}
    return estimateCTF("a.mrc", output, **{**fields, **changes})


def test_nothingIsKeptUnlessAskedFor(place):
    before = sorted(path.name for path in place.iterdir())
    result = estimate(place)
    assert (result.defocus1, result.defocus2) == pytest.approx((15005.2, 16005.0))
    assert result.graphs == ("", "", "", "")
    assert sorted(path.name for path in place.iterdir()) == before
    assert list((place / "temporary").iterdir()) == []


def test_picturesAndLogs(place):
    result = estimate(place, "ctf", voltage=200, cs=1.4, amplitude_contrast=0.1, phase_shift=(10, 170, 5))
    assert sorted(str(path.relative_to(place / "ctf")) for path in (place / "ctf").rglob("*.*")) == [
        "a-pow.txt", "a-pow_avrot.txt", "logfiles/a.log", "opimages/a-pow.jpg", "opimages/a-pow.mrc",
        "opimages/a-pow_avrot.png",
    ]  # fmt: skip
    assert result.graphs == ("a-pow.jpg", "a-pow_avrot.png", "", "")
    answers = dict(result.answers)
    assert [answers[text] for text in ("Pixel size", "Acceleration voltage", "Spherical aberration")] == [
        "1.5", "200.0", "1.4"
    ]  # fmt: skip
    assert answers["Phase shift search step"] == "0.087266"
    assert result.extra_phase_shift == pytest.approx(10.0, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "reason", "remedy"),
    [
        ({"pixelsize": 0}, "pixelsize=0 is not possible", "100 Å"),
        ({"voltage": 300000}, "voltage=300000 is not possible", "1000 kV"),
        ({"cs": 0.0027}, "cs=0.0027 mm is next to nothing", r"cs=2\.7"),
        ({"cs": 2.7e7}, "cs=27000000 is not possible: it looks like Å", "cs=2.7"),
        ({"cs": -2.7}, "cs=-2.7 is not possible", "cs=2.7"),
        ({"voltage": 0.3}, r"voltage=0\.3 is not possible: it looks like MV", "1000 kV"),
        ({"voltage": float("inf")}, "voltage=inf is not possible", "1000 kV"),
        ({"pixelsize": 1.5e-10}, "pixelsize=1.5e-10 is not possible: it looks like m", "pixelsize=0.83"),
        ({"defocus_max": 5e-6}, "defocus_max=5e-06 is not possible: it looks like m", "defocus_max=50000"),
        ({"cs": None}, "cs=None is not a number", "mm"),
        ({"amplitude_contrast": 7}, "amplitude_contrast=7", "0 to 1"),
        ({"box": 513}, "box=513 is odd", "box=512"),
        ({"resmin": 3.0}, "resmax=5 is not below resmin=3", "Å"),
        ({"pixelsize": 20.0}, "resmin=30 Å is not possible: pixels of 20 Å show nothing finer", "more than 40 Å"),
        ({"defocus_min": 1.5}, r"defocus_min=1\.5 is not possible", "Å"),
        ({"defocus_max": 4000}, "defocus_max=4000 is not above defocus_min=5000", "Å"),
        ({"defocus_step": 1e5}, "defocus_step=100000", "Å"),
        ({"phase_shift": 90}, "phase_shift=90 is no search", "degrees"),
        ({"phase_shift": (90, 10, 5)}, r"phase_shift=\(90, 10, 5\) is no search", "degrees"),
        ({"program": "ctffind9"}, "program=ctffind9: ", "ctffind-cpu"),
        ({"output": "a.mrc"}, "output=a.mrc: the folder", "written"),
    ],
)
def test_whatIsImpossibleIsNamed(place, changes, reason, remedy):
    with pytest.raises(ConfigurationFailure, match=reason) as caught:
        estimate(place, **changes)
    assert caught.match(remedy)


def test_micrographThatIsNotThereOrNotWhole(place):
    with pytest.raises(ConfigurationFailure, match=r"micrograph=other\.mrc is not a file"):
        estimateCTF("other.mrc", pixelsize=1.0)
    data = (place / "a.mrc").read_bytes()
    (place / "a.mrc").write_bytes(data[:-100])
    with pytest.raises(NotReady, match="bytes instead of"):
        estimate(place)
