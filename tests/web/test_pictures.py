"""Pictures: those of run folders, those made of micrographs, and that names never lead anywhere else."""

from __future__ import annotations

import io
import os
from pathlib import Path

import mrcfile
import numpy
import pytest
from PIL import Image

from appion.web.store import cache
from sinedon.models import appiondata, leginondata
from tests.web.rows import Session


@pytest.fixture
def session(database, tmp_path) -> Session:
    assert database.projectid == 1
    made = Session(tmp_path, 2)
    made.correct(made.exposures)
    made.estimate(made.exposures)
    return made


def writeMicrograph(session: Session, name: str, shape=(3000, 2000)) -> Path:
    folder = Path(session.made.image_path)
    folder.mkdir(parents=True, exist_ok=True)
    image = numpy.zeros(shape, numpy.float32)
    image[: shape[0] // 2] = 100
    with mrcfile.new(folder / f"{name}.mrc", data=image, overwrite=True):
        pass
    return folder / f"{name}.mrc"


def readPicture(answer) -> Image.Image:
    assert answer.status_code == 200
    content = b"".join(answer.streaming_content)
    answer.close()
    return Image.open(io.BytesIO(content))


def testMicrographIsMadeSmallOnceAndKept(session, browser, monkeypatch):
    first, made = session.exposures[0], []
    writeMicrograph(session, session.nameExposure(first))
    draw = cache.writeAtomically
    monkeypatch.setattr(cache, "writeAtomically", lambda *args: made.append(draw(*args)))
    for _ in range(2):
        answer = browser.get(session.url(f"picture/{first}.jpg?size=900"))
        picture = readPicture(answer)
    assert picture.size == (666, 1000)
    assert picture.getpixel((100, 100)) > 200 > 50 > picture.getpixel((100, 900))
    assert len(made) == 1
    again = browser.get(session.url(f"picture/{first}.jpg?size=900"), headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["Content-Security-Policy"]


def testFileThatIsWrittenAnewIsDrawnAnew(session, browser):
    first = session.exposures[0]
    path = writeMicrograph(session, session.nameExposure(first))
    before = readPicture(browser.get(session.url(f"picture/{first}.jpg"))).tobytes()
    with mrcfile.open(path, "r+") as mrc:
        mrc.data[:] = numpy.arange(2000)
    os.utime(path, (1, 1))
    assert readPicture(browser.get(session.url(f"picture/{first}.jpg"))).tobytes() != before


def testFolderOfPicturesDoesNotGrowBeyondItsLimit(session, browser, monkeypatch, tmp_path):
    first = session.exposures[0]
    for number in range(4):
        os.utime(writeMicrograph(session, session.nameExposure(first)), (number, number))
        readPicture(browser.get(session.url(f"picture/{first}.jpg?size=256")))
    files = list((tmp_path / "cache").glob("*.jpg"))
    assert len(files) == 4
    size = files[0].stat().st_size
    limits = {"web.cache": str(tmp_path / "cache"), "web.cache_size": 3.1 * size / 1e9}
    monkeypatch.setattr(cache, "setting", limits.get)
    os.utime(writeMicrograph(session, session.nameExposure(first)), (9, 9))
    readPicture(browser.get(session.url(f"picture/{first}.jpg?size=256")))
    assert len(list((tmp_path / "cache").glob("*.jpg"))) == 2


@pytest.mark.parametrize("what", ["thumb/{}.jpg", "drift/{}.png", "spectrum/{}.jpg", "picture/{}.jpg"])
def testPictureThatIsNotThereIsNotFound(session, browser, what):
    assert browser.get(session.url(what.format(session.exposures[0]))).status_code == 404
    assert browser.get(session.url(what.format(7))).status_code == 404


def testSmallPictureIsThatOfTheRunOrMadeOfTheMicrograph(session, browser):
    first, second = session.exposures
    thumbs = session.folders["motion"] / "thumbs"
    thumbs.mkdir()
    Image.new("L", (40, 20)).save(thumbs / f"{session.nameExposure(first)}.jpg")
    Image.new("RGB", (30, 30)).save(thumbs / f"{session.nameExposure(first)}.drift.png")
    writeMicrograph(session, f"{session.nameExposure(second)}-a")
    assert readPicture(browser.get(session.url(f"thumb/{first}.jpg"))).size == (40, 20)
    assert readPicture(browser.get(session.url(f"drift/{first}.png"))).size == (30, 30)
    assert readPicture(browser.get(session.url(f"thumb/{second}.jpg"))).size == (333, 500)


def testSpectrumIsThatOfTheRow(session, browser):
    first = session.exposures[0]
    folder = session.folders["ctf"] / "opimages"
    folder.mkdir()
    Image.new("L", (24, 24)).save(folder / f"{first}.jpg")
    assert readPicture(browser.get(session.url(f"spectrum/{first}.jpg"))).size == (24, 24)
    for other in ("2", "9", "x", "-1"):
        assert browser.get(session.url(f"spectrum/{first}.jpg?graph={other}")).status_code == 404


def testImagesOfOtherSessionsAreNotShown(session, browser, tmp_path):
    other = Session(tmp_path, 1, name="26nov22b", first=5000)
    writeMicrograph(other, other.nameExposure(other.exposures[0]))
    readPicture(browser.get(other.url(f"picture/{other.exposures[0]}.jpg")))
    assert browser.get(session.url(f"picture/{other.exposures[0]}.jpg")).status_code == 404


@pytest.mark.parametrize("name", ["../../secret", "/etc/hostname", "..", "a/../../secret", "nul\0"])
def testNamesInRowsAreNoWayToOtherFolders(session, browser, name, tmp_path):
    """Rows are written by others: what they name is a file in the session's folder or none."""
    first = session.exposures[0]
    Path(session.made.image_path).mkdir(parents=True)
    (Path(session.made.image_path).parent.parent / "secret").write_bytes(b"no picture")
    (session.folders["ctf"] / "opimages").mkdir()
    Image.new("L", (9, 9)).save(tmp_path / "secret.jpg")
    leginondata.AcquisitionImageData.objects.filter(def_id=first).update(filename=name, mrc_image=name)
    appiondata.ApCtfData.objects.filter(def_id=first).update(graph1=name)
    for what in ("thumb/{}.jpg", "drift/{}.png", "spectrum/{}.jpg", "picture/{}.jpg"):
        assert browser.get(session.url(what.format(first))).status_code == 404
