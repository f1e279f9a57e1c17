"""Pages of images: viewer, image report, relations of an exposure and what was made of it."""

from __future__ import annotations

from pathlib import Path

import mrcfile
import pytest

from tests.webpages.filled import FRAMES, SHAPE, Filled
from tests.webpages.pages import readPixelSize

#: Presets of one target, from the picture of the exposure to what was made of it.
PRESETS = ["enn", "enn-a", "enn-a-DW"]


def testViewerListsEveryPictureOfTheSession(filled: Filled):
    images = filled.readNames()
    expected = {planned.filename for planned in filled.plan.exposures}
    for planned in filled.good:
        expected |= {filled.nameAligned(planned), filled.nameAligned(planned, "a-DW")}
    assert {name for name, row in images.items() if row["presetname"] != "hln"} == expected
    count = filled.readOne(
        "SELECT count(*) AS number FROM leginondb.AcquisitionImageData a "
        "JOIN leginondb.PresetData p ON a.`REF|PresetData|preset` = p.DEF_id "
        "JOIN leginondb.CameraEMData c ON a.`REF|CameraEMData|camera` = c.DEF_id "
        "JOIN leginondb.ScopeEMData s ON a.`REF|ScopeEMData|scope` = s.DEF_id "
        "LEFT JOIN leginondb.ViewerImageStatus v ON v.`REF|AcquisitionImageData|image` = a.DEF_id "
        "WHERE a.`REF|SessionData|session` = %s AND (v.status IS NULL OR v.status NOT IN ('hidden', 'trash'))",
        filled.session_id,
    )
    assert count["number"] == len(expected) + 1, "and the picture of the hole"
    for name in expected:
        assert readPixelSize(filled, images[name]["DEF_id"]) == pytest.approx(1.06)


def testPresetsOfTheViewerAreThoseOfTheExposuresWithAnotherName(filled: Filled):
    rows = filled.read(
        "SELECT p.* FROM leginondb.PresetData p WHERE p.`REF|SessionData|session` = %s AND p.name LIKE 'enn%%' "
        "ORDER BY p.DEF_id",
        filled.session_id,
    )
    assert sorted(row["name"] for row in rows) == PRESETS, "one row each, however many exposures"
    same = ("dose", "magnification", "defocus", "SUBD|dimension|x", "SUBD|dimension|y", "SUBD|binning|x",
            "exposure time", "REF|InstrumentData|tem", "REF|InstrumentData|ccdcamera")  # fmt: skip
    for row in rows[1:]:
        assert [row[name] for name in same] == [rows[0][name] for name in same]
    assert rows[0]["dose"] / 1e20 == pytest.approx(FRAMES)
    assert (rows[0]["SUBD|dimension|y"], rows[0]["SUBD|dimension|x"]) == SHAPE


def testReportOfAnImageNamesItsRelatives(filled: Filled):
    images = filled.readNames()
    hole = next(row for row in images.values() if row["presetname"] == "hln")
    for planned in filled.good:
        target = images[planned.filename]["REF|AcquisitionImageTargetData|target"]
        relatives = [row for row in images.values() if row["REF|AcquisitionImageTargetData|target"] == target]
        assert sorted(row["presetname"] for row in relatives) == PRESETS
        row = filled.readOne("SELECT * FROM leginondb.AcquisitionImageTargetData WHERE DEF_id = %s", target)
        assert row["REF|AcquisitionImageData|image"] == hole["DEF_id"]
        shared = ("REF|ScopeEMData|scope", "REF|SessionData|session", "pixeltype", "pixels", "label")
        for name in shared:
            assert len({row[name] for row in relatives}) == 1, name


def testFilesOfMicrographsAreWhatTheRowsSay(filled: Filled):
    session = filled.readOne("SELECT * FROM leginondb.SessionData WHERE DEF_id = %s", filled.session_id)
    images = filled.readNames()
    for planned in filled.good:
        for label in ("a", "a-DW"):
            image = images[filled.nameAligned(planned, label)]
            assert image["MRC|image"] == f"{image['filename']}.mrc"
            camera = filled.readOne(
                "SELECT * FROM leginondb.CameraEMData WHERE DEF_id = %s", image["REF|CameraEMData|camera"]
            )
            with mrcfile.open(Path(session["image path"]) / image["MRC|image"], header_only=True) as mrc:
                assert mrc.header.mode == 2, "float32"
                assert (mrc.header.nx, mrc.header.ny) == (camera["SUBD|dimension|x"], camera["SUBD|dimension|y"])
                assert mrc.voxel_size.x == pytest.approx(1.06, rel=1e-3)
                assert mrc.header.dmin < mrc.header.dmean < mrc.header.dmax
            assert (camera["align frames"], camera["save frames"], camera["nframes"]) == (1, 1, FRAMES)


def testPlainAndWeightedMicrographShareOneCamera(filled: Filled):
    images = filled.readNames()
    for planned in filled.good:
        cameras = [images[filled.nameAligned(planned, label)]["REF|CameraEMData|camera"] for label in ("a", "a-DW")]
        assert cameras[0] == cameras[1] != images[planned.filename]["REF|CameraEMData|camera"]


def testNothingIsMadeOfABrokenMovie(filled: Filled):
    broken = next(planned for planned in filled.plan.exposures if not planned.is_good)
    image_id = filled.readNames()[broken.filename]["DEF_id"]
    pairs = filled.read(
        "SELECT * FROM ApDDAlignImagePairData WHERE `REF|leginondata|AcquisitionImageData|source` = %s", image_id
    )
    assert not pairs
